/* SPDX-License-Identifier: ISC */
/*
 * `sotto metrics`: OpenMetrics text of all that was ever counted, for a Prometheus textfile collector. Numbers only grow: what has left
 * the counters' files is kept in DIR/totals (tally.h), as long as this is called more often than those are filled twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/cli/adapters.h"
#include "core/cli/open-now.h"
#include "core/cli/show.h"
#include "core/cli/tally.h"
#include "core/runtime/version.h"

struct sums {
	struct sotto_tally of[SOTTO_COUNTED_ADAPTERS];
	bool shown[SOTTO_COUNTED_ADAPTERS];
};

/* Adapters that are here, or were. */
static void choose(struct sums *s)
{
	static const struct sotto_tally none;

	for (unsigned i = 0; i < SOTTO_COUNTED_ADAPTERS; i++)
		s->shown[i] = sotto_adapter_present(&sotto_adapters[i]) || memcmp(&s->of[i], &none, sizeof(none)) != 0;
}

static void head(const char *name, const char *type, const char *help)
{
	printf("# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

/* Calls print for every adapter that is shown, both ways. */
static void each(const struct sums *s, void (*print)(const char *labels, const struct sotto_tally_way_sums *w))
{
	for (unsigned i = 0; i < SOTTO_COUNTED_ADAPTERS; i++) {
		for (unsigned way = 0; s->shown[i] && way < SOTTO_TALLY_WAYS; way++) {
			char labels[64];

			(void)snprintf(labels, sizeof(labels), "server=\"%s\",direction=\"%s\"", sotto_tally_adapters[i], sotto_tally_ways[way]);
			print(labels, &s->of[i].ways[way]);
		}
	}
}

static void print_kinds(const char *labels, const struct sotto_tally_way_sums *w)
{
	for (unsigned k = 0; k < SOTTO_TALLY_KINDS; k++)
		printf("sotto_sessions_total{%s,outcome=\"%s\"} %" PRId64 "\n", labels, sotto_tally_kinds[k], w->kinds[k]);
}

static void print_events(const char *labels, const struct sotto_tally_way_sums *w)
{
	for (unsigned k = 0; k < SOTTO_TALLY_EVENTS; k++)
		printf("sotto_events_total{%s,event=\"%s\"} %" PRId64 "\n", labels, sotto_tally_events[k], w->events[k]);
}

static void print_octets(const char *labels, const struct sotto_tally_way_sums *w)
{
	printf("sotto_transferred_bytes_total{%s,way=\"sent\"} %" PRId64 "\nsotto_transferred_bytes_total{%s,way=\"received\"} %" PRId64 "\n", labels, w->sent,
	       labels, w->received);
}

static void print_exchanges(const char *labels, const struct sotto_tally_way_sums *w)
{
	printf("sotto_exchange_seconds_sum{%s} %" PRId64 ".%03d\nsotto_exchange_seconds_count{%s} %" PRId64 "\n", labels, w->exchange_ms / 1000,
	       (int)(w->exchange_ms % 1000), labels, w->exchanges);
}

static void print_open(const json_t *sessions)
{
	for (unsigned inbound = 0; inbound < 2; inbound++)
		for (unsigned sealed = 0; sealed < 2; sealed++)
			printf("sotto_open_sessions{direction=\"%s\",sealed=\"%s\"} %zu\n", inbound ? "in" : "out", sealed ? "yes" : "no",
			       sotto_open_count(sessions, inbound, sealed));
}

static void print_text(const struct sums *s, const json_t *sessions)
{
	head("sotto", "info", "The release of Sotto that is installed.");
	puts("sotto_info{version=\"" SOTTO_RELEASE "\"} 1");
	head("sotto_sessions", "counter", "Sessions that have ended, by what became of them.");
	each(s, print_kinds);
	head("sotto_events", "counter", "What should not happen often: fallbacks, lost sessions, downgrades, changed identities.");
	each(s, print_events);
	head("sotto_transferred_bytes", "counter", "Octets on the connections to other mail servers.");
	puts("# UNIT sotto_transferred_bytes bytes");
	each(s, print_octets);
	head("sotto_exchange_seconds", "summary", "Time from the hello to the keys, of sealed sessions.");
	puts("# UNIT sotto_exchange_seconds seconds");
	each(s, print_exchanges);
	if (sessions != NULL) {
		head("sotto_open_sessions", "gauge", "Sessions that are open now.");
		print_open(sessions);
	}
	puts("# EOF");
}

static json_t *named(const char *const *names, const int64_t *sums, unsigned n)
{
	json_t *o = json_object();

	for (unsigned i = 0; i < n; i++)
		(void)json_object_set_new(o, names[i], json_integer(sums[i]));
	return o;
}

static json_t *way_json(const struct sotto_tally_way_sums *w)
{
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "sessions", named(sotto_tally_kinds, w->kinds, SOTTO_TALLY_KINDS), "events",
			 named(sotto_tally_events, w->events, SOTTO_TALLY_EVENTS), "sent", (json_int_t)w->sent, "received",
			 (json_int_t)w->received, "exchanges", (json_int_t)w->exchanges, "exchange_ms", (json_int_t)w->exchange_ms);
}

static json_t *as_json(const struct sums *s, const json_t *sessions)
{
	json_t *servers = json_object();

	for (unsigned i = 0; i < SOTTO_COUNTED_ADAPTERS; i++)
		if (s->shown[i])
			(void)json_object_set_new(servers, sotto_tally_adapters[i],
						  json_pack("{s:o, s:o}", "out", way_json(&s->of[i].ways[SOTTO_TALLY_OUT]), "in",
							    way_json(&s->of[i].ways[SOTTO_TALLY_IN])));
	return json_pack("{s:s, s:o, s:I}", "version", SOTTO_RELEASE, "servers", servers, "open", (json_int_t)json_array_size(sessions));
}

int sotto_cli_metrics(struct sotto_cli *cli)
{
	json_t *sessions;
	struct sums s;
	int rc, code = SOTTO_CLI_OK;

	if (sotto_act_as_owner(cli) != 0)
		return SOTTO_CLI_UNKNOWN;
	rc = sotto_tally_totals(cli->state, s.of);
	if (rc != 0)
		return sotto_cli_fail("%s cannot be used: %s; do it as root, or see `sotto check`", cli->state, strerror(-rc));
	choose(&s);
	sessions = sotto_open_now(cli);
	if (cli->json)
		code = sotto_show_json(as_json(&s, sessions), code);
	else
		print_text(&s, sessions);
	json_decref(sessions);
	return code;
}
