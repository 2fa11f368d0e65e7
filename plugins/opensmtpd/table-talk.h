/* SPDX-License-Identifier: ISC */
/*
 * OpenSMTPD's two table protocols: imsg(3) frames (6.8) and lines of text (7.6, smtpd-tables(7)), told apart by the first octet. Pure: octets
 * in, what is asked out; an answer, octets. libc only. smtpd waits for each answer, and ends itself where it doesn't understand it.
 */
#ifndef SOTTO_OPENSMTPD_TABLE_TALK_H
#define SOTTO_OPENSMTPD_TABLE_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"
#include "plugins/opensmtpd/table.h"

#define SOTTO_TABLE_IN 16384		/* the largest imsg; and more than any line of smtpd's that has a domain in it */
#define SOTTO_TABLE_OUT 1024

enum sotto_table_ask {
	SOTTO_TABLE_NOTHING,	/* no answer is owed */
	SOTTO_TABLE_OPEN,	/* imsg: that we are there; text: what we serve */
	SOTTO_TABLE_UPDATE,
	SOTTO_TABLE_CHECK,	/* is there such a key */
	SOTTO_TABLE_LOOKUP,	/* what does it stand for */
	SOTTO_TABLE_FETCH,	/* any entry */
	SOTTO_TABLE_CLOSE
};

struct sotto_table_request {
	enum sotto_table_ask ask;
	bool text;
	bool relay;		/* the service is relayhost; otherwise domain, or one that we have nothing for */
	bool known;		/* the service is one of both */
	char key[SOTTO_FILE_NAME + 64];	/* "": none, or too long to be a domain */
	char id[64];		/* text: as smtpd said it */
};

enum sotto_table_protocol { SOTTO_TABLE_UNKNOWN, SOTTO_TABLE_FRAMES, SOTTO_TABLE_LINES };

/*
 * How many octets the first request takes; 0: not all of it is there; -1: nothing that could be read on from. Which protocol it is, is seen by
 * the first octet of all, and stays so.
 */
SOTTO_CHECKED long sotto_table_read(struct sotto_table_request *out, enum sotto_table_protocol *protocol, const uint8_t *octets, size_t n);

/* value: what was found, NULL: nothing. How many octets; 0: none is owed. */
size_t sotto_table_write(uint8_t out[SOTTO_TABLE_OUT], const struct sotto_table_request *r, const char *value);

#endif
