/* SPDX-License-Identifier: ISC */
/*
 * sotto-table: table-sotto's child, which judges for it (table.h). A program of its own, because it takes a library to read sotto.conf: where
 * that is missing smtpd's table must be there all the same.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "core/runtime/log.h"
#include "plugins/opensmtpd/table-judge.h"
#include "plugins/opensmtpd/table.h"

/* For `sotto-opensmtpd outgoing`. */
static int check(char *paths)
{
	struct sotto_table table;
	const char *obstacle;

	sotto_table_paths(&table, paths);
	obstacle = sotto_table_obstacle(&table);
	if (obstacle != NULL)
		puts(obstacle);
	return obstacle != NULL;
}

int main(int argc, char **argv)
{
	struct sotto_table table;
	struct sotto_table_question q;
	struct sotto_table_answer a;

	if (argc > 1 && strcmp(argv[1], "--check") == 0)
		return check(argc > 2 ? argv[2] : NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	sotto_log_open("sotto-table", false);
	sotto_table_paths(&table, argc > 1 ? argv[1] : NULL);
	while (recv(SOTTO_JUDGE_TALK, &q, sizeof(q), 0) == (ssize_t)sizeof(q)) {
		q.key[sizeof(q.key) - 1] = '\0';
		memset(&a, 0, sizeof(a));
		a.found = q.relay ? sotto_table_relay(&table, q.key, a.value) :
			  sotto_table_match(&table, q.key, (int64_t)time(NULL), &a.by_host);
		if (send(SOTTO_JUDGE_TALK, &a, sizeof(a), MSG_NOSIGNAL) != (ssize_t)sizeof(a))
			break;
	}
	return 0;
}
