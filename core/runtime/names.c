/* SPDX-License-Identifier: ISC */
/*
 * Looks into the files require and exclude. Called for each connection, by sotto-session and by the plugins inside the mail
 * server's process; libc only. Reads to the end even after a match: what is wrong further down is to be told as well.
 *
 * Letters are those of ASCII, whatever the mail server has set as locale.
 */
#include "core/runtime/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME 253	/* octets of a name, and of a label: RFC 1035, 2.3.4 */
#define LABEL 63
#define DIGITS "0123456789"
#define MIDDLE_DOT 0xb7	/* it stands in Catalan names */
#define BOM "\xef\xbb\xbf"

struct net {
	int family;		/* 0: none */
	unsigned bits;
	uint8_t octets[16];
};

struct list {
	const char *path;
	int fd;
	unsigned long line;
	size_t at, have;	/* of buffer */
	char buffer[4096];
	bool wrong;		/* something was written to err */
	char *err;
	size_t len;
};

/* ---- errors ------------------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static int fail(struct list *l, const char *format, ...)
{
	char what[192], line[24] = "";
	va_list ap;

	if (l->wrong || l->len == 0)
		return -1;
	l->wrong = true;
	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	if (l->line > 0)
		(void)snprintf(line, sizeof(line), ":%lu", l->line);
	(void)snprintf(l->err, l->len, "%s%s: %s", l->path, line, what);
	for (char *p = l->err; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return -1;
}

static int fail_entry(struct list *l, const char *entry)
{
	return fail(l, "not a name, an address or a network: '%.60s'", entry);
}

/* ---- addresses and networks -------------------------------------------------------------------------------- */

static struct net from_octets(const uint8_t octets[16], unsigned bits)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct net n = { .family = AF_INET6, .bits = bits };

	if (bits >= 96 && memcmp(octets, mapped, sizeof(mapped)) == 0) {
		n.family = AF_INET;
		n.bits = bits - 96;
		memcpy(n.octets, octets + 12, 4);
	} else {
		memcpy(n.octets, octets, 16);
	}
	return n;
}

static struct net from_sockaddr(const struct sockaddr *sa)
{
	struct net n = { .family = 0 };
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (sa != NULL && sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		n.family = AF_INET;
		n.bits = 32;
		memcpy(n.octets, &v4.sin_addr, 4);
	} else if (sa != NULL && sa->sa_family == AF_INET6) {
		memcpy(&v6, sa, sizeof(v6));
		n = from_octets(v6.sin6_addr.s6_addr, 128);
	}
	return n;
}

/* The octets of n without the bits behind its prefix. */
static void mask(uint8_t out[16], const struct net *n, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > 8 * i ? bits - 8 * i : 0;
		unsigned lost = keep < 8 ? 0xffU >> keep : 0;

		out[i] = (uint8_t)(n->octets[i] & ~lost);
	}
}

static bool within(const struct net *addr, const struct net *n)
{
	uint8_t prefix[16];

	if (addr->family != n->family)
		return false;
	mask(prefix, addr, n->bits);
	return memcmp(prefix, n->octets, sizeof(prefix)) == 0;
}

static int read_bits(unsigned *bits, const char *text)
{
	size_t n = strlen(text);
	unsigned value = 0;

	if (n < 1 || n > 3 || strspn(text, DIGITS) != n || (n > 1 && text[0] == '0'))
		return -1;
	for (; *text != '\0'; text++)
		value = 10 * value + (unsigned)(*text - '0');
	if (value > *bits)
		return -1;
	*bits = value;
	return 0;
}

/* An address, or ADDRESS/BITS. */
static int read_net(struct net *out, const char *entry)
{
	char text[SOTTO_NAMES_LINE + 2], *slash;
	uint8_t octets[16] = { 0 };
	unsigned bits;
	int family = strchr(entry, ':') != NULL ? AF_INET6 : AF_INET;

	(void)snprintf(text, sizeof(text), "%s", entry);
	slash = strchr(text, '/');
	if (slash != NULL)
		*slash++ = '\0';
	bits = family == AF_INET ? 32 : 128;
	if (inet_pton(family, text, octets) != 1 || (slash != NULL && read_bits(&bits, slash) != 0))
		return -1;
	if (family == AF_INET6) {
		*out = from_octets(octets, bits);
	} else {
		*out = (struct net){ .family = AF_INET, .bits = bits };
		memcpy(out->octets, octets, 4);
	}
	return 0;
}

static int match_net(struct list *l, const char *entry, const struct net *addr)
{
	char text[INET6_ADDRSTRLEN] = "?";
	uint8_t prefix[16];
	struct net n;

	if (read_net(&n, entry) != 0)
		return fail_entry(l, entry);
	mask(prefix, &n, n.bits);
	if (memcmp(prefix, n.octets, sizeof(prefix)) != 0) {
		(void)inet_ntop(n.family, prefix, text, sizeof(text));
		return fail(l, "the network of '%.60s' is %s/%u", entry, text, n.bits);
	}
	return within(addr, &n);
}

/* ---- names ------------------------------------------------------------------------------------------------- */

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool same(const char *a, const char *b, size_t n)
{
	while (n > 0 && lower(*a) == lower(*b)) {
		a++;
		b++;
		n--;
	}
	return n == 0;
}

/* Octets without a dot at the end. */
static size_t length(const char *name)
{
	size_t n = name != NULL ? strlen(name) : 0;

	return n > 1 && name[n - 1] == '.' ? n - 1 : n;
}

static bool is_plain(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/*
 * Octets of the UTF-8 character at s, or 0. What looks like nothing, like a blank or like a dot (U+0080 to U+00BF, U+2000 to
 * U+206F, U+3000 to U+3003, U+E000 to U+FFFF) comes along when a name is pasted; the entry would then match nobody.
 */
static size_t character(const char *s, size_t n)
{
	unsigned char first = (unsigned char)s[0];
	size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	uint32_t c = first & (0xffU >> (len + 1));

	if (first < 0xc2 || first > 0xf4 || n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if ((c < 0xc0 && c != MIDDLE_DOT) || (c >= 0x2000 && c <= 0x206f) || (c >= 0x3000 && c <= 0x3003) || (c >= 0xd800 && c < 0x10000) ||
	    c > 0x10ffff)
		return 0;
	return (len == 3 && c < 0x800) || (len == 4 && c < 0x10000) ? 0 : len;
}

static bool is_name(const char *s, size_t n)
{
	size_t label = 0, step;

	if (n == 0 || n > NAME)
		return false;
	for (size_t i = 0; i < n; i += step) {
		step = s[i] == '.' || is_plain(s[i]) ? 1 : character(s + i, n - i);
		if (step == 0 || (s[i] == '.' && label == 0) || (s[i] != '.' && label + step > LABEL))
			return false;
		label = s[i] == '.' ? 0 : label + step;
	}
	return label > 0;
}

/* An entry that begins with a dot is the end of a longer name. */
static bool name_matches(const char *name, const char *entry, size_t n)
{
	size_t have = length(name);

	if (entry[0] == '.')
		return have > n && same(name + have - n, entry, n);
	return have == n && same(name, entry, n);
}

static int match_name(struct list *l, const char *entry, const struct sotto_who *who)
{
	size_t n = length(entry), dot = entry[0] == '.';

	if (strncmp(entry, "*.", 2) == 0 && is_name(entry + 2, n - 2))
		return fail(l, "'%.60s' is written as '%.60s'", entry, entry + 1);
	if (!is_name(entry + dot, n - dot))
		return fail_entry(l, entry);
	return name_matches(who->domain, entry, n) || name_matches(who->host, entry, n);
}

/* ---- the file ---------------------------------------------------------------------------------------------- */

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The entry of a line, "" where there is none; NULL: the line is wrong. n octets, and room for a NUL. */
static const char *entry_of(struct list *l, char *s, size_t n)
{
	char *comment;

	if (n > SOTTO_NAMES_LINE && !(n == SOTTO_NAMES_LINE + 1 && s[n - 1] == '\r')) {
		(void)fail(l, "a line of more than %d octets", SOTTO_NAMES_LINE);
		return NULL;
	}
	if (memchr(s, '\0', n) != NULL) {
		(void)fail(l, "a NUL octet");
		return NULL;
	}
	if (l->line == 1 && n >= strlen(BOM) && memcmp(s, BOM, strlen(BOM)) == 0) {
		s += strlen(BOM);
		n -= strlen(BOM);
	}
	comment = memchr(s, '#', n);
	n = comment != NULL ? (size_t)(comment - s) : n;
	while (n > 0 && is_space(s[n - 1]))
		n--;
	s[n] = '\0';
	while (is_space(*s))
		s++;
	return s;
}

static bool is_net(const char *entry)
{
	return strpbrk(entry, ":/") != NULL || strspn(entry, DIGITS ".") == strlen(entry);
}

/* 1: a match; 0: none; -1: the line is wrong. */
static int match_line(struct list *l, char *s, size_t n, const struct sotto_who *who, const struct net *addr)
{
	const char *entry = entry_of(l, s, n);

	if (entry == NULL)
		return -1;
	if (entry[0] == '\0')
		return 0;
	if (strcmp(entry, "*") == 0)
		return 1;
	return is_net(entry) ? match_net(l, entry, addr) : match_name(l, entry, who);
}

/* An octet, or -1: errno is 0 at the end, and says what is wrong otherwise. */
static int next_octet(struct list *l)
{
	ssize_t n;

	if (l->at == l->have) {
		do
			n = read(l->fd, l->buffer, sizeof(l->buffer));
		while (n < 0 && errno == EINTR);
		if (n <= 0) {
			errno = n < 0 ? errno : 0;
			return -1;
		}
		l->at = 0;
		l->have = (size_t)n;
	}
	return (unsigned char)l->buffer[l->at++];
}

/*
 * 1: a line, of which at most SOTTO_NAMES_LINE + 2 octets are kept, enough to see that it is too long; 0: the end; -errno.
 * line has room for one octet more.
 */
static int next_line(struct list *l, char line[SOTTO_NAMES_LINE + 3], size_t *len)
{
	size_t n = 0;
	int c;

	while ((c = next_octet(l)) >= 0 && c != '\n')
		if (n < SOTTO_NAMES_LINE + 2)
			line[n++] = (char)c;
	if (c < 0 && errno != 0)
		return -errno;
	if (c < 0 && n == 0)
		return 0;
	l->line++;
	*len = n;
	return 1;
}

static int match_lines(struct list *l, const struct sotto_who *who)
{
	struct net addr = from_sockaddr(who->addr);
	char line[SOTTO_NAMES_LINE + 3];
	bool found = false;
	size_t len = 0;
	int rc;

	while ((rc = next_line(l, line, &len)) == 1)
		if (match_line(l, line, len, who, &addr) == 1)
			found = true;
	l->line = 0;
	if (rc < 0)
		(void)fail(l, "%s", strerror(-rc));
	return found ? 1 : rc;
}

/* A descriptor, or -errno. */
static int open_list(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), wrong = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0)
		wrong = errno;
	else if (!S_ISREG(st.st_mode))
		wrong = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	if (wrong == 0)
		return fd;
	close(fd);
	return -wrong;
}

int sotto_names_match(const char *path, const struct sotto_who *who, char *err, size_t len)
{
	struct list l = { .path = path, .err = err, .len = len };
	int rc;

	l.fd = open_list(path);
	if (l.fd == -ENOENT)
		return 0;
	if (l.fd < 0) {
		(void)fail(&l, "%s", l.fd == -EINVAL ? "Not a regular file" : strerror(-l.fd));
		return l.fd;
	}
	rc = match_lines(&l, who);
	close(l.fd);
	return rc;
}

void sotto_names_each(const char *path, void (*one)(void *arg, const char *name), void *arg)
{
	struct list l = { .path = path };
	char line[SOTTO_NAMES_LINE + 3];
	size_t len = 0;

	l.fd = open_list(path);
	if (l.fd < 0)
		return;
	while (next_line(&l, line, &len) == 1) {
		const char *entry = entry_of(&l, line, len);

		if (entry != NULL && !is_net(entry) && is_name(entry, length(entry)))
			one(arg, entry);
	}
	close(l.fd);
}
