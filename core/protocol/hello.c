/* SPDX-License-Identifier: ISC */
/*
 * Reads the XSOTTO command (for session-accept.c) and the answer to it (for session-connect.c). Decides nothing: what
 * follows from a malformed command or an unknown answer stands in those two.
 */
#include "core/protocol/hello.h"

#include <string.h>
#include <strings.h>

#include "core/protocol/smtp.h"

#define NOT_A_NUMBER 100000u

/* 1*`max_digits` DIGIT, no leading zero, from *at to the next space or CR; moves *at there. */
static unsigned number(const uint8_t *line, size_t len, size_t *at, size_t max_digits)
{
	size_t start = *at, n;
	unsigned value = 0;

	while (*at < len && line[*at] >= '0' && line[*at] <= '9' && *at - start < max_digits)
		value = value * 10 + (unsigned)(line[(*at)++] - '0');
	n = *at - start;
	if (n == 0 || (n > 1 && line[start] == '0') || *at == len || (line[*at] != ' ' && line[*at] != '\r'))
		return NOT_A_NUMBER;
	return value;
}

/* "XSOTTO" SP version SP length CRLF. The length is read first: without it nobody can stay in step. */
enum sotto_command_error sotto_command_read(const uint8_t *line, size_t len, size_t *length)
{
	size_t at = strlen("XSOTTO "), version_at = at, length_at;
	unsigned version, n;

	while (at < len && line[at] != ' ' && line[at] != '\r')
		at++;
	if (at >= len || line[at] != ' ')
		return SOTTO_COMMAND_NO_LENGTH;
	length_at = at + 1;
	n = number(line, len, &length_at, 5);
	if (n > SOTTO_HELLO_MAX || line[length_at] != '\r')
		return SOTTO_COMMAND_NO_LENGTH;
	*length = n;
	version = number(line, len, &version_at, 3);
	if (version == NOT_A_NUMBER)
		return SOTTO_COMMAND_MALFORMED;
	return version == SOTTO_VERSION ? SOTTO_COMMAND_GOOD : SOTTO_COMMAND_VERSION;
}

/* Behind "NNN ": an enhanced code (RFC 3463) and the word XSOTTO. */
static int names_the_extension(const uint8_t *line, size_t len)
{
	size_t at = 4;

	while (at < len && ((line[at] >= '0' && line[at] <= '9') || line[at] == '.'))
		at++;
	if (at == 4 || at >= len || line[at] != ' ')
		return 0;
	return sotto_smtp_verb(line + at + 1, len - at - 1, "XSOTTO");
}

static const struct {
	char text[5];
	unsigned code;
} answers[] = { { "220 ", 220 }, { "454 ", 454 }, { "501 ", 501 }, { "503 ", 503 }, { "504 ", 504 } };

/* The code of the answer that `p` begins like, as far as it has come; 0 where that is none. */
static unsigned answer_code(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (memcmp(p, answers[i].text, len < 4 ? len : 4) == 0)
			return answers[i].code;
	}
	return 0;
}

enum sotto_answer sotto_answer_read(const uint8_t *p, size_t len, size_t *line_len, unsigned *code)
{
	unsigned seen = answer_code(p, len);
	size_t n;

	if (seen == 0)
		return SOTTO_ANSWER_OTHER;
	switch (sotto_smtp_line(p, len, SOTTO_GO_MAX, &n)) {
	case SOTTO_FOUND_PART:
		return SOTTO_ANSWER_PART;
	case SOTTO_FOUND_ODD:
		return SOTTO_ANSWER_OTHER;
	case SOTTO_FOUND_WHOLE:
		break;
	}
	if (n < 6 || (seen != 220 && (!names_the_extension(p, n) || len > n)))
		return SOTTO_ANSWER_OTHER;
	*line_len = n;
	*code = seen;
	return seen == 220 ? SOTTO_ANSWER_GO : SOTTO_ANSWER_REFUSED;
}
