/* SPDX-License-Identifier: ISC */
/* Judges for table-sotto's child (table.h). Reads files; writes none. */
#include "plugins/opensmtpd/table.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/runtime/conf.h"
#include "core/runtime/hop.h"
#include "core/runtime/state-domain.h"
#include "plugins/opensmtpd/route.h"
#include "plugins/opensmtpd/table-parts.h"

/* Nobody who can get the lock for himself alone is a worker's neighbour. */
static bool is_served(const struct sotto_table *t)
{
	char path[1200];
	int fd;
	bool alone;

	(void)snprintf(path, sizeof(path), "%s/" SOTTO_WORKER_LOCK, t->run);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
	close(fd);
	return !alone;
}

const char *sotto_table_obstacle(const struct sotto_table *t)
{
	if (access(t->state, X_OK) != 0)
		return "what is remembered of domains is closed to smtpd's user (mode 0711 is right for that folder)";
	if (access(t->run, X_OK) != 0)
		return "the folder with the worker's lock is closed to smtpd's user (mode 0711 is right for it)";
	return is_served(t) ? NULL : "no worker serves the loopback hop";
}

static bool is_believed(const struct sotto_route *r, int64_t now)
{
	return r->until > now && r->until - now <= SOTTO_DOMAIN_YES_S;
}

bool sotto_table_match(const struct sotto_table *t, const char *domain, int64_t now, bool *by_host)
{
	char name[SOTTO_FILE_NAME], err[512];
	struct sotto_conf conf;
	struct sotto_route r;
	bool good = sotto_conf_read(&conf, t->conf, err, sizeof(err)) == 0, known;

	*by_host = false;
	if (sotto_name_of_domain(name, domain) != 0 || (good && conf.mode == SOTTO_MODE_OFF))
		return false;
	known = sotto_route_load(t->state, name, &r) == 0;
	if (sotto_table_required(t, name, &r)) {
		*by_host = !sotto_table_listed(t, "require", name);
		return true;
	}
	return good && conf.mode == SOTTO_MODE_OPPORTUNISTIC && known && is_believed(&r, now) &&
	       !sotto_table_listed(t, "exclude", name) && is_served(t);
}

/*
 * Required, and no route: the worker, which has seen the recipient, could not write one. It knows the domain's own address all the same, as long
 * as no other domain has claimed that.
 */
static bool has_own_address(const struct sotto_table *t, const char *domain, struct sotto_route *r)
{
	char hop[INET_ADDRSTRLEN];
	struct sotto_route other;

	r->hop = sotto_hop_address(domain);
	(void)inet_ntop(AF_INET, &r->hop, hop, sizeof(hop));
	return sotto_route_load(t->state, hop, &other) != 0 && is_served(t);
}

/* Where encryption is not required any more, or never was, what has taken the hop goes on through it: the worker passes it on in the clear. */
bool sotto_table_relay(const struct sotto_table *t, const char *domain, char url[SOTTO_TABLE_URL])
{
	char name[SOTTO_FILE_NAME], hop[INET_ADDRSTRLEN];
	struct sotto_route r;
	bool required, known;

	if (sotto_name_of_domain(name, domain) != 0)
		return false;
	known = sotto_route_load(t->state, name, &r) == 0;
	required = sotto_table_required(t, name, &r);
	if (known ? !required && !is_served(t) : !required || !has_own_address(t, name, &r))
		return sotto_table_relay_alone(t, domain, url);
	(void)inet_ntop(AF_INET, &r.hop, hop, sizeof(hop));
	(void)snprintf(url, SOTTO_TABLE_URL, "smtp://%s:%u", hop, (unsigned)t->port);
	return true;
}
