/* SPDX-License-Identifier: ISC */
/* The part of table.h that needs libc only: what table-sotto's parent answers while its child is away, and what both build on. */
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/hop.h"
#include "core/runtime/names.h"
#include "plugins/opensmtpd/route.h"
#include "plugins/opensmtpd/table-parts.h"
#include "plugins/opensmtpd/table.h"

void sotto_table_paths(struct sotto_table *t, char *text)
{
	const char *part[4] = { SOTTO_STATE_DIR, SOTTO_CONF_DIR "/sotto.conf", SOTTO_RUN_DIR, SOTTO_LIBEXEC_DIR "/sotto-table" };
	char copy[sizeof(t->conf_dir)];

	for (unsigned i = 0; i < 4 && text != NULL; i++) {
		char *one = strsep(&text, ":");

		if (one[0] != '\0')
			part[i] = one;
	}
	*t = (struct sotto_table){ .state = part[0], .conf = part[1], .run = part[2], .judge = part[3], .port = SOTTO_HOP_PORT };
	(void)snprintf(copy, sizeof(copy), "%s", t->conf);
	(void)snprintf(t->conf_dir, sizeof(t->conf_dir), "%s", dirname(copy));
}

static bool matches(const struct sotto_table *t, const char *file, const struct sotto_who *who)
{
	char path[sizeof(t->conf_dir) + 16], err[512];

	(void)snprintf(path, sizeof(path), "%s/%s", t->conf_dir, file);
	return sotto_names_match(path, who, err, sizeof(err)) == 1;
}

bool sotto_table_required(const struct sotto_table *t, const char *domain, const struct sotto_route *r)
{
	const struct sotto_who who = { .domain = domain, .host = r->host, .addr = (const struct sockaddr *)&r->address };

	return matches(t, "require", &who);
}

bool sotto_table_listed(const struct sotto_table *t, const char *file, const char *domain)
{
	return matches(t, file, &(struct sotto_who){ .domain = domain });
}

bool sotto_table_match_alone(const struct sotto_table *t, const char *domain)
{
	char name[SOTTO_FILE_NAME];
	struct sotto_route r;

	if (sotto_name_of_domain(name, domain) != 0)
		return false;
	(void)!sotto_route_load(t->state, name, &r);	/* zero where there is none */
	return sotto_table_required(t, name, &r);
}

bool sotto_table_match_by_name(const struct sotto_table *t, const char *domain)
{
	char name[SOTTO_FILE_NAME];

	return sotto_name_of_domain(name, domain) == 0 && sotto_table_listed(t, "require", name);
}

bool sotto_table_relay_nowhere(const struct sotto_table *t, char url[SOTTO_TABLE_URL])
{
	(void)snprintf(url, SOTTO_TABLE_URL, "smtp://" SOTTO_TABLE_NOWHERE ":%u", (unsigned)t->port);
	return true;
}

bool sotto_table_relay_alone(const struct sotto_table *t, const char *domain, char url[SOTTO_TABLE_URL])
{
	char name[SOTTO_FILE_NAME];
	struct sotto_route r;

	if (sotto_name_of_domain(name, domain) != 0)
		return false;
	if (sotto_route_load(t->state, name, &r) != 0 || r.host[0] == '\0' || sotto_table_required(t, name, &r))
		return sotto_table_relay_nowhere(t, url);
	(void)snprintf(url, SOTTO_TABLE_URL, "smtp://%s", r.host);
	return true;
}
