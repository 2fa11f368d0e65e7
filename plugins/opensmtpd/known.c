/* SPDX-License-Identifier: ISC */
/* Keeps what is known of domains (known.h). Called by the worker's sessions and probes. Whatever fails here is told with a limit, and passed over. */
#include "plugins/opensmtpd/known.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/log.h"
#include "core/runtime/names.h"
#include "plugins/opensmtpd/route.h"
#include "plugins/opensmtpd/worker.h"

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

enum sotto_domain_offer sotto_known(const struct sotto_worker *w, const char *domain)
{
	struct sotto_domain_state s;

	sotto_domain_load(w->state, domain, &s);
	return sotto_domain_state_now(&s, now_s());
}

static void complain(const struct sotto_worker *w, int error)
{
	sotto_log_limited(w->state, "state-limit", LOG_WARNING, "%s: nothing can be remembered of domains: %s; see opensmtpd-sotto(7), FILES", w->state,
			  strerror(-error));
}

/* The route that there is. */
static bool recall(const struct sotto_worker *w, const char *domain, struct sotto_route *r)
{
	return sotto_route_load(w->state, domain, r) == 0;
}

/* ---- routes ---- */

/* One that says nothing yet. False: there can be none (no domain; another one has its address). */
static bool begin(const struct sotto_worker *w, const char *domain, struct sotto_route *r)
{
	int rc;

	memset(r, 0, sizeof(*r));
	rc = sotto_name_of_domain(r->domain, domain);
	if (rc == 0)
		rc = sotto_known_own(w, r->domain, &r->hop);
	if (rc != 0 && rc != -EADDRINUSE && rc != -EINVAL)
		complain(w, rc);
	return rc == 0;
}

static void save(const struct sotto_worker *w, const struct sotto_route *r)
{
	int rc = sotto_route_save(w->state, r);

	if (rc != 0 && rc != -EINVAL)
		complain(w, rc);
}

void sotto_known_route(const struct sotto_worker *w, const char *domain, const char *host, const struct sockaddr_storage *address)
{
	struct sotto_route r;
	char name[SOTTO_FILE_NAME];
	bool there = recall(w, domain, &r);

	if (sotto_name_of_host(name, host) != 0 || (!there && !begin(w, domain, &r)))
		return;
	if (there && strcmp(r.host, name) == 0 && sotto_addr_same(&r.address, address))
		return;
	memcpy(r.host, name, sizeof(name));
	r.address = *address;
	save(w, &r);
}

/* ---- the lists ---- */

void sotto_known_list(char path[SOTTO_LIST_PATH], const struct sotto_worker *w, const char *file)
{
	(void)snprintf(path, SOTTO_LIST_PATH, "%s/%s", w->conf_dir, file);
}

bool sotto_known_listed(const struct sotto_worker *w, const char *file, const char *domain)
{
	char path[SOTTO_LIST_PATH], err[512];

	sotto_known_list(path, w, file);
	return sotto_names_match(path, &(struct sotto_who){ .domain = domain }, err, sizeof(err)) == 1;
}

/* An entry in the file require, whatever it is. One that cannot be read is told by the sessions, and counts as one. */
bool sotto_known_requires(const struct sotto_worker *w)
{
	char path[SOTTO_LIST_PATH], line[SOTTO_NAMES_LINE + 2];
	bool found = false;
	FILE *f;
	int fd;

	sotto_known_list(path, w, "require");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno != ENOENT;
	f = fdopen(fd, "r");
	if (f == NULL) {
		close(fd);
		return true;
	}
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = strchr("#\n", line[strspn(line, " \t\r")]) == NULL;
	(void)fclose(f);
	return found;
}

bool sotto_known_route_there(const struct sotto_worker *w, const char *domain)
{
	struct sotto_route r;

	return recall(w, domain, &r) && r.host[0] != '\0';
}

void sotto_known_claim(const struct sotto_worker *w, const char *domain)
{
	struct sotto_route r;

	if (!recall(w, domain, &r) && begin(w, domain, &r))
		save(w, &r);
}

/* Of a domain that never made an offer there need be no route. */
static void learn_route(const struct sotto_worker *w, const char *domain, enum sotto_domain_offer what)
{
	struct sotto_route r;
	int64_t now = now_s(), until = what == SOTTO_DOMAIN_YES ? now + SOTTO_DOMAIN_YES_S : 0;
	bool there = recall(w, domain, &r);

	if (!there && (what == SOTTO_DOMAIN_NO || !begin(w, domain, &r)))
		return;
	/* a yes is renewed now and then, and one of the future, when the clock was another, at once */
	if (there && (until == 0 ? r.until == 0 : r.until <= until && r.until > until - SOTTO_DOMAIN_RENEW_S))
		return;
	r.until = until;
	save(w, &r);
}

void sotto_known_learn(const struct sotto_worker *w, const char *domain, enum sotto_domain_offer what)
{
	int rc;

	if (what == SOTTO_DOMAIN_UNKNOWN)
		return;
	rc = sotto_domain_note(w->state, domain, what, now_s());
	if (rc != 0 && rc != -EINVAL)
		complain(w, rc);
	learn_route(w, domain, what);
}
