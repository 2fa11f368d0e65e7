/* SPDX-License-Identifier: ISC */
/*
 * Exim's plugin takes a look of its own at sotto.conf (plugins/exim/conf.h). It must never say "off" of a file that does not say
 * so to the session, because off switches require off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/runtime/conf-words.h"
#include "core/runtime/conf.h"
#include "plugins/exim/conf.h"
#include "tests/unit/conf-files.h"

#define MUTANTS 20000

static char err[512];

/* Whether the plugin says off; it must not do so alone. */
static bool compare(const char *text, size_t len, unsigned long mutant)
{
	const char *path = put_octets("sotto.conf", text, len);
	struct sotto_hints hints = sotto_hints_read(path);
	struct sotto_conf c;
	int rc = sotto_conf_read(&c, path, err, sizeof(err));

	if (hints.off && (rc != 0 || c.mode != SOTTO_MODE_OFF))
		fail_msg("mutant %lu: the plugin says off, the session: %s\n%.*s", mutant, rc != 0 ? err : "on", (int)len, text);
	if (rc == 0 && c.skip_starttls && !hints.skip)
		fail_msg("mutant %lu: the session skips STARTTLS, the plugin does not know\n%.*s", mutant, (int)len, text);
	return hints.off;
}

static void the_plugin_sees_off_where_it_is_said_plainly(void **state)
{
	static const char *const texts[] = { "[sotto]\nmode = off\n", "# x\n\n[sotto]\nmode=off", "[sotto]\r\nmode = off\r\n",
					     "[sotto]\nstarttls = skip\npin = enforce\npadding = off\nmode = off # for now\n" };
	static const char *const others[] = { "", "[sotto]\nmode = observe\n", "[sotto]\n# mode = off\n", "[sotto]\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_true(compare(texts[i], strlen(texts[i]), i));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(compare(others[i], strlen(others[i]), i));
}

static uint64_t roll(uint64_t *seed, uint64_t sides)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return (*seed >> 33) % sides;
}

/* Files put together from pieces that mean something to either reader, always from the same seed. */
static void the_plugin_never_says_off_of_a_file_that_does_not(void **state)
{
	static const char *const pieces[] = {
		"[sotto]\n", "mode = off\n", "mode = off\n", "mode", "=", ":", " ", "\t", "off", "\n", "\r\n", "\r", "\n", ";", "#", " ; x",
		" # x", "starttls = skip\n", "starttls : skip\n", "pin = log\n", "pin = enforce", "padding = on\n", "padding = off\n",
		"mode = observe\n", "mode = opportunistic", "[", "]", "[sotto]", "[x]\n", "\xef\xbb\xbf", "x", "\"", "\v", "\f", "\xa0",
		" mode = off\n", "  skip\n", "\\\n",
	};
	const uint64_t n = sizeof(pieces) / sizeof(pieces[0]);
	uint64_t seed = 1;
	unsigned agreed = 0;

	(void)state;
	for (unsigned long i = 0; i < MUTANTS; i++) {
		char text[256] = "";
		uint64_t left = 1 + roll(&seed, 9);

		if (roll(&seed, 3) > 0)
			strcpy(text, "[sotto]\n");
		while (left-- > 0)
			strcat(text, pieces[roll(&seed, n)]);
		agreed += compare(text, strlen(text) + (roll(&seed, 200) == 0), i);
	}
	assert_true(agreed > MUTANTS / 100);
}

static void long_lines_do_not_part_the_plugin_from_the_session(void **state)
{
	char text[4 * SOTTO_CONF_LINE];

	(void)state;
	for (int n = 1; n < SOTTO_CONF_LINE + 20; n++) {
		int len = snprintf(text, sizeof(text), "[sotto]\nmode =%*soff\n", n, "");

		assert_int_equal(compare(text, (size_t)len, (unsigned long)n), 6 + n + 3 < SOTTO_CONF_LINE);
		len = snprintf(text, sizeof(text), "[sotto]\nmode = off%*s;\n", n, "");
		assert_int_equal(compare(text, (size_t)len, (unsigned long)n), 10 + n + 1 < SOTTO_CONF_LINE);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_plugin_sees_off_where_it_is_said_plainly),
		T(the_plugin_never_says_off_of_a_file_that_does_not),
		T(long_lines_do_not_part_the_plugin_from_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
