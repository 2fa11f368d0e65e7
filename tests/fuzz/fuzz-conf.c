/* SPDX-License-Identifier: ISC */
/* sotto.conf (core/runtime/conf.h): whatever is in it, it is read whole, or not at all and with a sentence. */
#include "core/runtime/conf.h"
#include "tests/fuzz/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sotto_conf untouched = { .mode = SOTTO_MODE_OBSERVE, .skip_starttls = true, .pin = SOTTO_PIN_ENFORCE };
	struct sotto_conf c = untouched;
	char err[512] = "";

	if (sotto_conf_read(&c, fuzz_file(data, size), err, sizeof(err)) == 0) {
		MUST(c.mode <= SOTTO_MODE_OPPORTUNISTIC && c.pin <= SOTTO_PIN_ENFORCE);
		MUST(err[0] == '\0');
		MUST(memchr(data, '\0', size) == NULL || size == 0);
	} else {
		MUST(memcmp(&c, &untouched, sizeof(c)) == 0);
		MUST(err[0] != '\0' && strlen(err) < sizeof(err) - 1);
		for (const char *p = err; *p != '\0'; p++)
			MUST((unsigned char)*p >= ' ' && *p != 0x7f);
	}
	return 0;
}
