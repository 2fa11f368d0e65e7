/* SPDX-License-Identifier: ISC */
/*
 * The XSOTTO command and the answer to it (PROTOCOL.md 3). Reader and writer of one message stand together; both only
 * report what is there.
 */
#ifndef SOTTO_PROTOCOL_HELLO_H
#define SOTTO_PROTOCOL_HELLO_H

#include <stddef.h>
#include <stdint.h>

#define SOTTO_VERSION 1
#define SOTTO_HELLO_MAX 4096		/* octets of any client hello */
#define SOTTO_CLIENT_HELLO 1216		/* ek[1184] X[32] */
#define SOTTO_SERVER_HELLO 1136		/* ct[1088] Y[32] tag[16] */
#define SOTTO_GO_MAX 512		/* the 220 line, CRLF included */

#define SOTTO_COMMAND "XSOTTO 1 1216\r\n"
#define SOTTO_GO "220 2.0.0 XSOTTO go ahead\r\n"

enum sotto_command_error {
	SOTTO_COMMAND_GOOD = 0,
	SOTTO_COMMAND_NO_LENGTH,	/* the next command cannot be found: 501, then close */
	SOTTO_COMMAND_MALFORMED,	/* 501 once the hello has been read */
	SOTTO_COMMAND_VERSION		/* 504 once the hello has been read */
};

/* Reads a whole command line whose verb is XSOTTO. *length (at most SOTTO_HELLO_MAX) is set unless NO_LENGTH. */
enum sotto_command_error sotto_command_read(const uint8_t *line, size_t len, size_t *length);

enum sotto_answer {
	SOTTO_ANSWER_PART,	/* more octets are needed */
	SOTTO_ANSWER_GO,	/* 220: the server hello follows the line */
	SOTTO_ANSWER_REFUSED,	/* 454, 501, 503 or 504 with the word XSOTTO, one line and nothing behind it */
	SOTTO_ANSWER_OTHER	/* not said by somebody who knows the extension */
};

/* Reads the answer to the command. *line_len and *code are set with GO and REFUSED. */
enum sotto_answer sotto_answer_read(const uint8_t *p, size_t len, size_t *line_len, unsigned *code);

#endif
