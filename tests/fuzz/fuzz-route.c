/* SPDX-License-Identifier: ISC */
/*
 * The files of OpenSMTPD's routes (plugins/opensmtpd/route.h): whatever is in one, it is read whole or not at all, and what was read can be written
 * and read again. With a right check put under it, since no fuzzer finds one. The source itself is included, as the core's library has no
 * plugin in it.
 */
#include "plugins/opensmtpd/route.c"	/* NOLINT(bugprone-suspicious-include) */
#include "tests/fuzz/fuzz.h"

static void taken(const char *text, size_t n)
{
	static const struct sotto_route none;
	struct sotto_text_out out;
	struct sotto_route r, again;
	char *copy = (char *)fuzz_copy((const uint8_t *)text, n);

	if (!read_text(&r, copy, n)) {
		MUST(memcmp(&r, &none, sizeof(r)) == 0);
	} else {
		MUST(r.domain[0] != '\0' && strchr(r.domain, '/') == NULL && strchr(r.host, '/') == NULL && r.until >= 0);
		MUST(write_text(&out, &r) == 0 && read_text(&again, out.at, out.n));
		MUST(strcmp(again.domain, r.domain) == 0 && strcmp(again.host, r.host) == 0 && again.until == r.until);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sotto_text_out out = { .n = 0 };

	taken((const char *)data, size);
	if (size < SOTTO_TEXT_MAX - 64) {
		if (size > 0)
			memcpy(out.at, data, size);
		out.n = size;
		if (sotto_text_finish(&out) == 0)
			taken(out.at, out.n);
	}
	return 0;
}
