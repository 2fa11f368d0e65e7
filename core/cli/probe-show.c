/* SPDX-License-Identifier: ISC */
/* `sotto probe`: prints what probe.c found. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/cli/adapters.h"
#include "core/cli/probe.h"
#include "core/cli/show.h"

static const struct {
	const char *word, *says;
	int code;
	enum sotto_paint paint;
} results[] = {
	{ "sealed", "the exchange succeeded; mail is sealed", SOTTO_CLI_OK, SOTTO_GREEN },
	{ "clear", "not sealed; mail goes as it would without Sotto", SOTTO_CLI_WARNING, SOTTO_YELLOW },
	{ "failed", "XSOTTO is offered, and the exchange failed; mail goes in the clear, or waits where encryption is required", SOTTO_CLI_CRITICAL, SOTTO_RED },
	{ "unreachable", "there was no mail server to talk to", SOTTO_CLI_CRITICAL, SOTTO_RED },
};

static const char *of(const char *word)
{
	static const struct { const char *word, *says; } words[] = {
		{ "none", "it has no identity key" }, { "first", "not seen before" }, { "known", "known" },
		{ "changed", "another than before: ask its administrator" }, { "absent", "none, and it had one before: ask its administrator" },
		{ "unseen", "did not come" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].says;
	return word;
}

static void line(const char *name, const char *text)
{
	printf("%-10s %s\n", name, text);
}

static void print_hosts(const json_t *found)
{
	json_t *host;
	size_t i;

	json_array_foreach(json_object_get(found, "hosts"), i, host) {
		printf("%-10s %" PRId64 " %s [%s]\n", i == 0 ? "MX" : "", sotto_show_number(host, "preference"), sotto_show_text(host, "host"),
		       sotto_show_text(host, "address"));
	}
}

static const char *yes_no(const json_t *found, const char *key)
{
	const json_t *value = json_object_get(found, key);

	return json_is_boolean(value) ? (json_is_true(value) ? "yes" : "no") : "not known";
}

static void print_talk(const json_t *found)
{
	if (sotto_show_text(found, "address")[0] != '\0')
		printf("%-10s %s[%s]", "connection", sotto_show_text(found, "host"), sotto_show_text(found, "address"));
	if (json_object_get(found, "connect_ms") != NULL)
		printf(", %" PRId64 " ms", sotto_show_number(found, "connect_ms"));
	if (sotto_show_text(found, "address")[0] != '\0')
		(void)putchar('\n');
	if (json_object_get(found, "banner") == NULL)
		return;
	line("banner", sotto_show_text(found, "banner"));
	if (json_object_get(found, "ehlo_reply") != NULL)
		line("EHLO", sotto_show_text(found, "ehlo_reply"));
	line("XSOTTO", yes_no(found, "offered"));
	line("STARTTLS", yes_no(found, "starttls"));
}

static void print_sealed(const json_t *found)
{
	if (json_object_get(found, "version") == NULL)
		return;
	printf("%-10s %" PRId64 " ms, version %" PRId64 ", session %s\n", "exchange", sotto_show_number(found, "exchange_ms"),
	       sotto_show_number(found, "version"), sotto_show_text(found, "id"));
	printf("%-10s %s%s%s\n", "identity", sotto_show_text(found, "identity_key"), json_object_get(found, "identity_key") != NULL ? ", " : "",
	       of(sotto_show_text(found, "identity")));
}

/* What makes mail go another way than this probe did. */
static void print_notes(const json_t *found)
{
	if (json_is_true(json_object_get(found, "avoided")))
		line("note", "failures before: mail goes to it without XSOTTO for a while; `sotto forget` ends that");
	if (json_is_true(json_object_get(found, "excluded")))
		line("note", "it is listed in /etc/sotto/exclude: mail to it is not sealed");
	if (json_is_true(json_object_get(found, "required")))
		line("note", "it is listed in /etc/sotto/require: mail to it is sealed, or waits");
}

static int result_of(const json_t *found)
{
	for (int i = 0; i < (int)(sizeof(results) / sizeof(results[0])); i++)
		if (strcmp(results[i].word, sotto_show_text(found, "result")) == 0)
			return i;
	sotto_cannot_happen(__FILE__, __LINE__);
}

int sotto_cli_probe(struct sotto_cli *cli)
{
	json_t *found;
	int i, code;

	if (sotto_act_as_owner(cli) != 0)
		return SOTTO_CLI_UNKNOWN;
	found = sotto_probe(cli, cli->arg);
	i = result_of(found);
	code = results[i].code;
	if (cli->json)
		return sotto_show_json(found, code);
	print_hosts(found);
	print_talk(found);
	print_sealed(found);
	print_notes(found);
	printf("%-10s ", "result");
	sotto_show(cli, results[i].paint, results[i].word);
	printf(": %s", results[i].says);
	if (sotto_show_text(found, "cause")[0] != '\0')
		printf(" (%s)", sotto_show_text(found, "cause"));
	(void)putchar('\n');
	json_decref(found);
	return code;
}
