/* SPDX-License-Identifier: ISC */
/*
 * OpenSMTPD's table protocols (plugins/opensmtpd/table-talk.h), imsg frames and lines: any octets, in pieces, are read within what is there; each
 * request takes some of them; each answer is one that fits. The source itself is included, as the core's library has no plugin in it.
 */
#include "plugins/opensmtpd/table-talk.c"	/* NOLINT(bugprone-suspicious-include) */
#include "tests/fuzz/fuzz.h"

static void answered(const struct sotto_table_request *r, const char *value)
{
	uint8_t out[SOTTO_TABLE_OUT];
	size_t n = sotto_table_write(out, r, value);
	struct frame f;

	MUST(n <= sizeof(out));
	if (n == 0)
		return;
	if (r->text) {
		MUST(out[n - 1] == '\n' && memchr(out, '\0', n) == NULL);
		MUST(r->ask == SOTTO_TABLE_OPEN || memchr(out, '\n', n) == out + n - 1);	/* one line */
		return;
	}
	memcpy(&f, out, sizeof(f));
	MUST(f.len == n && f.type == FRAME_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum sotto_table_protocol protocol = SOTTO_TABLE_UNKNOWN;
	struct sotto_table_request r;
	size_t at = 0;
	long n;

	while (at < size) {
		uint8_t *rest = fuzz_copy(data + at, size - at);

		n = sotto_table_read(&r, &protocol, rest, size - at);
		free(rest);
		MUST(n >= -1 && n <= (long)(size - at));
		if (n <= 0)
			break;
		MUST(memchr(r.key, '\0', sizeof(r.key)) != NULL && memchr(r.id, '\0', sizeof(r.id)) != NULL);
		MUST(r.text == (protocol == SOTTO_TABLE_LINES));
		answered(&r, NULL);
		answered(&r, "smtp://127.64.1.2:10027");
		at += (size_t)n;
	}
	return 0;
}
