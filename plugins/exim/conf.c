/* SPDX-License-Identifier: ISC */
/*
 * conf.c - looks into sotto.conf for "off" and "skip", and whether a list is empty. Called by the dlfuncs for every
 * connection; no heap.
 */
#include "plugins/exim/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/runtime/conf-words.h"

#define LARGEST 16384

/* Reads as much as fits. Octets, or -1 with errno. */
static ssize_t slurp(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), keep;
	struct stat st;
	size_t have = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	while (have < size && n != 0) {
		n = read(fd, out + have, size - have);
		if (n < 0 && errno != EINTR)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	keep = errno;
	close(fd);
	errno = keep;
	return n < 0 ? -1 : (ssize_t)have;
}

/* As conf.c has it, whatever locale Exim is in. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char *trim(char *s)
{
	char *end;

	while (is_space(*s))
		s++;
	end = s + strlen(s);
	while (end > s && is_space(end[-1]))
		end--;
	*end = '\0';
	return s;
}

static void cut_comment(char *s)
{
	for (char *p = s; *p != '\0'; p++) {
		if ((*p == ';' || *p == '#') && (p == s || is_space(p[-1]))) {
			*p = '\0';
			return;
		}
	}
}

struct seen {
	bool in_section, off;
	bool odd;	/* an error for core/runtime/conf.c, or something that would have to be looked at more closely */
	unsigned settings;	/* a bit for each */
};

/* Whether the session would take it. */
static bool is_good(struct seen *seen, const char *key, const char *value)
{
	int setting = sotto_conf_setting(key);

	if (setting < 0 || !seen->in_section || (seen->settings & 1U << setting) != 0 || sotto_conf_word(setting, value) < 0)
		return false;
	seen->settings |= 1U << setting;
	return true;
}

static void read_line(char *line, struct seen *seen, struct sotto_hints *hints)
{
	char *key, *value;

	seen->odd = seen->odd || strlen(line) >= SOTTO_CONF_LINE;
	cut_comment(line);
	line = trim(line);
	if (line[0] == '\0')
		return;
	value = strpbrk(line, "=:");
	if (line[0] == '[' || value == NULL) {
		seen->in_section = strcmp(line, "[sotto]") == 0;
		seen->odd = seen->odd || !seen->in_section;
		return;
	}
	*value++ = '\0';
	key = trim(line);
	value = trim(value);
	if (strcasecmp(key, "starttls") == 0 && strcasestr(value, "skip") != NULL)
		hints->skip = true;
	seen->odd = seen->odd || !is_good(seen, key, value);
	seen->off = seen->off || (strcmp(key, "mode") == 0 && strcmp(value, "off") == 0);
}

struct sotto_hints sotto_hints_read(const char *path)
{
	char text[LARGEST + 1], *next = text, *line;
	ssize_t len = slurp(path, text, sizeof(text));
	struct sotto_hints hints = { .off = false, .skip = false };
	struct seen seen = { .odd = false };

	if (len < 0 || (size_t)len > LARGEST || memchr(text, '\0', (size_t)len) != NULL)
		return hints;
	text[len] = '\0';
	while ((line = strsep(&next, "\n")) != NULL)
		read_line(line, &seen, &hints);
	hints.off = seen.off && !seen.odd;
	return hints;
}

/* An entry that is no address and no network is a name, or everybody. */
static bool is_named(const char *entry)
{
	return strpbrk(entry, ":/") == NULL && strspn(entry, "0123456789.") != strlen(entry);
}

static bool has_entries(const char *path, bool (*counts)(const char *entry))
{
	char text[LARGEST + 1], *next = text, *line;
	ssize_t len = slurp(path, text, LARGEST);

	if (len < 0)
		return errno != ENOENT;
	if (len == LARGEST || memchr(text, '\0', (size_t)len) != NULL)
		return true;
	text[len] = '\0';
	while ((line = strsep(&next, "\n")) != NULL) {
		line[strcspn(line, "#")] = '\0';
		line = trim(line);
		if (line[0] != '\0' && (counts == NULL || counts(line)))
			return true;
	}
	return false;
}

bool sotto_list_has_entries(const char *path)
{
	return has_entries(path, NULL);
}

bool sotto_list_has_names(const char *path)
{
	return has_entries(path, is_named);
}
