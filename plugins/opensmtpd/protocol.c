/* SPDX-License-Identifier: ISC */
/* Reads and writes lines of the filter protocol (protocol.h). Called by filter-sotto's parent and, for what it hands on, its worker. */
#include "plugins/opensmtpd/protocol.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Up to the next '|', or the end; *at goes behind it, or is NULL where there is no more. */
static const char *field(const char **at, size_t *len)
{
	const char *begin = *at, *end = begin == NULL ? NULL : strchr(begin, '|');

	*len = begin == NULL ? 0 : end != NULL ? (size_t)(end - begin) : strlen(begin);
	*at = end != NULL ? end + 1 : NULL;
	return begin;
}

static bool is(const char *text, size_t len, const char *word)
{
	return text != NULL && len == strlen(word) && memcmp(text, word, len) == 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 1 to 16 hex digits, and nothing else. */
static bool number(const char **at, uint64_t *out)
{
	size_t len;
	const char *text = field(at, &len);

	*out = 0;
	if (text == NULL || len == 0 || len > 16)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (digit(text[i]) < 0)
			return false;
		*out = *out << 4 | (uint64_t)digit(text[i]);
	}
	return true;
}

/* MAJOR.MINOR and whatever follows; 0: something else. */
static unsigned version(const char *at)
{
	unsigned part[2] = { 0, 0 };

	for (unsigned i = 0; i < 2; i++) {
		if (*at < '0' || *at > '9')
			return 0;
		for (; *at >= '0' && *at <= '9' && part[i] < 1000; at++)
			part[i] = part[i] * 10 + (unsigned)(*at - '0');
		at += i == 0 && *at == '.';
	}
	return part[1] < 100 ? part[0] * 100 + part[1] : 0;
}

static enum sotto_filter_kind config(struct sotto_filter_line *out, const char *at)
{
	if (strncmp(at, "smtpd-version|", 14) == 0) {
		out->version = version(at + 14);
		return SOTTO_FILTER_VERSION;
	}
	if (strcmp(at, "ready") == 0)
		return SOTTO_FILTER_READY;
	if (strcmp(at, "subsystem|smtp-in") == 0)
		return SOTTO_FILTER_IN;
	return strcmp(at, "subsystem|smtp-out") == 0 ? SOTTO_FILTER_OUT : SOTTO_FILTER_OTHER;
}

/* report|VERSION|TIME|SUBSYSTEM|EVENT|SESSION|..., filter|VERSION|TIME|smtp-in|PHASE|SESSION|TOKEN|... */
static enum sotto_filter_kind event(struct sotto_filter_line *out, const char *at, bool request)
{
	size_t len;
	const char *subsystem;

	(void)field(&at, &len);
	(void)field(&at, &len);
	subsystem = field(&at, &len);
	if (request && !is(subsystem, len, "smtp-in"))
		return SOTTO_FILTER_OTHER;
	out->phase = field(&at, &out->phase_len);
	if (out->phase == NULL || !number(&at, &out->session) || (request && !number(&at, &out->token)))
		return SOTTO_FILTER_OTHER;
	out->rest = at;
	if (!request)
		return SOTTO_FILTER_REPORT;
	return sotto_filter_is(out, "data-line") ? SOTTO_FILTER_DATA : SOTTO_FILTER_REQUEST;
}

void sotto_filter_read(struct sotto_filter_line *out, const char *line)
{
	size_t len;
	const char *at = line, *stream = field(&at, &len);

	memset(out, 0, sizeof(*out));
	if (at == NULL)
		return;
	if (is(stream, len, "config"))
		out->kind = config(out, at);
	else if (is(stream, len, "report"))
		out->kind = event(out, at, false);
	else if (is(stream, len, "filter"))
		out->kind = event(out, at, true);
}

bool sotto_filter_is(const struct sotto_filter_line *l, const char *phase)
{
	return is(l->phase, l->phase_len, phase);
}

size_t sotto_filter_proceed(char out[SOTTO_FILTER_ANSWER], uint64_t session, uint64_t token)
{
	return (size_t)snprintf(out, SOTTO_FILTER_ANSWER, "filter-result|%016" PRIx64 "|%016" PRIx64 "|proceed\n", session, token);
}

size_t sotto_filter_register(char out[SOTTO_FILTER_REGISTER], bool in, bool outgoing, bool data)
{
	return (size_t)snprintf(out, SOTTO_FILTER_REGISTER, "%s%s%sregister|ready\n",
				in ? "register|report|smtp-in|link-connect\nregister|report|smtp-in|link-auth\n"
				     "register|report|smtp-in|link-disconnect\nregister|filter|smtp-in|rcpt-to\nregister|filter|smtp-in|commit\n" : "",
				in && data ? "register|report|smtp-in|tx-begin\nregister|filter|smtp-in|data-line\n" : "",
				outgoing ? "register|report|smtp-out|protocol-server\nregister|report|smtp-out|tx-rcpt\n"
					   "register|report|smtp-out|link-disconnect\n" : "");
}
