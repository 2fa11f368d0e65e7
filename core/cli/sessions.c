/* SPDX-License-Identifier: ISC */
/* `sotto sessions`: those open now (open-now.h), from their files under /run/sotto. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cli/adapters.h"
#include "core/cli/open-now.h"
#include "core/cli/show.h"
#include "core/runtime/live.h"

static void take(void *arg, const char *peer, const struct sotto_live *live)
{
	(void)json_array_append_new(arg, json_pack("{s:o, s:s, s:s, s:b, s:I, s:s, s:I, s:I}", "peer", sotto_show_clean(peer, strlen(peer)),
						   "direction", live->inbound ? "in" : "out", "server", live->adapter, "sealed", live->sealed,
						   "version", (json_int_t)live->version, "id", live->id, "pid", (json_int_t)live->pid,
						   "since", (json_int_t)live->since));
}

json_t *sotto_open_now(const struct sotto_cli *cli)
{
	json_t *all = json_array();
	int rc = sotto_live_list(cli->run, take, all);

	if (rc == 0)
		return all;
	json_decref(all);
	errno = -rc;
	return NULL;
}

size_t sotto_open_count(const json_t *sessions, bool inbound, bool sealed)
{
	size_t i, n = 0;
	json_t *s;

	json_array_foreach(sessions, i, s)
		n += json_is_true(json_object_get(s, "sealed")) == sealed && (strcmp(sotto_show_text(s, "direction"), "in") == 0) == inbound;
	return n;
}

static void print(const struct sotto_cli *cli, const json_t *all)
{
	static const char *const heads[] = { "PEER", "WAY", "SERVER", "STATE", "SINCE", "PID", "ID" };
	int64_t now = (int64_t)time(NULL);
	json_t *rows = json_array(), *s;
	size_t i;

	json_array_foreach(all, i, s) {
		char since[SOTTO_SHOW_TIME], pid[24];

		sotto_show_span(since, now - sotto_show_number(s, "since"));
		(void)snprintf(pid, sizeof(pid), "%lld", (long long)sotto_show_number(s, "pid"));
		(void)json_array_append_new(rows, json_pack("[sssssss]", sotto_show_text(s, "peer"), sotto_show_text(s, "direction"),
							    sotto_show_text(s, "server"), json_is_true(json_object_get(s, "sealed")) ? "sealed" : "clear",
							    since, pid, sotto_show_text(s, "id")));
	}
	sotto_show_table(cli, heads, 7, rows);
}

int sotto_cli_sessions(struct sotto_cli *cli)
{
	json_t *all = sotto_act_as_owner(cli) == 0 ? sotto_open_now(cli) : NULL;

	if (all == NULL)
		return sotto_cli_fail("%s cannot be read: %s; do it as root, or see `sotto check`", cli->run, strerror(errno));
	if (cli->json)
		return sotto_show_json(all, SOTTO_CLI_OK);
	if (json_array_size(all) == 0)
		puts("No session is open.");
	else
		print(cli, all);
	json_decref(all);
	return SOTTO_CLI_OK;
}
