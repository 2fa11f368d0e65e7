/* SPDX-License-Identifier: ISC */
/* What table-sotto and its child, sotto-table, say to each other: a packet each, on a socket (SOCK_SEQPACKET). */
#ifndef SOTTO_OPENSMTPD_TABLE_JUDGE_H
#define SOTTO_OPENSMTPD_TABLE_JUDGE_H

#include <stdbool.h>

#include "plugins/opensmtpd/table-talk.h"

#define SOTTO_JUDGE_TALK 3	/* the child's descriptor */

struct sotto_table_question {
	bool relay;
	char key[sizeof(((struct sotto_table_request *)NULL)->key)];
};

struct sotto_table_answer {
	bool found, by_host;	/* by_host: table.h, sotto_table_match */
	char value[SOTTO_TABLE_URL];
};

#endif
