/* SPDX-License-Identifier: ISC */
/* Reads requests and writes answers of both table protocols (table-talk.h). Called by table-sotto's main. */
#include "plugins/opensmtpd/table-talk.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- frames: OpenSMTPD 6.8's smtpd-api.h ---- */

#define K_DOMAIN 0x002
#define K_RELAYHOST 0x200

enum { FRAME_OK, FRAME_FAIL, FRAME_OPEN, FRAME_CLOSE, FRAME_UPDATE, FRAME_CHECK, FRAME_LOOKUP, FRAME_FETCH };

struct frame {
	uint32_t type;
	uint16_t len, flags;	/* len: this header included */
	uint32_t peer, pid;
};

/* service, a count of parameters (none), and the key with its NUL. */
static void read_question(struct sotto_table_request *out, const uint8_t *at, size_t n)
{
	uint32_t service;
	size_t head = sizeof(service) + sizeof(size_t);

	if (n <= head || at[n - 1] != '\0')
		return;
	memcpy(&service, at, sizeof(service));
	out->relay = service == K_RELAYHOST;
	out->known = out->relay || service == K_DOMAIN;
	if (n - head <= sizeof(out->key))
		memcpy(out->key, at + head, n - head);
}

static long read_frame(struct sotto_table_request *out, const uint8_t *octets, size_t n)
{
	static const enum sotto_table_ask asks[] = {
		[FRAME_OPEN] = SOTTO_TABLE_OPEN, [FRAME_CLOSE] = SOTTO_TABLE_CLOSE, [FRAME_UPDATE] = SOTTO_TABLE_UPDATE,
		[FRAME_CHECK] = SOTTO_TABLE_CHECK, [FRAME_LOOKUP] = SOTTO_TABLE_LOOKUP, [FRAME_FETCH] = SOTTO_TABLE_FETCH,
	};
	struct frame f;

	if (n < sizeof(f))
		return 0;
	memcpy(&f, octets, sizeof(f));
	if (f.len < sizeof(f) || f.len > SOTTO_TABLE_IN)
		return -1;
	if (n < f.len)
		return 0;
	/* one that we don't know is answered all the same, by "nothing": smtpd waits */
	out->ask = f.type < sizeof(asks) / sizeof(*asks) ? asks[f.type] : SOTTO_TABLE_FETCH;
	if (out->ask == SOTTO_TABLE_CHECK || out->ask == SOTTO_TABLE_LOOKUP)
		read_question(out, octets + sizeof(f), f.len - sizeof(f));
	return f.len;
}

static size_t write_frame(uint8_t *out, const struct sotto_table_request *r, const char *value)
{
	struct frame f = { .type = FRAME_OK, .pid = (uint32_t)getpid() };
	int32_t found = r->ask == SOTTO_TABLE_UPDATE || value != NULL;
	size_t n = sizeof(f);

	if (r->ask != SOTTO_TABLE_OPEN) {
		memcpy(out + n, &found, sizeof(found));
		n += sizeof(found);
	}
	if (r->ask == SOTTO_TABLE_LOOKUP && value != NULL) {
		size_t len = strnlen(value, SOTTO_TABLE_URL - 1);

		memcpy(out + n, value, len);
		out[n + len] = '\0';
		n += len + 1;
	}
	f.len = (uint16_t)n;
	memcpy(out, &f, sizeof(f));
	return n;
}

/* ---- lines: smtpd-tables(7) ---- */

/* Up to the next '|': copied where it fits, "" where not; what stands behind it, or NULL. */
static const char *field(const char *at, char *out, size_t size)
{
	const char *end = at == NULL ? NULL : strchr(at, '|');
	size_t n = at == NULL ? 0 : end != NULL ? (size_t)(end - at) : strlen(at);

	out[0] = '\0';
	if (at != NULL && n < size) {
		memcpy(out, at, n);
		out[n] = '\0';
	}
	return end != NULL ? end + 1 : NULL;
}

static void rest(const char *at, char *out, size_t size)
{
	size_t n = at == NULL ? 0 : strlen(at);

	if (n > 0 && n < size)
		memcpy(out, at, n + 1);
}

/* table|VERSION|TIME|NAME|update|ID, table|VERSION|TIME|NAME|check|SERVICE|ID|KEY */
static void read_line(struct sotto_table_request *out, const char *line)
{
	char word[32];
	const char *at = field(line, word, sizeof(word));

	if (strcmp(line, "config|ready") == 0)
		out->ask = SOTTO_TABLE_OPEN;
	if (strcmp(word, "table") != 0)
		return;
	for (unsigned i = 0; i < 3; i++)
		at = field(at, word, sizeof(word));
	at = field(at, word, sizeof(word));
	if (strcmp(word, "update") == 0) {
		out->ask = SOTTO_TABLE_UPDATE;
		(void)field(at, out->id, sizeof(out->id));
		return;
	}
	out->ask = strcmp(word, "check") == 0 ? SOTTO_TABLE_CHECK : strcmp(word, "lookup") == 0 ? SOTTO_TABLE_LOOKUP :
		   strcmp(word, "fetch") == 0 ? SOTTO_TABLE_FETCH : SOTTO_TABLE_NOTHING;
	at = field(at, word, sizeof(word));
	out->relay = strcmp(word, "relayhost") == 0;
	out->known = out->relay || strcmp(word, "domain") == 0;
	at = field(at, out->id, sizeof(out->id));
	rest(at, out->key, sizeof(out->key));
}

static long read_text(struct sotto_table_request *out, const uint8_t *octets, size_t n)
{
	static char line[SOTTO_TABLE_IN + 1];
	const uint8_t *end = memchr(octets, '\n', n);
	size_t len = end != NULL ? (size_t)(end - octets) : 0;

	if (end == NULL)
		return n < SOTTO_TABLE_IN ? 0 : -1;
	memcpy(line, octets, len);
	line[len] = '\0';
	read_line(out, line);
	return (long)len + 1;
}

static size_t write_text(uint8_t *out, const struct sotto_table_request *r, const char *value)
{
	char *text = (char *)out;
	int n = 0;

	if (r->ask == SOTTO_TABLE_OPEN)
		n = snprintf(text, SOTTO_TABLE_OUT, "register|domain\nregister|relayhost\nregister|ready\n");
	else if (r->ask == SOTTO_TABLE_UPDATE)
		n = snprintf(text, SOTTO_TABLE_OUT, "update-result|%s|ok\n", r->id);
	else if (r->ask == SOTTO_TABLE_CHECK)
		n = snprintf(text, SOTTO_TABLE_OUT, "check-result|%s|%s\n", r->id, value != NULL ? "found" : "not-found");
	else if (r->ask == SOTTO_TABLE_LOOKUP)
		n = snprintf(text, SOTTO_TABLE_OUT, "lookup-result|%s|%s%.*s\n", r->id, value != NULL ? "found|" : "not-found", SOTTO_TABLE_URL,
			     value != NULL ? value : "");
	else if (r->ask == SOTTO_TABLE_FETCH)
		n = snprintf(text, SOTTO_TABLE_OUT, "fetch-result|%s|not-found\n", r->id);
	return n > 0 ? (size_t)n : 0;
}

/* ---- either ---- */

long sotto_table_read(struct sotto_table_request *out, enum sotto_table_protocol *protocol, const uint8_t *octets, size_t n)
{
	memset(out, 0, sizeof(*out));
	if (n == 0)
		return 0;
	/* the first frame is the one that opens: its type's octets are no letters */
	if (*protocol == SOTTO_TABLE_UNKNOWN)
		*protocol = octets[0] >= 'a' && octets[0] <= 'z' ? SOTTO_TABLE_LINES : SOTTO_TABLE_FRAMES;
	out->text = *protocol == SOTTO_TABLE_LINES;
	return out->text ? read_text(out, octets, n) : read_frame(out, octets, n);
}

size_t sotto_table_write(uint8_t out[SOTTO_TABLE_OUT], const struct sotto_table_request *r, const char *value)
{
	if (r->ask == SOTTO_TABLE_NOTHING || r->ask == SOTTO_TABLE_CLOSE)
		return 0;
	return r->text ? write_text(out, r, value) : write_frame(out, r, value);
}
