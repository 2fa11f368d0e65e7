/* SPDX-License-Identifier: ISC */
/*
 * `sotto enable` and `sotto disable`: through the plugin's own script, where what is to be done stands once. Shows what will change, asks,
 * changes it, tries it, and takes it back where it does not work.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cli/adapters.h"
#include "core/cli/enabled.h"
#include "core/cli/findings.h"
#include "core/cli/probe.h"
#include "core/cli/show.h"
#include "core/runtime/addr.h"
#include "core/runtime/conf.h"
#include "core/runtime/deadline.h"

#define LISTEN_MS 10000	/* for the mail server to listen again */
#define PAUSE_MS 200
#define NOT_YET 5	/* a script's end */

/* What became of the test session. */
enum tried { TRIED_SEALED, TRIED_NOT, TRIED_NOBODY };

struct switching {
	const struct sotto_adapter *a;
	bool changed;		/* there was something to be done */
	json_t *warnings;	/* findings: what does not go together with us */
};

/* ---- the test session, as the owner ---- */

/* An address that others can reach us at: what comes from loopback to loopback is no business of ours. */
static bool is_outward(const struct ifaddrs *one, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 sin6;

	if (one->ifa_addr == NULL || (one->ifa_flags & IFF_LOOPBACK) != 0 || (one->ifa_flags & IFF_UP) == 0)
		return false;
	if (one->ifa_addr->sa_family == AF_INET) {
		memcpy(ss, one->ifa_addr, sizeof(struct sockaddr_in));
		return true;
	}
	if (one->ifa_addr->sa_family != AF_INET6)
		return false;
	memcpy(&sin6, one->ifa_addr, sizeof(sin6));
	memcpy(ss, &sin6, sizeof(sin6));
	return !IN6_IS_ADDR_LINKLOCAL(&sin6.sin6_addr);
}

/* The nth of them; false: there are not so many. */
static bool own_address(char out[SOTTO_ADDR_TEXT], unsigned n)
{
	struct ifaddrs *all;
	struct sockaddr_storage ss;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return false;
	for (const struct ifaddrs *one = all; one != NULL && !found; one = one->ifa_next)
		found = is_outward(one, &ss) && n-- == 0;
	freeifaddrs(all);
	if (found)
		sotto_addr_write(out, &ss);
	return found;
}

/* Each of our addresses once; the first that a mail server answers at decides. */
static enum tried try_once(const struct sotto_cli *cli)
{
	char address[SOTTO_ADDR_TEXT];

	for (unsigned n = 0; own_address(address, n); n++) {
		json_t *found = sotto_probe(cli, address);
		bool sealed = strcmp(sotto_show_text(found, "result"), "sealed") == 0;
		bool answered = json_object_get(found, "banner") != NULL;

		json_decref(found);
		if (answered)
			return sealed ? TRIED_SEALED : TRIED_NOT;
	}
	return TRIED_NOBODY;
}

static int try_it(const struct sotto_cli *cli, void *arg)
{
	int64_t until = sotto_now_ms() + LISTEN_MS;
	enum tried tried = try_once(cli);

	(void)arg;
	/* a mail server that reads its configuration anew may take a moment, and says nothing when it is ready */
	while (tried != TRIED_SEALED && sotto_now_ms() < until) {
		(void)usleep(PAUSE_MS * 1000);
		tried = try_once(cli);
	}
	return (int)tried;
}

static bool seals(const struct sotto_cli *cli)
{
	struct sotto_conf conf;
	char err[512];

	return sotto_conf_read(&conf, cli->conf, err, sizeof(err)) == 0 && conf.mode == SOTTO_MODE_OPPORTUNISTIC;
}

static int note_on(const struct sotto_cli *cli, void *arg)
{
	(void)arg;
	if (sotto_enabled_since(cli->state) == 0)
		sotto_enabled_note(cli->state, (int64_t)time(NULL));
	return 0;
}

static int note_off(const struct sotto_cli *cli, void *arg)
{
	(void)arg;
	sotto_enabled_note(cli->state, 0);
	return 0;
}

/* ---- what does not go together ---- */

/* What the script warns of although it did what it was to do: lines that begin with its name. */
static void script_warnings(json_t *warnings, const struct sotto_adapter *a, char *said)
{
	char *save = NULL;

	for (char *line = strtok_r(said, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (sotto_adapter_words(a, line) != line)
			sotto_finding(warnings, SOTTO_CLI_WARNING, a->name, "", "%s", sotto_adapter_words(a, line));
}

static void show_warnings(const json_t *warnings)
{
	json_t *one;
	size_t i;

	json_array_foreach(warnings, i, one) {
		const char *remedy = sotto_show_text(one, "remedy");

		(void)sotto_cli_fail("warning: %s%s%s", sotto_show_text(one, "says"), remedy[0] != '\0' ? "; " : "", remedy);
	}
}

/* ---- the order of the steps ---- */

static int finish(const struct sotto_cli *cli, const struct switching *w, const char *state, const char *test, const char *says)
{
	if (cli->json)
		return sotto_show_json(json_pack("{s:s, s:s, s:b, s:s, s:s, s:O}", "server", w->a->name, "state", state, "changed", w->changed, "test", test,
						 "says", says, "warnings", w->warnings), SOTTO_CLI_OK);
	show_warnings(w->warnings);
	printf("%s\n", says);
	return SOTTO_CLI_OK;
}

static bool confirmed(const struct sotto_cli *cli)
{
	char answer[16] = "";

	if (cli->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		(void)sotto_cli_fail("nothing was changed: there is nobody to ask; say --yes");
		return false;
	}
	fputs("Go on? [y/N] ", stderr);
	(void)fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Shows what will change. False: that is not to be. */
static bool agreed(const struct sotto_cli *cli, struct switching *w, const char *what)
{
	char said[SOTTO_ADAPTER_SAID];

	if (sotto_adapter_run(w->a, "changes", what, said) != 0) {
		(void)sotto_cli_fail("%s", said[0] != '\0' ? said : "the plugin's script cannot be started; install Sotto again");
		return false;
	}
	w->changed = said[0] != '\0';
	if (!w->changed)
		return true;
	fprintf(cli->json ? stderr : stdout, "What changes in the configuration of %s:\n%s\n", w->a->title, said);
	return confirmed(cli);
}

static int run_script(struct switching *w, const char *what)
{
	char said[SOTTO_ADAPTER_SAID];
	int code = sotto_adapter_run(w->a, what, NULL, said);

	if (code == 0) {
		script_warnings(w->warnings, w->a, said);
		return 0;
	}
	(void)sotto_cli_fail("%s", said);
	return SOTTO_CLI_CRITICAL;
}

/* What goes out: the script says whether it can be sealed, or may be in a moment. */
static bool goes_out(const struct switching *w, char said[SOTTO_ADAPTER_SAID])
{
	int64_t until = sotto_now_ms() + LISTEN_MS;
	int code = sotto_adapter_run(w->a, "outgoing", NULL, said);

	while (code == NOT_YET && sotto_now_ms() < until) {
		(void)usleep(PAUSE_MS * 1000);
		code = sotto_adapter_run(w->a, "outgoing", NULL, said);
	}
	if (code == 0)
		script_warnings(w->warnings, w->a, said);
	return code == 0;
}

/* why: a sentence without its end. */
static int take_back(const struct sotto_cli *cli, struct switching *w, const char *why)
{
	if (!w->changed) {
		(void)sotto_cli_fail("Sotto was switched on already. %s; have the mail server reload its configuration, if it has not since; see `sotto check`, and "
				     "the mail log", why);
		return SOTTO_CLI_CRITICAL;
	}
	(void)sotto_as_owner(cli, note_off, NULL);
	show_warnings(w->warnings);
	(void)sotto_cli_fail("%s: it is switched off again; see `sotto check`, and the mail log", why);
	(void)run_script(w, "disable");
	return SOTTO_CLI_CRITICAL;
}

/* Both ways, as far as there is somebody to answer. */
static int tried(const struct sotto_cli *cli, struct switching *w)
{
	char said[SOTTO_ADAPTER_SAID], why[SOTTO_ADAPTER_SAID + 64];
	int rc = sotto_as_owner(cli, try_it, NULL);

	if (rc != TRIED_SEALED && rc != TRIED_NOBODY) {
		(void)snprintf(why, sizeof(why), "%s answers, and does not seal", w->a->title);
		return take_back(cli, w, why);
	}
	if (!goes_out(w, said)) {
		(void)snprintf(why, sizeof(why), "Mail that goes out is not sealed (%s)", sotto_adapter_words(w->a, said));
		return take_back(cli, w, why);
	}
	if (rc == TRIED_NOBODY)
		return finish(cli, w, "on", "none", "Sotto is switched on. No mail server answers at an address of this host, so it was not tried.");
	return finish(cli, w, "on", "sealed", w->changed ? "Sotto is switched on, and works: a session of our own was sealed." :
							   "Sotto was switched on already, and works: a session of our own was sealed.");
}

static int enable(const struct sotto_cli *cli, struct switching *w)
{
	int rc;

	if (!agreed(cli, w, "enable"))
		return SOTTO_CLI_UNKNOWN;
	rc = run_script(w, "enable");
	if (rc != 0)
		return rc;
	sotto_check_firewall(w->warnings, w->a);
	(void)sotto_as_owner(cli, note_on, NULL);
	if (!seals(cli))
		return finish(cli, w, "on", "none", "Sotto is switched on; sotto.conf says that nothing is to be sealed, so that was not tried.");
	return tried(cli, w);
}

static int disable(const struct sotto_cli *cli, struct switching *w)
{
	int rc;

	if (!agreed(cli, w, "disable"))
		return SOTTO_CLI_UNKNOWN;
	rc = run_script(w, "disable");
	if (rc != 0)
		return rc;
	(void)sotto_as_owner(cli, note_off, NULL);
	return finish(cli, w, "off", "none", w->changed ? "Sotto is switched off." : "Sotto was switched off already.");
}

static int switch_it(const struct sotto_cli *cli, int (*how)(const struct sotto_cli *cli, struct switching *w))
{
	struct switching w = { 0 };
	int rc;

	if (geteuid() != 0)
		return sotto_cli_fail("only root may change the mail server's configuration; do it as root");
	w.a = sotto_adapter_choose(cli);
	if (w.a == NULL)
		return SOTTO_CLI_UNKNOWN;
	w.warnings = json_array();
	rc = how(cli, &w);
	json_decref(w.warnings);
	return rc;
}

int sotto_cli_enable(struct sotto_cli *cli)
{
	return switch_it(cli, enable);
}

int sotto_cli_disable(struct sotto_cli *cli)
{
	return switch_it(cli, disable);
}
