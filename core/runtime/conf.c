/* SPDX-License-Identifier: ISC */
/*
 * Reads sotto.conf through inih, for sotto-session's main, before its sandbox. Never waits, never writes to the file itself.
 *
 * inih gets each line from us, tidied, because it takes an indented line for more of the value before, cuts a line that its
 * buffer cannot hold without a word, passes over what stands behind a ']', and says nothing of sections without settings. How
 * long its buffer is depends on the distribution; it tells us with each line.
 */
#include "core/runtime/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/runtime/conf-words.h"

#define LARGEST 65536
#define COPY "sotto.conf.good"
#define COPY_TEXT 256	/* more than every setting with its longest word */
#define ALL ((1U << SOTTO_SETTINGS) - 1)
#define BOM "\xef\xbb\xbf"

struct reading {
	const char *path;
	const char *next, *end;	/* what inih has not had yet */
	unsigned line;
	unsigned seen;		/* a bit for each setting */
	struct sotto_conf conf;
	bool failed;
	char *err;
	size_t len;
};

void sotto_conf_defaults(struct sotto_conf *c)
{
	*c = (struct sotto_conf){
		.mode = SOTTO_MODE_OPPORTUNISTIC, .skip_starttls = false, .pin = SOTTO_PIN_LOG, .padding = true,
	};
}

/* ---- errors ------------------------------------------------------------------------------------------------ */

/* What stands in the file comes back in our sentences, but no control characters. */
static void soften(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

/* Only the first error is told: reading ends there. */
__attribute__((format(printf, 2, 3))) static int fail(struct reading *r, const char *format, ...)
{
	char what[256], line[16] = "";
	va_list ap;

	r->failed = true;
	if (r->len == 0)
		return -1;
	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	if (r->line > 0)
		(void)snprintf(line, sizeof(line), ":%u", r->line);
	(void)snprintf(r->err, r->len, "%s%s: %s", r->path, line, what);
	soften(r->err);
	return -1;
}

static int fail_word(struct reading *r, int setting, const char *value)
{
	const char *const *w = sotto_conf_table[setting].words;
	const char *name = sotto_conf_table[setting].name;

	if (w[2] == NULL)
		return fail(r, "%s is %s or %s, not '%.60s'", name, w[0], w[1], value);
	return fail(r, "%s is %s, %s or %s, not '%.60s'", name, w[0], w[1], w[2], value);
}

/* ---- lines ------------------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Takes away comments and indentation; white space becomes one blank, so that whatever can be good is short. */
static void tidy(char *s)
{
	bool after_space = true;
	char *out = s;

	for (const char *in = s; *in != '\0' && !(after_space && (*in == '#' || *in == ';')); in++) {
		if (!is_space(*in))
			*out++ = *in;
		else if (!after_space)
			*out++ = ' ';
		after_space = is_space(*in);
	}
	if (out > s && out[-1] == ' ')
		out--;
	*out = '\0';
}

static int check_line(struct reading *r, const char *line, size_t room)
{
	if (line[0] == '[')
		return strcmp(line, "[sotto]") == 0 ? 0 : fail(r, "unknown section '%.60s'; there is only [sotto]", line);
	if (line[0] != '\0' && strpbrk(line, "=:") == NULL)
		return fail(r, "not of the form setting = value: '%.60s'", line);
	if (strlen(line) + sizeof("\n") > room)
		return fail(r, "too long for a setting and its value: '%.60s'...", line);
	return 0;
}

/* Takes the next line out of the text. */
static int take_line(struct reading *r, char line[SOTTO_CONF_LINE])
{
	size_t left = (size_t)(r->end - r->next), len;
	const char *feed = memchr(r->next, '\n', left), *from = r->next;

	len = feed != NULL ? (size_t)(feed - from) : left;
	r->next = feed != NULL ? feed + 1 : r->end;
	r->line++;
	if (len >= SOTTO_CONF_LINE)
		return fail(r, "a line of %d octets or more", SOTTO_CONF_LINE);
	if (memchr(from, '\0', len) != NULL)
		return fail(r, "a NUL octet");
	if (r->line == 1 && len >= strlen(BOM) && memcmp(from, BOM, strlen(BOM)) == 0) {
		from += strlen(BOM);
		len -= strlen(BOM);
	}
	memcpy(line, from, len);
	line[len] = '\0';
	return 0;
}

/* inih's fgets. */
static char *next_line(char *out, int size, void *stream)
{
	struct reading *r = stream;
	char line[SOTTO_CONF_LINE] = "";

	if (r->failed || r->next == r->end || take_line(r, line) != 0)
		return NULL;
	tidy(line);
	if (check_line(r, line, size > 0 ? (size_t)size : 0) != 0)
		return NULL;
	(void)snprintf(out, (size_t)size, "%s\n", line);
	return out;
}

/* ---- settings ---------------------------------------------------------------------------------------------- */

static void set(struct sotto_conf *c, int setting, int word)
{
	switch ((enum sotto_setting)setting) {
	case SOTTO_SET_MODE:
		c->mode = (enum sotto_mode)word;
		return;
	case SOTTO_SET_STARTTLS:
		c->skip_starttls = word == 1;
		return;
	case SOTTO_SET_PIN:
		c->pin = (enum sotto_pin)word;
		return;
	case SOTTO_SET_PADDING:
		c->padding = word == 1;
		return;
	case SOTTO_SETTINGS:
		break;
	}
	sotto_cannot_happen(__FILE__, __LINE__);
}

/* inih's handler: nonzero is good. */
static int take_setting(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	int setting = sotto_conf_setting(name), word;

	if (r->failed)
		return 0;
	if (strcmp(section, "sotto") != 0)
		return fail(r, "'%.60s' stands above [sotto]", name) == 0;
	if (setting < 0)
		return fail(r, "unknown setting '%.60s'; there are mode, starttls, pin and padding", name) == 0;
	if ((r->seen & 1U << setting) != 0)
		return fail(r, "%s is set twice", name) == 0;
	word = sotto_conf_word(setting, value != NULL ? value : "");
	if (word < 0)
		return fail_word(r, setting, value != NULL ? value : "") == 0;
	r->seen |= 1U << setting;
	set(&r->conf, setting, word);
	return 1;
}

/* ---- files ------------------------------------------------------------------------------------------------- */

/* Octets, or -errno. A FIFO or a device is no file of settings: it might not end. */
static ssize_t slurp(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t have = 0;
	ssize_t n = 1;
	int wrong = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		wrong = errno;
	else if (!S_ISREG(st.st_mode))
		wrong = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	while (wrong == 0 && have < size && n != 0) {
		n = read(fd, out + have, size - have);
		if (n < 0 && errno != EINTR)
			wrong = errno;
		have += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return wrong != 0 ? -wrong : (ssize_t)have;
}

static int read_file(struct reading *r)
{
	char text[LARGEST + 1];
	ssize_t len = slurp(r->path, text, sizeof(text));
	int rc;

	if (len < 0)
		return fail(r, "%s", len == -EINVAL ? "Not a regular file" : strerror((int)-len));
	if (len > LARGEST)
		return fail(r, "over %d octets", LARGEST);
	r->next = text;
	r->end = text + len;
	rc = ini_parse_stream(next_line, r, take_setting, r);
	r->next = r->end = NULL;
	if (rc != 0 && !r->failed)
		return fail(r, "cannot be read as settings");
	return r->failed ? -1 : 0;
}

static struct reading begin(const char *path, char *err, size_t len)
{
	struct reading r = { .path = path, .err = err, .len = len };

	sotto_conf_defaults(&r.conf);
	return r;
}

int sotto_conf_read(struct sotto_conf *out, const char *path, char *err, size_t len)
{
	struct reading r = begin(path, err, len);

	if (read_file(&r) != 0)
		return -1;
	*out = r.conf;
	return 0;
}

/* ---- the last good settings -------------------------------------------------------------------------------- */

/* Every setting, spelt out, so that a copy that lost its end is seen to have lost it, and a new default changes nothing. */
static size_t write_settings(char text[COPY_TEXT], const struct sotto_conf *c)
{
	const int words[SOTTO_SETTINGS] = { (int)c->mode, c->skip_starttls, (int)c->pin, c->padding };
	size_t n = (size_t)snprintf(text, COPY_TEXT, "[sotto]\n");

	for (int i = 0; i < SOTTO_SETTINGS; i++)
		n += (size_t)snprintf(text + n, COPY_TEXT - n, "%s = %s\n", sotto_conf_table[i].name,
				      sotto_conf_table[i].words[words[i]]);
	return n;
}

/* As root, the copy has to be one that the state's owner can read. Small enough to be written at once, or not at all. */
static bool fill(int fd, const char *state, const char *text, size_t len)
{
	struct stat st;

	if (geteuid() == 0 && (stat(state, &st) != 0 || fchown(fd, st.st_uid, st.st_gid) != 0))
		return false;
	return fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len;
}

static bool copy_path(char path[PATH_MAX], const char *state, const char *suffix)
{
	int n = snprintf(path, PATH_MAX, "%s/" COPY "%s", state, suffix);

	return n > 0 && n < PATH_MAX;
}

/* Where it cannot be kept, it is not. */
static void keep_copy(const char *state, const struct sotto_conf *c)
{
	char copy[PATH_MAX], aside[PATH_MAX], text[COPY_TEXT], old[COPY_TEXT];
	size_t len = write_settings(text, c);
	bool good;
	int fd;

	if (!copy_path(copy, state, "") || !copy_path(aside, state, ".XXXXXX"))
		return;
	if (slurp(copy, old, sizeof(old)) == (ssize_t)len && memcmp(old, text, len) == 0)
		return;
	fd = mkostemp(aside, O_CLOEXEC);
	if (fd < 0)
		return;
	good = fill(fd, state, text, len);
	good = close(fd) == 0 && good;
	if (!good || rename(aside, copy) != 0)
		(void)unlink(aside);
}

static int read_copy(struct sotto_conf *out, const char *state)
{
	char copy[PATH_MAX];
	struct reading r = begin(copy, NULL, 0);

	if (!copy_path(copy, state, "") || read_file(&r) != 0 || r.seen != ALL)
		return -1;
	*out = r.conf;
	return 0;
}

int sotto_conf_load(struct sotto_conf *out, const char *path, const char *state, char *err, size_t len)
{
	if (sotto_conf_read(out, path, err, len) == 0) {
		keep_copy(state, out);
		return 0;
	}
	if (read_copy(out, state) == 0)
		return 1;
	sotto_conf_defaults(out);
	out->mode = SOTTO_MODE_OFF;
	return 2;
}
