/* SPDX-License-Identifier: ISC */
/* `sotto check`: whatever can be wrong on this host, each with what to do (findings.h). The mail servers and the settings; files and the host are in check-files.c. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/adapters.h"
#include "core/cli/findings.h"
#include "core/cli/show.h"
#include "core/runtime/conf.h"
#include "core/runtime/names.h"

static const char *const levels[] = { [SOTTO_CLI_OK] = "ok", [SOTTO_CLI_WARNING] = "warning", [SOTTO_CLI_CRITICAL] = "critical" };

void sotto_finding(json_t *list, int level, const char *check, const char *remedy, const char *format, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s}", "check", check, "level", levels[level], "says",
						    sotto_show_clean(text, sizeof(text)), "remedy", remedy));
}

static int level_of(const json_t *finding)
{
	const char *word = sotto_show_text(finding, "level");

	for (int i = SOTTO_CLI_OK; i <= SOTTO_CLI_CRITICAL; i++)
		if (strcmp(word, levels[i]) == 0)
			return i;
	return SOTTO_CLI_CRITICAL;
}

int sotto_findings_level(const json_t *list)
{
	int worst = SOTTO_CLI_OK;
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (level_of(one) > worst)
			worst = level_of(one);
	return worst;
}

void sotto_findings_print(const struct sotto_cli *cli, const json_t *list, bool all)
{
	static const enum sotto_paint paints[] = { SOTTO_GREEN, SOTTO_YELLOW, SOTTO_RED };
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		int level = level_of(one);

		if (level == SOTTO_CLI_OK && !all)
			continue;
		sotto_show(cli, paints[level], levels[level]);
		printf("%*s%s: %s\n", (int)(10 - strlen(levels[level])), "", sotto_show_text(one, "check"), sotto_show_text(one, "says"));
		if (sotto_show_text(one, "remedy")[0] != '\0')
			printf("          %s\n", sotto_show_text(one, "remedy"));
	}
}

/* ---- the mail servers ---- */

static void judge_hooks(json_t *list, const struct sotto_adapter *a, enum sotto_hooks hooks, const char *said)
{
	switch (hooks) {
	case SOTTO_HOOKS_ON:
		sotto_finding(list, SOTTO_CLI_OK, a->name, "", "Sotto is switched on in %s", a->title);
		return;
	case SOTTO_HOOKS_OFF:
		sotto_finding(list, SOTTO_CLI_WARNING, a->name, "`sotto enable` switches it on", "Sotto is switched off in %s", a->title);
		return;
	case SOTTO_HOOKS_DRIFTED:
		sotto_finding(list, SOTTO_CLI_CRITICAL, a->name, "`sotto enable` puts right what belongs to Sotto; do it, and check again",
			      "what Sotto set in %s's configuration is not there as it was: %s", a->title, said);
		return;
	case SOTTO_HOOKS_UNKNOWN:
		break;
	}
	if (geteuid() != 0)
		sotto_finding(list, SOTTO_CLI_WARNING, a->name, "do it as root", "only root can find out whether Sotto is switched on in %s", a->title);
	else
		sotto_finding(list, SOTTO_CLI_CRITICAL, a->name, "mend that, and check again", "%s cannot be asked: %s", a->title, said);
}

/* The script's own words. Of a daemon of ours that is away, check_daemon() tells. */
static void judge_outgoing(json_t *list, const struct sotto_adapter *a)
{
	char said[SOTTO_ADAPTER_SAID];
	int code = sotto_adapter_run(a, "outgoing", NULL, said);
	const char *words = sotto_adapter_words(a, said);

	if (code == 0 && said[0] == '\0')
		sotto_finding(list, SOTTO_CLI_OK, "outgoing", "", "mail that goes out can be sealed");
	else if (code == 0)
		sotto_finding(list, SOTTO_CLI_WARNING, "outgoing", "change that setting, or leave it: mail goes as without Sotto", "%s", words);
	else if (a->unit == NULL)
		sotto_finding(list, SOTTO_CLI_CRITICAL, "outgoing", "mend that, and check again", "%s", words);
}

void sotto_check_servers(json_t *list, json_t *hooks)
{
	char said[SOTTO_ADAPTER_SAID];

	for (unsigned i = 0; i < SOTTO_CLI_ADAPTERS; i++) {
		const struct sotto_adapter *a = &sotto_adapters[i];
		enum sotto_hooks found;

		if (!sotto_adapter_present(a))
			continue;
		found = sotto_adapter_hooks(a, said);
		(void)json_object_set_new(hooks, a->name, json_string(sotto_hooks_words[found]));
		judge_hooks(list, a, found, said);
		if (found == SOTTO_HOOKS_ON)
			judge_outgoing(list, a);
		if (found == SOTTO_HOOKS_ON || found == SOTTO_HOOKS_DRIFTED)
			sotto_check_firewall(list, a);
	}
	if (geteuid() == 0)
		sotto_check_running(list);
	if (json_object_size(hooks) == 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, "mail server", "install exim4-sotto, postfix-sotto or opensmtpd-filter-sotto",
			      "there is no mail server here that Sotto is installed for");
}

/* ---- the settings ---- */

static void judge_mode(json_t *list, const struct sotto_conf *conf, const char *path)
{
	if (conf->mode == SOTTO_MODE_OFF)
		sotto_finding(list, SOTTO_CLI_WARNING, "settings", "set mode = opportunistic", "%s says mode = off: nothing is sealed", path);
	else
		sotto_finding(list, SOTTO_CLI_OK, "settings", "", "mode %s", conf->mode == SOTTO_MODE_OBSERVE ? "observe: nothing is sealed but with those in require" :
			      "opportunistic");
}

static void check_list(json_t *list, const char *dir, const char *name)
{
	static const struct sotto_who nobody;
	char path[PATH_MAX], err[512] = "";
	int rc;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return;
	rc = sotto_names_match(path, &nobody, err, sizeof(err));
	if (rc < 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, name, "let the mail server's user read it", "%s cannot be read: %s", path, strerror(-rc));
	else if (err[0] != '\0')
		sotto_finding(list, SOTTO_CLI_CRITICAL, name, "mend that line: it counts for nobody", "%s", err);
	else
		sotto_finding(list, SOTTO_CLI_OK, name, "", "%s", access(path, F_OK) == 0 ? path : "there is no such file; nobody is listed");
}

void sotto_check_settings(const struct sotto_cli *cli, json_t *list)
{
	char path[PATH_MAX], err[512] = "";
	struct sotto_conf conf;
	const char *dir;

	if (sotto_conf_read(&conf, cli->conf, err, sizeof(err)) != 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, "settings", "mend it; until then the last good settings are in force, or nothing is sealed", "%s", err);
	else
		judge_mode(list, &conf, cli->conf);
	(void)snprintf(path, sizeof(path), "%s", cli->conf);
	dir = dirname(path);
	check_list(list, dir, "require");
	check_list(list, dir, "exclude");
}

/* ---- all of it ---- */

json_t *sotto_check_all(const struct sotto_cli *cli, json_t *hooks)
{
	json_t *list = json_array();

	sotto_check_servers(list, hooks);
	if (sotto_act_as_owner(cli) != 0) {
		json_decref(list);
		return NULL;
	}
	sotto_check_settings(cli, list);
	sotto_check_files(cli, list, hooks);
	sotto_check_host(cli, list);
	return list;
}

/* The first line is what Nagios shows. */
static void print_summary(const struct sotto_cli *cli, const json_t *list, int level)
{
	static const enum sotto_paint paints[] = { SOTTO_GREEN, SOTTO_YELLOW, SOTTO_RED };
	unsigned wrong = 0;
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		wrong += level_of(one) != SOTTO_CLI_OK;
	}
	(void)fputs("Sotto: ", stdout);
	sotto_show(cli, paints[level], levels[level]);
	if (wrong == 0)
		puts(", nothing is wrong");
	else
		printf(", %u of %zu things that were looked at are not as they should be\n", wrong, json_array_size(list));
}

int sotto_cli_check(struct sotto_cli *cli)
{
	json_t *hooks = json_object(), *list = sotto_check_all(cli, hooks);
	int level;

	json_decref(hooks);
	if (list == NULL)
		return SOTTO_CLI_UNKNOWN;
	level = sotto_findings_level(list);
	if (cli->json)
		return sotto_show_json(json_pack("{s:s, s:o}", "level", levels[level], "findings", list), level);
	print_summary(cli, list, level);
	sotto_findings_print(cli, list, true);
	json_decref(list);
	return level;
}
