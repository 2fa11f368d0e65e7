/* SPDX-License-Identifier: ISC */
/*
 * sotto-session(8): one SMTP connection between our mail server and another one, sealed if the other one can. Started by the adapters
 * for Exim and Postfix, a process for each connection; or as one process that forks them (serve.h). This file is the order of the steps: options, settings, ends, sandbox, the ready
 * octet, the loop; what each of them does stands in the modules.
 *
 * Until the adapter has let go, nothing is read from or written to its descriptors: it can still take everything back. With --to that is
 * when there is a connection to the other mail server, or none to be had.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "core/crypto/memory.h"
#include "core/runtime/conduct.h"
#include "core/runtime/conf.h"
#include "core/runtime/dial.h"
#include "core/runtime/ends.h"
#include "core/runtime/goodbye.h"
#include "core/runtime/log.h"
#include "core/runtime/mx.h"
#include "core/runtime/options.h"
#include "core/runtime/reach.h"
#include "core/runtime/ready.h"
#include "core/runtime/sandbox.h"
#include "core/runtime/serve.h"

#define BACKEND_MS 5000		/* for our mail server to take a connection */
#define LOG_MS 500		/* for the log to take the session's line, when the session is over */
#define DIAL_MS 4000		/* all looking up and connecting together, before our mail server hears 421 */
#define OUT_OF_ORDER "421 4.3.0 Out of order at the moment; nothing was sent\r\n"

enum { ORDERLY = 0, DISORDERLY = 1, USAGE = 2 };

struct job {
	struct sotto_options options;
	struct sotto_conf conf;
	bool conf_broken;
	char conf_dir[4096];
	struct sotto_ends ends;
	struct event_base *base;
	struct event *term;
	struct sotto_mx *mx;
	struct sotto_dial *dial;
	struct sotto_conduct conduct;
	char host[SOTTO_DNS_NAME];	/* --to: the MX that was connected to */
	uint8_t header[SOTTO_PROXY_MAX];
	size_t header_len;
	int exit_code;
};

/* ---- before anything else ---- */

static void log_cannot_happen(const char *file, int line)
{
	sotto_log(LOG_CRIT, "what cannot happen has happened at %s:%d; please report it", file, line);
}

/* Keys must not end up in a core dump, nor be read by another process of the same user. */
static void harden(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "sotto-session", 0, 0, 0);	/* a daemon executes it by a descriptor */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);	/* a limit on files is a full disk: nothing is remembered */
	(void)umask(077);
	sotto_cannot_happen_hook = log_cannot_happen;
}

static void load_conf(struct job *j)
{
	sotto_conduct_conf(&j->conf, &j->conf_broken, j->conf_dir, sizeof(j->conf_dir), j->options.conf, j->options.state);
}

/* ---- one session ---- */

/* For the daemon, at once. */
static void on_learnt(void *arg, enum sotto_domain_offer what)
{
	const struct job *j = arg;

	sotto_ready_tell(j->options.ready, what == SOTTO_DOMAIN_YES ? SOTTO_READY_YES : SOTTO_READY_NO);
}

/* The daemon knows only the domain, and could not tell. */
static void on_refused(void *arg, bool refused)
{
	const struct job *j = arg;

	sotto_ready_tell(j->options.ready, refused ? SOTTO_READY_REFUSED : SOTTO_READY_FREE);
}

/* The role accept makes no connection once it has its ends: it is as narrow as can be from the start. */
static enum sotto_sandbox first_sandbox(const struct sotto_options *o)
{
	return o->role == SOTTO_ACCEPT ? SOTTO_SANDBOX_SETTLED : SOTTO_SANDBOX_CONNECTING;
}

/* No connection has to be made any more. Where the first filter could not be had, there is none to narrow. */
static void on_settled(void *arg)
{
	const struct job *j = arg;

	if (first_sandbox(&j->options) != SOTTO_SANDBOX_SETTLED)
		(void)!sotto_sandbox_enter(SOTTO_SANDBOX_SETTLED);
}

static void on_done(void *arg, bool orderly)
{
	struct job *j = arg;

	j->exit_code = orderly ? ORDERLY : DISORDERLY;
	event_base_loopbreak(j->base);
}

/* What is known before there is a connection to the other mail server. */
static void describe(struct job *j)
{
	const struct sotto_options *o = &j->options;

	j->conduct.config = (struct sotto_conduct_config){
		.role = o->role, .host = o->peer, .domain = o->domain != NULL ? o->domain : o->to, .learns = o->to,
		.require = o->require, .keep_starttls = o->keep_starttls, .native = o->to != NULL && strcmp(o->adapter, "postfix") == 0,
		.log_ms = LOG_MS, .conf = &j->conf, .conf_broken = j->conf_broken, .conf_dir = j->conf_dir, .state = o->state, .run = o->run,
		.adapter = o->adapter, .learnt = on_learnt, .refused = on_refused, .settled = on_settled, .done = on_done, .arg = j,
	};
}

static void prepare_session(struct job *j)
{
	struct sotto_conduct_config *c = &j->conduct.config;

	c->peer = j->ends.peer;
	c->peer_len = j->ends.peer_len;
	c->local = j->ends.local;
	if (j->host[0] != '\0')
		c->host = j->host;
	sotto_conduct_prepare(&j->conduct);
}

/* Both ends are there, and are ours. */
static int start_session(struct job *j)
{
	int r = sotto_conduct_start(&j->conduct, j->base, j->ends.net, j->ends.mta, j->header, j->header_len);

	if (r != 0) {
		j->exit_code = DISORDERLY;
		event_base_loopbreak(j->base);
	}
	return r;
}

/* The adapter has taken its connection back. */
static void drop_session(struct job *j)
{
	sotto_conduct_drop(&j->conduct);
	event_base_loopbreak(j->base);
}

static void on_connected(struct job *j, const struct sotto_dial_result *r)
{
	socklen_t len = sizeof(j->ends.local);

	j->ends.net = r->fd;
	j->ends.peer = r->peer;
	j->ends.peer_len = r->peer_len;
	if (getsockname(r->fd, (struct sockaddr *)&j->ends.local, &len) != 0)
		memset(&j->ends.local, 0, sizeof(j->ends.local));
	(void)snprintf(j->host, sizeof(j->host), "%s", r->host != NULL ? r->host : "");
	prepare_session(j);
	if (sotto_ready_wait(&j->options.ready, true) != 0) {
		drop_session(j);
		return;
	}
	if (start_session(j) != 0)
		sotto_goodbye(j->ends.mta, OUT_OF_ORDER);
}

/* Another domain's mail has found it out already. */
static bool is_known_without(void *arg, const char *host, const struct sockaddr *to, socklen_t len)
{
	const struct job *j = arg;

	return sotto_conduct_knows_without(&j->conduct, host, to, len);
}

static void on_dialled(void *arg, const struct sotto_dial_result *r)
{
	struct job *j = arg;
	char line[SOTTO_REACH_LINE], name[SOTTO_PEER_NAME];
	bool native;

	j->dial = NULL;
	if (r->fd >= 0) {
		on_connected(j, r);
		return;
	}
	sotto_reach_name(name, r->host, &r->peer, r->peer_len);
	event_base_loopbreak(j->base);
	if (sotto_ready_wait(&j->options.ready, true) != 0)
		return;
	native = r->error == SOTTO_DIAL_NOT_OFFERED;
	sotto_log(native ? LOG_INFO : LOG_NOTICE, "connect peer=%s outcome=%s cause=\"%s\" domain=%.255s", name[0] != '\0' ? name : "unknown",
		  native ? "native" : "none", sotto_dial_error(r->error), j->options.to);
	if (native)
		sotto_conduct_skip(&j->conduct);
	else
		sotto_conduct_learn(&j->conduct, SOTTO_DOMAIN_NO);
	sotto_reach_line(line, j->options.to, r);
	sotto_goodbye(j->ends.mta, line);
}

/* ---- the order of the steps ---- */

static void on_term(evutil_socket_t number, short what, void *arg)
{
	struct job *j = arg;

	(void)number;
	(void)what;
	if (j->conduct.relay != NULL) {
		sotto_conduct_stop(&j->conduct);
		return;
	}
	j->exit_code = DISORDERLY;
	event_base_loopbreak(j->base);
}

static int prepare_loop(struct job *j)
{
	j->base = event_base_new();
	if (j->base == NULL)
		return -1;
	j->term = evsignal_new(j->base, SIGTERM, on_term, j);
	if (j->term == NULL || event_add(j->term, NULL) != 0)
		return -1;
	if (j->options.to != NULL)
		j->mx = sotto_mx_open(j->base, &(struct sotto_mx_config){ .family = j->options.family });	/* reads files that the sandbox hides */
	return j->options.to != NULL && j->mx == NULL ? -1 : 0;
}

static void enter_sandbox(const struct job *j)
{
	int r = sotto_sandbox_enter(first_sandbox(&j->options));

	if (r != 0)
		sotto_log_limited(j->options.state, "sandbox-limit", LOG_NOTICE, "no sandbox: %s; going on without", strerror(-r));
}

static int begin(struct job *j)
{
	const struct sotto_options *o = &j->options;
	struct sotto_dial_options dial = { .timeout_ms = DIAL_MS, .dane = o->dane, .unwanted = is_known_without };

	if (j->options.to == NULL) {
		(void)!start_session(j);
		return 0;
	}
	if (o->from4.ss_family != AF_UNSPEC)
		dial.from4 = (const struct sockaddr *)&o->from4;
	if (o->from6.ss_family != AF_UNSPEC)
		dial.from6 = (const struct sockaddr *)&o->from6;
	j->dial = sotto_dial_mx(j->base, j->mx, o->to, &dial, on_dialled, j);
	if (j->dial == NULL && o->ready < 0)
		sotto_goodbye(j->ends.mta, OUT_OF_ORDER);
	return j->dial != NULL ? 0 : -1;
}

static int find_ends(struct job *j)
{
	char err[512];

	if (sotto_ends_find(&j->ends, &j->options, err, sizeof(err)) != 0) {
		fprintf(stderr, "sotto-session: %s; see sotto-session(8)\n", err);
		return USAGE;
	}
	if (j->options.backend == NULL)
		return ORDERLY;
	if (sotto_ends_backend(&j->ends, j->options.backend, BACKEND_MS, j->header, &j->header_len, err, sizeof(err)) == 0)
		return ORDERLY;
	sotto_log(LOG_ERR, "%s", err);
	/* an adapter that waits for our octet still has the connection, and goes on without us */
	if (j->options.ready < 0)
		sotto_goodbye(j->ends.net, "421 4.3.2 Our mail server cannot be reached at the moment\r\n");
	return DISORDERLY;
}

static int run(struct job *j)
{
	int r = find_ends(j);

	if (r != ORDERLY)
		return r;
	load_conf(j);
	describe(j);
	if (prepare_loop(j) != 0) {
		sotto_log(LOG_ERR, "no event loop or no DNS to be had: %s", strerror(errno));
		if (j->options.to != NULL && j->options.ready < 0)
			sotto_goodbye(j->ends.mta, OUT_OF_ORDER);
		return DISORDERLY;
	}
	enter_sandbox(j);
	if (j->options.to == NULL)
		prepare_session(j);
	if (j->options.to == NULL && sotto_ready_wait(&j->options.ready, false) != 0) {
		drop_session(j);
		return DISORDERLY;
	}
	j->exit_code = DISORDERLY;
	if (begin(j) == 0)
		(void)event_base_dispatch(j->base);
	return j->exit_code;
}

int main(int argc, char **argv)
{
	static struct job j;	/* outlives every callback */
	int r;

	harden();
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return sotto_serve(argc, argv);
	if (sotto_options_read(&j.options, argc, argv) != 0)
		return USAGE;
	sotto_log_open("sotto-session", j.options.log_stderr);
	r = run(&j);
	sotto_dial_cancel(j.dial);
	sotto_mx_close(j.mx);
	if (j.conduct.learnt != SOTTO_DOMAIN_UNKNOWN)
		sotto_conduct_remember(&j.conduct);
	if (j.term != NULL)
		event_free(j.term);
	if (j.base != NULL)
		event_base_free(j.base);
	return r;
}
