/* SPDX-License-Identifier: ISC */
/* `sotto status`: whether Sotto is on, what became of the sessions, what is wrong and what to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/cli/adapters.h"
#include "core/cli/enabled.h"
#include "core/cli/findings.h"
#include "core/cli/open-now.h"
#include "core/cli/show.h"
#include "core/cli/tally.h"

enum window { HOUR, DAY, WEEK, WINDOWS };

static const struct {
	const char *name, *head;
	int64_t seconds;
} windows[WINDOWS] = { { "hour", "LAST HOUR", 3600 }, { "day", "LAST DAY", 86400 }, { "week", "LAST WEEK", 7 * 86400 } };

struct sums {
	int64_t now, first;		/* first: the oldest that is known; 0: nothing is */
	struct sotto_tally of[WINDOWS];
};

/* What is from the future has just been. */
static void take(void *arg, const struct sotto_counted *c)
{
	struct sums *s = arg;

	if (s->first == 0 || c->at < s->first)
		s->first = c->at;
	for (unsigned w = 0; w < WINDOWS; w++)
		if (s->now - c->at < windows[w].seconds)
			sotto_tally_add(&s->of[w], c);
}

/* ---- as JSON ---- */

static json_t *way_json(const struct sotto_tally_way_sums *w)
{
	json_t *o = json_object();

	for (unsigned k = 0; k < SOTTO_TALLY_KINDS; k++)
		(void)json_object_set_new(o, sotto_tally_kinds[k], json_integer(w->kinds[k]));
	for (unsigned k = 0; k < SOTTO_TALLY_EVENTS; k++)
		(void)json_object_set_new(o, sotto_tally_events[k], json_integer(w->events[k]));
	return o;
}

static json_t *windows_json(const struct sums *s)
{
	json_t *all = json_object();

	for (unsigned w = 0; w < WINDOWS; w++)
		(void)json_object_set_new(all, windows[w].name, json_pack("{s:o, s:o}", "out", way_json(&s->of[w].ways[SOTTO_TALLY_OUT]), "in",
									   way_json(&s->of[w].ways[SOTTO_TALLY_IN])));
	return all;
}

static int64_t both(const struct sotto_tally *t, enum sotto_tally_event event)
{
	return t->ways[SOTTO_TALLY_OUT].events[event] + t->ways[SOTTO_TALLY_IN].events[event];
}

/* What an administrator should look at is a finding like all others. */
static void judge_events(json_t *findings, const struct sotto_tally *day)
{
	static const struct {
		enum sotto_tally_event event;
		const char *check, *what, *remedy;
	} events[] = {
		{ SOTTO_TALLY_DOWNGRADE, "downgrades", "times a peer that had offered XSOTTO did not any more",
		  "its administrator knows why, or somebody strips it on the way: grep 'downgrade:' in the mail log; put who must be sealed into /etc/sotto/require" },
		{ SOTTO_TALLY_IDENTITY, "identities", "times a peer showed another identity key than before, or none any more",
		  "grep 'identity:' in the mail log, ask its administrator; `sotto forget NAME` accepts the new one" },
		{ SOTTO_TALLY_FALLBACK, "fallbacks", "exchanges failed and went on in the clear",
		  "grep 'fallback:' in the mail log; `sotto probe` tries a peer" },
		{ SOTTO_TALLY_LOST, "lost", "sealed sessions were cut off", "grep 'end=lost' in the mail log; mail in them is tried again by the queue" },
	};

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (both(day, events[i].event) > 0)
			sotto_finding(findings, SOTTO_CLI_WARNING, events[i].check, events[i].remedy, "%" PRId64 " %s in the last day", both(day, events[i].event),
				      events[i].what);
}

static json_t *now_json(const struct sotto_cli *cli)
{
	json_t *sessions = sotto_open_now(cli), *o;
	json_int_t sealed;

	if (sessions == NULL)
		return json_null();
	sealed = (json_int_t)sotto_open_count(sessions, true, true) + (json_int_t)sotto_open_count(sessions, false, true);
	o = json_pack("{s:I, s:I}", "sealed", sealed, "clear", (json_int_t)json_array_size(sessions) - sealed);
	json_decref(sessions);
	return o;
}

/* ---- as text ---- */

static void print_hooks(const struct sotto_cli *cli, const json_t *status)
{
	const char *name;
	json_t *word;

	json_object_foreach(json_object_get(status, "servers"), name, word) {
		const char *text = json_string_value(word);
		enum sotto_paint paint = strcmp(text, "on") == 0 ? SOTTO_GREEN : strcmp(text, "off") == 0 ? SOTTO_YELLOW : SOTTO_RED;
		char since[SOTTO_SHOW_TIME];

		printf("Sotto in %s: ", name);
		sotto_show(cli, paint, text);
		sotto_show_time(since, sotto_show_number(status, "since"));
		if (strcmp(text, "on") == 0 && sotto_show_number(status, "since") > 0)
			printf(" since %s", since);
		(void)putchar('\n');
	}
}

static int64_t sum_of(const struct sotto_tally_way_sums *w)
{
	int64_t n = 0;

	for (unsigned k = 0; k < SOTTO_TALLY_KINDS; k++)
		n += w->kinds[k];
	return n;
}

static void share(char out[32], const struct sotto_tally_way_sums *w, unsigned kind)
{
	int64_t all = sum_of(w), n = w->kinds[kind];

	if (all == 0)
		(void)snprintf(out, 32, "-");
	else
		(void)snprintf(out, 32, "%" PRId64 " (%" PRId64 " %%)", n, n > all / 2 && n < all && n * 100 / all == 100 ? 99 : n * 100 / all);
}

static void print_shares(const struct sotto_cli *cli, const struct sums *s)
{
	static const char *const ways[] = { "outbound", "inbound" };
	static const char *const kinds[] = { "sealed", "STARTTLS", "clear", "left to the mail server", "refused", "nothing said" };
	const char *const heads[] = { "SESSIONS", "", windows[HOUR].head, windows[DAY].head, windows[WEEK].head };
	json_t *rows = json_array();

	for (unsigned way = 0; way < SOTTO_TALLY_WAYS; way++) {
		for (unsigned k = 0; k < SOTTO_TALLY_KINDS; k++) {
			char cells[WINDOWS][32];

			if (k >= SOTTO_TALLY_NATIVE && s->of[WEEK].ways[way].kinds[k] == 0)
				continue;
			for (unsigned w = 0; w < WINDOWS; w++)
				share(cells[w], &s->of[w].ways[way], k);
			(void)json_array_append_new(rows, json_pack("[sssss]", ways[way], kinds[k], cells[HOUR], cells[DAY], cells[WEEK]));
		}
	}
	sotto_show_table(cli, heads, 5, rows);
}

static void print_text(const struct sotto_cli *cli, const json_t *status, const struct sums *s)
{
	const json_t *now = json_object_get(status, "now"), *problems = json_object_get(status, "problems");
	char first[SOTTO_SHOW_TIME];

	print_hooks(cli, status);
	if (json_is_object(now))
		printf("Open now: %" PRId64 " sealed, %" PRId64 " clear\n", sotto_show_number(now, "sealed"), sotto_show_number(now, "clear"));
	(void)putchar('\n');
	print_shares(cli, s);
	sotto_show_time(first, s->first);
	if (s->first != 0 && s->now - s->first < windows[WEEK].seconds)
		printf("(counted since %s)\n", first);
	if (sotto_findings_level(problems) != SOTTO_CLI_OK)
		(void)putchar('\n');
	sotto_findings_print(cli, problems, false);
}

/* ---- */

static json_t *without_ok(json_t *findings)
{
	json_t *problems = json_array(), *one;
	size_t i;

	json_array_foreach(findings, i, one)
		if (strcmp(sotto_show_text(one, "level"), "ok") != 0)
			(void)json_array_append(problems, one);
	json_decref(findings);
	return problems;
}

int sotto_cli_status(struct sotto_cli *cli)
{
	struct sums s = { .now = (int64_t)time(NULL) };
	json_t *hooks = json_object(), *findings = sotto_check_all(cli, hooks), *status;
	int level;

	if (findings == NULL) {
		json_decref(hooks);
		return SOTTO_CLI_UNKNOWN;
	}
	(void)!sotto_counters_read(cli->state, NULL, take, &s);
	judge_events(findings, &s.of[DAY]);
	level = sotto_findings_level(findings);
	status = json_pack("{s:o, s:I, s:o, s:I, s:o, s:o}", "servers", hooks, "since", (json_int_t)sotto_enabled_since(cli->state), "now", now_json(cli),
			   "counted_since", (json_int_t)s.first, "sessions", windows_json(&s), "problems", without_ok(findings));
	if (cli->json)
		return sotto_show_json(status, level);
	print_text(cli, status, &s);
	json_decref(status);
	return level;
}
