/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-hello.c - the XSOTTO command and its answer, at every length and in every malformed shape.
 */
#include "tests/unit/protocol-octets.h"

#include "core/protocol/hello.h"

static enum sotto_command_error command(const char *line, size_t *length)
{
	size_t len = strlen(line);
	uint8_t *copy = malloc(len);
	enum sotto_command_error e;

	assert_non_null(copy);
	memcpy(copy, line, len);
	*length = 77777;
	e = sotto_command_read(copy, len, length);
	free(copy);
	return e;
}

static void our_own_command_is_good(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(command(SOTTO_COMMAND, &n), SOTTO_COMMAND_GOOD);
	assert_int_equal(n, SOTTO_CLIENT_HELLO);
	assert_int_equal(command("xsotto 1 1216\r\n", &n), SOTTO_COMMAND_GOOD);
	assert_int_equal(SOTTO_CLIENT_HELLO, 1216);
	assert_int_equal(SOTTO_SERVER_HELLO, 1136);
}

/* PROTOCOL.md 3: a length that is no number or over 4096 leaves the server unable to find the next command. */
static void without_a_length_nobody_can_stay_in_step(void **state)
{
	static const char *const lines[] = {
		"XSOTTO\r\n",	       "XSOTTO \r\n",	     "XSOTTO 1\r\n",	   "XSOTTO 1 \r\n",	 "XSOTTO 1 4097\r\n",
		"XSOTTO 1 99999\r\n",  "XSOTTO 1 100000\r\n", "XSOTTO 1 01216\r\n", "XSOTTO 1 00\r\n",	 "XSOTTO 1 1216 \r\n",
		"XSOTTO 1 1216 x\r\n", "XSOTTO 1 1216x\r\n",  "XSOTTO 1  1216\r\n", "XSOTTO 1 -1\r\n",	 "XSOTTO 1 +1\r\n",
		"XSOTTO 1 0x10\r\n",   "XSOTTO 1\t1216\r\n",  "XSOTTO 1 1216\t\r\n", "XSOTTO 1 12 16\r\n", "XSOTTO 1 4294967296\r\n",
		"XSOTTO 1 18446744073709551616\r\n"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t n;

		if (command(lines[i], &n) != SOTTO_COMMAND_NO_LENGTH || n != 77777)
			fail_msg("a length was found in %s", lines[i]);
	}
}

static void with_a_length_the_error_waits_for_the_hello(void **state)
{
	static const struct {
		const char *line;
		size_t length;
		enum sotto_command_error error;
	} lines[] = { { "XSOTTO 1 0\r\n", 0, SOTTO_COMMAND_GOOD },	    { "XSOTTO 1 4096\r\n", 4096, SOTTO_COMMAND_GOOD },
		      { "XSOTTO 2 1216\r\n", 1216, SOTTO_COMMAND_VERSION }, { "XSOTTO 0 5\r\n", 5, SOTTO_COMMAND_VERSION },
		      { "XSOTTO 999 9\r\n", 9, SOTTO_COMMAND_VERSION },	    { "XSOTTO 11 9\r\n", 9, SOTTO_COMMAND_VERSION },
		      { "XSOTTO 01 9\r\n", 9, SOTTO_COMMAND_MALFORMED },    { "XSOTTO 1000 9\r\n", 9, SOTTO_COMMAND_MALFORMED },
		      { "XSOTTO x 9\r\n", 9, SOTTO_COMMAND_MALFORMED },	    { "XSOTTO 1x 9\r\n", 9, SOTTO_COMMAND_MALFORMED },
		      { "XSOTTO  1216\r\n", 1216, SOTTO_COMMAND_MALFORMED } };

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t n;

		if (command(lines[i].line, &n) != lines[i].error || n != lines[i].length)
			fail_msg("read otherwise: %s", lines[i].line);
	}
}

static enum sotto_answer answer(const char *p, size_t len, size_t *line_len, unsigned *code)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	enum sotto_answer a;

	assert_non_null(copy);
	memcpy(copy, p, len);
	a = sotto_answer_read(copy, len, line_len, code);
	free(copy);
	return a;
}

static void check_answer(const char *text, enum sotto_answer want, unsigned want_code)
{
	size_t len = strlen(text), n = 0;
	unsigned code = 0;

	/* no part of it is taken for anything */
	for (size_t part = 0; part < len; part++) {
		if (answer(text, part, &n, &code) != SOTTO_ANSWER_PART)
			fail_msg("%zu octets are no part: %s", part, text);
	}
	if (answer(text, len, &n, &code) != want)
		fail_msg("read otherwise: %s", text);
	assert_int_equal(code, want_code);
	assert_int_equal(n, len);
}

static void answers_of_those_who_know_the_extension(void **state)
{
	(void)state;
	check_answer("220 \r\n", SOTTO_ANSWER_GO, 220);
	check_answer(SOTTO_GO, SOTTO_ANSWER_GO, 220);
	check_answer("220 \xff anything\r\n", SOTTO_ANSWER_GO, 220);
	check_answer("454 4.7.0 XSOTTO not now\r\n", SOTTO_ANSWER_REFUSED, 454);
	check_answer("501 5.5.4 XSOTTO\r\n", SOTTO_ANSWER_REFUSED, 501);
	check_answer("503 5.5.1 XSOTTO x\r\n", SOTTO_ANSWER_REFUSED, 503);
	check_answer("504 5.5.4 xsotto x\r\n", SOTTO_ANSWER_REFUSED, 504);
}

static void the_hello_may_follow_220_but_nothing_a_refusal(void **state)
{
	const char go[] = "220 x\r\n\x01\x02", refusal[] = "454 4.7.0 XSOTTO x\r\n2";
	size_t n;
	unsigned code;

	(void)state;
	assert_int_equal(answer(go, sizeof(go) - 1, &n, &code), SOTTO_ANSWER_GO);
	assert_int_equal(n, 7);
	assert_int_equal(answer(refusal, sizeof(refusal) - 1, &n, &code), SOTTO_ANSWER_OTHER);
}

/* PROTOCOL.md 3: whatever else comes was not said by somebody who knows the extension. */
static void every_other_answer_is_none(void **state)
{
	static const char *const others[] = {
		"220-x\r\n",	       "220\r\n",	       "2200 x\r\n",	      "220\tx\r\n",	   "250 2.0.0 XSOTTO\r\n",
		"221 x\r\n",	       "421 4.7.0 XSOTTO\r\n", "500 5.5.1 XSOTTO\r\n", "502 5.5.1 XSOTTO\r\n", "454 XSOTTO\r\n",
		"454 4.7.0 x\r\n",     "454 4.7.0 XSOTTOX\r\n", "454 4.7.0\r\n",       "454\r\n",	   "501-5.5.4 XSOTTO\r\n",
		"454 x4.7.0 XSOTTO\r\n", "454  XSOTTO\r\n",    "454 4.7.0  XSOTTO\r\n", "503 5.5.1 command XSOTTO\r\n",
		"220 x\n",	       "220 x\rx",	       "\r\n",		      "XSOTTO\r\n",	   "455 4.7.0 XSOTTO\r\n",
		"go ahead 220\r\n",    " 220 x\r\n"
	};
	size_t n;
	unsigned code;
	char longest[600];

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (answer(others[i], strlen(others[i]), &n, &code) != SOTTO_ANSWER_OTHER)
			fail_msg("taken for an answer: %s", others[i]);
	}
	assert_int_equal(answer("22", 2, &n, &code), SOTTO_ANSWER_PART);
	assert_int_equal(answer("0", 1, &n, &code), SOTTO_ANSWER_OTHER);
	assert_int_equal(answer("220 \0\r\n", 7, &n, &code), SOTTO_ANSWER_OTHER);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "220 ", 4);
	memcpy(longest + 510, "\r\n", 2);
	assert_int_equal(answer(longest, 512, &n, &code), SOTTO_ANSWER_GO);
	memcpy(longest + 510, "x\r\n", 3);
	assert_int_equal(answer(longest, 511, &n, &code), SOTTO_ANSWER_PART);
	assert_int_equal(answer(longest, 513, &n, &code), SOTTO_ANSWER_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_command_is_good),
		cmocka_unit_test(without_a_length_nobody_can_stay_in_step),
		cmocka_unit_test(with_a_length_the_error_waits_for_the_hello),
		cmocka_unit_test(answers_of_those_who_know_the_extension),
		cmocka_unit_test(the_hello_may_follow_220_but_nothing_a_refusal),
		cmocka_unit_test(every_other_answer_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
