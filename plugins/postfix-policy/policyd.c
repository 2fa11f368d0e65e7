/* SPDX-License-Identifier: ISC */
/*
 * sotto-policyd, see postfix-sotto(7): answers Postfix's lookups (socketmap) and its policy requests, listens on the loopback hop, and starts
 * a sotto-session for each connection there. One process, one loop; a lookup waits for nothing. This file is the order of the steps and
 * the two services' answers; what each of them decides stands in divert.c, policy.c and hop-service.c.
 */
#include "plugins/postfix-policy/policyd.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/hop.h"
#include "core/runtime/live.h"
#include "core/runtime/lock.h"
#include "core/runtime/log.h"
#include "plugins/postfix-policy/divert.h"
#include "plugins/postfix-policy/hop-service.h"
#include "plugins/postfix-policy/notify.h"
#include "plugins/postfix-policy/policy.h"
#include "plugins/postfix-policy/service.h"
#include "plugins/postfix-policy/serving.h"

enum { WELL = 0, FAILED = 1, USAGE = 2 };

static struct {
	struct sotto_policyd p;
	struct sotto_service *map, *policy;
	struct sotto_hop_service *hop;
	struct sotto_serving *serving;
	struct event *term, *interrupt, *hangup, *alive;
	char told[256];		/* the last reason why nothing is diverted that the log has */
} all;

/* ---- the services ---- */

/* What a session said before Postfix asked is known before Postfix is answered. */
static size_t answer_tls(const struct sotto_policyd *p, const struct sotto_socketmap_request *r, char reply[SOTTO_SERVICE_REPLY])
{
	const struct sotto_domain *d = sotto_domains_find(p->domains, r->key, r->key_len);

	if (d != NULL && all.hop != NULL)
		sotto_hop_service_hear(all.hop, d);
	return sotto_divert_tls(p, r->key, r->key_len, (int64_t)time(NULL), reply);
}

/* For who wants to know whether what goes out is in place, `sotto-postfix outgoing`. */
static size_t answer_outgoing(const struct sotto_policyd *p, char reply[SOTTO_SERVICE_REPLY])
{
	const struct sotto_site_facts *facts = sotto_site_facts(p->site);
	const char *unsettled = sotto_site_unsettled(p->site);
	char text[sizeof(facts->why) + 32];

	if (unsettled != NULL)
		(void)snprintf(text, sizeof(text), "%s%s", unsettled[0] != '\0' ? "failed: " : "reading", unsettled);
	else
		(void)snprintf(text, sizeof(text), "%s%s", facts->usable ? "sealed" : "not sealed: ", facts->usable ? "" : facts->why);
	return sotto_socketmap_write(reply, "OK", text);
}

static long answer_map(void *arg, const char *octets, size_t n, char reply[SOTTO_SERVICE_REPLY], size_t *reply_len)
{
	const struct sotto_policyd *p = arg;
	struct sotto_socketmap_request r;
	long took = sotto_socketmap_read(&r, octets, n);

	if (took <= 0)
		return took;
	if (r.map_len == 9 && memcmp(r.map, "transport", 9) == 0)
		*reply_len = sotto_divert_transport(p, r.key, r.key_len, (int64_t)time(NULL), reply);
	else if (r.map_len == 9 && memcmp(r.map, "tlspolicy", 9) == 0)
		*reply_len = answer_tls(p, &r, reply);
	else if (r.map_len == 8 && memcmp(r.map, "outgoing", 8) == 0)
		*reply_len = answer_outgoing(p, reply);
	else
		*reply_len = sotto_socketmap_write(reply, "PERM", "there is no such map");
	return took;
}

static const char *host_name(const struct sotto_policyd *p)
{
	static char own[256];
	const char *name = sotto_site_facts(p->site)->myhostname;

	if (name[0] != '\0')
		return name;
	if (gethostname(own, sizeof(own)) != 0)
		return "localhost";
	own[sizeof(own) - 1] = '\0';
	return own;
}

static long answer_policy(void *arg, const char *octets, size_t n, char reply[SOTTO_SERVICE_REPLY], size_t *reply_len)
{
	const struct sotto_policyd *p = arg;
	struct sotto_policy_request r;
	struct sotto_live live;
	long took = sotto_policy_read(&r, octets, n);
	bool known;

	if (took == 0)
		return 0;
	known = took > 0 && r.data && r.peer.ss_family != 0 && sotto_live_read(p->run, (const struct sockaddr *)&r.peer, &live) == 0;
	*reply_len = sotto_policy_write(reply, &r.peer, known ? &live : NULL, host_name(p));
	return took;
}

_Static_assert(SOTTO_SERVICE_REPLY >= SOTTO_SOCKETMAP_REPLY && SOTTO_SERVICE_REPLY >= SOTTO_POLICY_REPLY, "an answer fits");
_Static_assert(SOTTO_SERVICE_REQUEST > SOTTO_SOCKETMAP_REQUEST + 16 && SOTTO_SERVICE_REQUEST > SOTTO_POLICY_REQUEST, "so does a request");

/* ---- what changes ---- */

static void on_facts(void *arg)
{
	const struct sotto_site_facts *facts = sotto_site_facts(all.p.site);

	(void)arg;
	if (strcmp(facts->why, all.told) == 0)
		return;
	(void)snprintf(all.told, sizeof(all.told), "%s", facts->why);
	if (facts->usable)
		sotto_log(LOG_INFO, "outgoing mail is sealed where it can be");
	else
		sotto_log(LOG_WARNING, "outgoing mail is not sealed: %s", facts->why);
}

static void on_learnt(void *arg, struct sotto_domain *d)
{
	(void)arg;
	if (all.hop != NULL)
		sotto_hop_service_learnt(all.hop, d);
}

static void on_conf(void *arg)
{
	(void)arg;
	sotto_policyd_conf(&all.p);
}

static void on_hangup(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	(void)arg;
	sotto_notify_reloading();
	sotto_policyd_conf(&all.p);
	sotto_domains_reload(all.p.domains);
	sotto_site_reload(all.p.site);
	sotto_log(LOG_INFO, "everything is read again; sessions go on");
	sotto_notify_ready();
}

static void on_term(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	(void)arg;
	sotto_notify_stopping();
	(void)event_base_loopbreak(all.p.base);
}

/* One that hangs is found out by who started it, before Postfix gives up on it. */
static void on_alive(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	sotto_notify_alive();
}

static int say_that_we_are_alive(struct event_base *base)
{
	uint32_t ms = sotto_notify_alive_ms();
	const struct timeval often = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (ms == 0)
		return 0;
	all.alive = event_new(base, -1, EV_PERSIST, on_alive, NULL);
	return all.alive == NULL ? -1 : event_add(all.alive, &often);
}

/* ---- the order of the steps ---- */

/* No keys are here. It stays dumpable: its own /proc/self/fd is what sessions are executed from. */
static void harden(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)umask(077);
}

static int complain(const char *what, const char *why)
{
	sotto_log(LOG_ERR, "%s%s%s; see postfix-sotto(7)", what, why != NULL ? ": " : "", why != NULL ? why : "");
	fprintf(stderr, "sotto-policyd: %s%s%s; see postfix-sotto(7)\n", what, why != NULL ? ": " : "", why != NULL ? why : "");
	return -1;
}

/*
 * Two of us would take each other's sockets. The lock ends with the process; sessions do not have it (close-on-exec), but a child of our
 * predecessor's does that has not executed its program yet: that is a moment.
 */
static int be_alone(const char *run)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/policyd.lock", run);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return complain(path, strerror(errno));
	if (sotto_lock(fd, LOCK_EX) != 0) {
		close(fd);
		return complain(path, "another sotto-policyd is running");
	}
	return 0;
}

static int open_signals(struct event_base *base)
{
	all.term = evsignal_new(base, SIGTERM, on_term, NULL);
	all.interrupt = evsignal_new(base, SIGINT, on_term, NULL);
	all.hangup = evsignal_new(base, SIGHUP, on_hangup, NULL);
	if (all.term == NULL || all.interrupt == NULL || all.hangup == NULL)
		return -1;
	return event_add(all.term, NULL) != 0 || event_add(all.interrupt, NULL) != 0 || event_add(all.hangup, NULL) != 0 ? -1 : 0;
}

static int open_modules(struct sotto_policyd *p)
{
	const struct sotto_domains_config domains = { .state = p->state, .run = p->run, .conf_dir = p->conf_dir, .learnt = on_learnt, .conf_changed = on_conf };

	p->base = event_base_new();
	if (p->base == NULL || open_signals(p->base) != 0 || say_that_we_are_alive(p->base) != 0)
		return complain("no event loop to be had", strerror(errno));
	sotto_policyd_conf(p);
	p->domains = sotto_domains_open(p->base, &domains);
	if (p->domains == NULL)
		return complain("no watch on changes to be had", strerror(errno));
	p->site = sotto_site_open(p->base, p->postfix, on_facts, NULL);
	return p->site == NULL ? complain("no memory", NULL) : 0;
}

static int open_services(struct sotto_policyd *p)
{
	char path[128], err[512];
	int fd = sotto_hop_listen(p->port, err, sizeof(err));

	if (fd < 0)
		return complain(err, NULL);
	all.hop = sotto_hop_service_open(p, fd);
	if (all.hop == NULL)
		return complain(p->session, strerror(errno));
	(void)snprintf(path, sizeof(path), "%s/map.sock", p->run);
	all.map = sotto_service_open(p->base, path, answer_map, p, err, sizeof(err));
	if (all.map == NULL)
		return complain(err, NULL);
	(void)snprintf(path, sizeof(path), "%s/policy.sock", p->run);
	all.policy = sotto_service_open(p->base, path, answer_policy, p, err, sizeof(err));
	if (all.policy == NULL)
		return complain(err, NULL);
	all.serving = sotto_serving_open(p);
	return all.serving == NULL ? complain("no memory", NULL) : 0;
}

static void close_all(struct sotto_policyd *p)
{
	sotto_serving_close(all.serving);
	sotto_service_close(all.policy);
	sotto_service_close(all.map);
	sotto_hop_service_close(all.hop);
	sotto_site_close(p->site);
	sotto_domains_close(p->domains);
	if (all.term != NULL)
		event_free(all.term);
	if (all.interrupt != NULL)
		event_free(all.interrupt);
	if (all.hangup != NULL)
		event_free(all.hangup);
	if (all.alive != NULL)
		event_free(all.alive);
	if (p->base != NULL)
		event_base_free(p->base);
}

int main(int argc, char **argv)
{
	int r = FAILED;

	harden();
	if (sotto_policyd_options(&all.p, argc, argv) != 0)
		return USAGE;
	sotto_notify_open();
	sotto_log_open("sotto-policyd", all.p.log_stderr);
	(void)snprintf(all.told, sizeof(all.told), "not read yet");
	if (be_alone(all.p.run) == 0 && open_modules(&all.p) == 0 && open_services(&all.p) == 0) {
		sotto_notify_ready();
		r = event_base_dispatch(all.p.base) < 0 ? FAILED : WELL;
	}
	close_all(&all.p);
	return r;
}
