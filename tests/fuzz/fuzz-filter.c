/* SPDX-License-Identifier: ISC */
/*
 * OpenSMTPD's filter protocol (plugins/opensmtpd/protocol.h): any line is read within its octets; who is owed an answer gets one in which smtpd
 * finds its session and token again. The source itself is included, as the core's library has no plugin in it.
 */
#include "plugins/opensmtpd/protocol.c"		/* NOLINT(bugprone-suspicious-include) */
#include "tests/fuzz/fuzz.h"

/* What is said of a line lies in it, and ends in it. */
static void in_it(const struct sotto_filter_line *l, const char *line)
{
	const char *end = line + strlen(line);

	MUST(l->phase != NULL && l->phase >= line && l->phase + l->phase_len <= end && memchr(l->phase, '|', l->phase_len) == NULL);
	MUST(l->rest == NULL || (l->rest > l->phase && l->rest <= end && l->rest[-1] == '|'));
}

static void answered(const struct sotto_filter_line *l)
{
	char out[SOTTO_FILTER_ANSWER], again[200] = "filter|0.7|1.0|smtp-in|rcpt-to|";
	size_t n = sotto_filter_proceed(out, l->session, l->token);
	struct sotto_filter_line back;

	MUST(n == strlen(out) && n < sizeof(out) && out[n - 1] == '\n' && strncmp(out, "filter-result|", 14) == 0);
	(void)snprintf(again + strlen(again), sizeof(again) - strlen(again), "%s", out + 14);
	sotto_filter_read(&back, again);
	MUST(back.kind == SOTTO_FILTER_REQUEST && back.session == l->session && back.token == l->token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct sotto_filter_line l;

	MUST(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	sotto_filter_read(&l, text);
	MUST(l.kind <= SOTTO_FILTER_DATA && l.version <= 100099);
	if (l.kind == SOTTO_FILTER_REPORT || l.kind == SOTTO_FILTER_REQUEST || l.kind == SOTTO_FILTER_DATA)
		in_it(&l, text);
	if (l.kind == SOTTO_FILTER_REQUEST || l.kind == SOTTO_FILTER_DATA)
		answered(&l);
	free(text);
	return 0;
}
