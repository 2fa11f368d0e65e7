/* SPDX-License-Identifier: ISC */
/*
 * A firewall that decides by user who may connect to others (findings.h): with Postfix and OpenSMTPD, connections to other mail servers are
 * made by a user of ours, whom it may not know. With Exim they are Exim's as before. Called by enable and check, as root.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cli/adapters.h"
#include "core/cli/findings.h"
#include "core/cli/show.h"

/* Both kinds may be in use at a time. Neither is there where nothing is said. */
#define RULES "{ nft list ruleset; iptables-save; ip6tables-save; } 2>/dev/null | grep -E 'skuid|--uid-owner'"
#define BETWEEN " \t\n,{}\"!=<>"

/* "888", or "800-900" */
static bool is_among(const char *word, unsigned long uid)
{
	char *end;
	unsigned long first = strtoul(word, &end, 10), last = first;

	if (end == word)
		return false;
	if (*end == '-')
		last = strtoul(end + 1, &end, 10);
	return *end == '\0' && first <= uid && uid <= last;
}

/* Only what stands behind the word for a user, and is one or several of them: other numbers are ports. */
static bool names_user(char *rule, const char *name, unsigned long uid)
{
	char *word = strstr(rule, "skuid"), *save = NULL;

	if (word == NULL)
		word = strstr(rule, "--uid-owner");
	(void)strtok_r(word, BETWEEN, &save);
	while ((word = strtok_r(NULL, BETWEEN, &save)) != NULL) {
		if (strcmp(word, name) == 0 || is_among(word, uid))
			return true;
		if (strspn(word, "0123456789-") != strlen(word) && getpwnam(word) == NULL)
			return false;
	}
	return false;
}

static bool is_known(const char *rules, const struct passwd *user)
{
	char copy[SOTTO_ADAPTER_SAID], *save = NULL;

	(void)snprintf(copy, sizeof(copy), "%s", rules);
	for (char *rule = strtok_r(copy, "\n", &save); rule != NULL; rule = strtok_r(NULL, "\n", &save))
		if (names_user(rule, user->pw_name, user->pw_uid))
			return true;
	return false;
}

void sotto_check_firewall(json_t *list, const struct sotto_adapter *a)
{
	static const struct sotto_adapter shell = { .script = "/bin/sh" };
	const struct passwd *user = getpwnam(a->user);
	char rules[SOTTO_ADAPTER_SAID];

	if (user == NULL || strcmp(user->pw_name, SOTTO_OWN_USER) != 0 || sotto_adapter_run(&shell, "-c", RULES, rules) != 0 || rules[0] == '\0')
		return;
	if (is_known(rules, user))
		return;
	sotto_finding(list, SOTTO_CLI_WARNING, "firewall", "let " SOTTO_OWN_USER " connect to others' port 25 as the mail server's own user may, or nothing is sealed that goes out",
		      "the firewall decides by user who may connect to others, and does not name " SOTTO_OWN_USER ", as whom that is done with Sotto: %.*s",
		      (int)strcspn(rules, "\n"), rules);
}
