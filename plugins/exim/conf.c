/* SPDX-License-Identifier: ISC */
/*
 * conf.c - looks into sotto.conf for "off" and "skip", and whether a list is empty. Called by the dlfuncs for every
 * connection; no heap.
 */
#include "plugins/exim/conf.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LARGEST 16384

/* Reads as much as fits. Octets, or -1 with errno. */
static ssize_t slurp(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), keep;
	size_t have = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -1;
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

static char *trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

/* An inline comment, as inih has it: ';' after white space. */
static void cut_comment(char *s)
{
	for (char *p = s; *p != '\0'; p++) {
		if (*p == ';' && (p == s || isspace((unsigned char)p[-1]))) {
			*p = '\0';
			return;
		}
	}
}

struct seen {
	bool in_section, odd;
	unsigned modes;
};

static void read_line(char *line, struct seen *seen, struct sotto_hints *hints)
{
	bool indented = isspace((unsigned char)line[0]);
	char *key, *value;

	if (line[0] == ';' || line[0] == '#')
		return;
	cut_comment(line);
	line = trim(line);
	seen->odd = seen->odd || (indented && line[0] != '\0');	/* to inih, more of the line before */
	if (line[0] == '[') {
		seen->in_section = strcmp(line, "[sotto]") == 0;
		return;
	}
	value = strchr(line, '=');
	if (value == NULL) {
		seen->odd = seen->odd || line[0] != '\0';
		return;
	}
	*value++ = '\0';
	key = trim(line);
	value = trim(value);
	if (strcasecmp(key, "starttls") == 0 && strcasestr(value, "skip") != NULL)
		hints->skip = true;
	if (strcmp(key, "mode") != 0 || !seen->in_section)
		return;
	seen->modes++;
	hints->off = strcmp(value, "off") == 0;
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
	hints.off = hints.off && seen.modes == 1 && !seen.odd;
	return hints;
}

bool sotto_list_has_entries(const char *path)
{
	char text[LARGEST], *p = text;
	ssize_t len = slurp(path, text, sizeof(text));

	if (len < 0)
		return errno != ENOENT;
	if (len == LARGEST)
		return true;
	for (const char *end = text + len; p < end; p++) {
		if (*p == '#') {
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				return false;
		} else if (!isspace((unsigned char)*p)) {
			return true;
		}
	}
	return false;
}
