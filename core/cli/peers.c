/* SPDX-License-Identifier: ISC */
/* `sotto peers` and `sotto forget`: what is remembered of other mail servers, and dropping it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cli/adapters.h"
#include "core/cli/remembered.h"
#include "core/cli/show.h"

static const char *yes_no(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_boolean(value) ? (json_is_true(value) ? "yes" : "no") : "unknown";
}

/* As text, "-" for 0. */
static const char *when(char out[SOTTO_SHOW_TIME], const json_t *object, const char *key)
{
	sotto_show_time(out, sotto_show_number(object, key));
	return sotto_show_number(object, key) != 0 ? out : "-";
}

static void print_peers(const struct sotto_cli *cli, const json_t *peers)
{
	static const char *const heads[] = { "ADDRESS", "WAY", "XSOTTO", "LAST SEALED", "LAST SEEN", "FAILURES", "AVOIDED UNTIL", "KEYS" };
	json_t *rows = json_array(), *p;
	size_t i;

	json_array_foreach(peers, i, p) {
		char sealed[SOTTO_SHOW_TIME], seen[SOTTO_SHOW_TIME], avoided[SOTTO_SHOW_TIME], failures[24], keys[24];
		bool inbound = strcmp(sotto_show_text(p, "direction"), "in") == 0;

		(void)snprintf(failures, sizeof(failures), "%lld", (long long)sotto_show_number(p, "failures"));
		(void)snprintf(keys, sizeof(keys), "%zu", json_array_size(json_object_get(p, "keys")));
		(void)json_array_append_new(rows, json_pack("[ssssssss]", sotto_show_text(p, "address"), sotto_show_text(p, "direction"),
							    inbound ? "-" : yes_no(p, "offered"), when(sealed, p, "sealed"),
							    when(seen, p, "seen"), failures, when(avoided, p, "avoided_until"), keys));
	}
	sotto_show_table(cli, heads, 8, rows);
}

static void print_domains(const struct sotto_cli *cli, const json_t *domains)
{
	static const char *const heads[] = { "DOMAIN", "XSOTTO", "LEARNT", "BELIEVED UNTIL" };
	json_t *rows = json_array(), *d;
	size_t i;

	json_array_foreach(domains, i, d) {
		char seen[SOTTO_SHOW_TIME], until[SOTTO_SHOW_TIME];

		(void)json_array_append_new(rows, json_pack("[ssss]", sotto_show_text(d, "domain"), yes_no(d, "offered"), when(seen, d, "seen"),
							    when(until, d, "until")));
	}
	sotto_show_table(cli, heads, 4, rows);
}

static void print_keys(const struct sotto_cli *cli, const json_t *list, const char *name)
{
	static const char *const heads[] = { "NAME", "IDENTITY KEY", "LAST SEEN" };
	json_t *rows = json_array(), *one, *key;
	size_t i, k;

	json_array_foreach(list, i, one) {
		json_array_foreach(json_object_get(one, "keys"), k, key) {
			char seen[SOTTO_SHOW_TIME];

			(void)json_array_append_new(rows, json_pack("[sss]", sotto_show_text(one, name), sotto_show_text(key, "key"),
								    when(seen, key, "seen")));
		}
	}
	if (json_array_size(rows) == 0) {
		json_decref(rows);
		return;
	}
	(void)putchar('\n');
	sotto_show_table(cli, heads, 3, rows);
}

static size_t size_of(const json_t *all)
{
	return json_array_size(json_object_get(all, "peers")) + json_array_size(json_object_get(all, "names")) +
	       json_array_size(json_object_get(all, "domains"));
}

static void print_all(const struct sotto_cli *cli, const json_t *all)
{
	const json_t *peers = json_object_get(all, "peers"), *domains = json_object_get(all, "domains");

	if (size_of(all) == 0) {
		printf("Nothing is remembered%s%s.\n", cli->arg != NULL ? " of " : " yet", cli->arg != NULL ? cli->arg : "");
		return;
	}
	if (json_array_size(peers) > 0)
		print_peers(cli, peers);
	if (json_array_size(domains) > 0) {
		if (json_array_size(peers) > 0)
			(void)putchar('\n');
		print_domains(cli, domains);
	}
	if (cli->arg != NULL) {
		print_keys(cli, peers, "address");
		print_keys(cli, json_object_get(all, "names"), "name");
	}
}

static json_t *recall(const struct sotto_cli *cli)
{
	json_t *all = sotto_act_as_owner(cli) == 0 ? sotto_remembered(cli, cli->arg) : NULL;

	if (all == NULL)
		(void)sotto_cli_fail("%s cannot be read: %s; do it as root, or see `sotto check`", cli->state, strerror(errno));
	return all;
}

int sotto_cli_peers(struct sotto_cli *cli)
{
	json_t *all = recall(cli);

	if (all == NULL)
		return SOTTO_CLI_UNKNOWN;
	if (cli->json)
		return sotto_show_json(all, SOTTO_CLI_OK);
	print_all(cli, all);
	json_decref(all);
	return SOTTO_CLI_OK;
}

int sotto_cli_forget(struct sotto_cli *cli)
{
	json_t *all = recall(cli);
	int n;

	if (all == NULL)
		return SOTTO_CLI_UNKNOWN;
	n = sotto_remembered_drop(cli, all);
	json_decref(all);
	if (n < 0)
		return sotto_cli_fail("not everything could be dropped: %s; do it as root, or see `sotto check`", strerror(-n));
	if (cli->json)
		return sotto_show_json(json_pack("{s:i}", "dropped", n), n > 0 ? SOTTO_CLI_OK : SOTTO_CLI_WARNING);
	if (n == 0)
		printf("Nothing is remembered%s%s.\n", cli->arg != NULL ? " of " : "", cli->arg != NULL ? cli->arg : "");
	else
		printf("Dropped: %d %s.\n", n, n == 1 ? "file" : "files");
	return n > 0 ? SOTTO_CLI_OK : SOTTO_CLI_WARNING;
}
