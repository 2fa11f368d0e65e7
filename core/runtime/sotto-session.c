/* SPDX-License-Identifier: ISC */
/*
 * sotto-session(8): one SMTP connection between our mail server and another one, sealed if the other one can. Started by the adapters
 * for Exim and Postfix, a process for each connection. This file is the order of the steps: options, settings, ends, sandbox, the ready
 * octet, the loop; what each of them does stands in the modules.
 *
 * Until the adapter has let go, nothing is read from or written to its descriptors: it can still take everything back. With --to that is
 * when there is a connection to the other mail server, or none to be had.
 */
#include <errno.h>
#include <event2/event.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/crypto/memory.h"
#include "core/runtime/account.h"
#include "core/runtime/conf.h"
#include "core/runtime/dial.h"
#include "core/runtime/ends.h"
#include "core/runtime/goodbye.h"
#include "core/runtime/log.h"
#include "core/runtime/mx.h"
#include "core/runtime/options.h"
#include "core/runtime/plan.h"
#include "core/runtime/reach.h"
#include "core/runtime/ready.h"
#include "core/runtime/relay.h"
#include "core/runtime/sandbox.h"
#include "core/runtime/state.h"

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
	struct sotto_relay *relay;
	struct sotto_account account;
	struct sotto_plan plan;
	char host[SOTTO_DNS_NAME];	/* --to: the MX that was connected to */
	enum sotto_domain_offer learnt;	/* --to: what the daemon has been told of the domain */
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
	char err[512] = "", path[sizeof(j->conf_dir)];
	int r = sotto_conf_load(&j->conf, j->options.conf, j->options.state, err, sizeof(err));

	j->conf_broken = r == 2;
	if (r != 0)
		sotto_log_limited(j->options.state, "conf-limit", LOG_ERR, "%s; %s", err,
				  r == 1 ? "the last good settings stay in force" : "nothing is sealed until it is mended");
	(void)snprintf(path, sizeof(path), "%s", j->options.conf);
	(void)snprintf(j->conf_dir, sizeof(j->conf_dir), "%s", dirname(path));
}

/* ---- what is learnt of the domain that we connect to ---- */

/* For the daemon, at once. Where everything is off nothing is learnt. */
static void note_domain(struct job *j, enum sotto_domain_offer what)
{
	if (j->options.to == NULL || what == j->learnt || j->conf.mode == SOTTO_MODE_OFF)
		return;
	j->learnt = what;
	sotto_ready_tell(j->options.ready, what);
}

/* For the next daemon, when the session is over: no mail waits for the disk. */
static void remember_domain(const struct job *j)
{
	int r = j->learnt == SOTTO_DOMAIN_UNKNOWN ? 0 : sotto_domain_note(j->options.state, j->options.to, j->learnt, (int64_t)time(NULL));

	if (r != 0 && r != -EINVAL)	/* an address literal is no domain */
		sotto_log_limited(j->options.state, "state-limit", LOG_WARNING,
				  "%s: nothing can be remembered of domains: %s; see sotto-session(8), FILES", j->options.state, strerror(-r));
}

/* A peer that is not to be sealed with teaches nothing by what it offers. */
static void note_report(struct job *j, const struct sotto_report *report, bool over)
{
	enum sotto_domain_offer what = sotto_reach_learnt(report, over);

	if (what != SOTTO_DOMAIN_UNKNOWN)
		note_domain(j, j->plan.avoided || j->plan.excluded ? SOTTO_DOMAIN_NO : what);
}

/* ---- one session ---- */

static void on_progress(void *arg, const struct sotto_report *report)
{
	struct job *j = arg;

	sotto_account_progress(&j->account, report);
	note_report(j, report, false);
}

/* The role accept makes no connection once it has its ends: it is as narrow as can be from the start. */
static enum sotto_sandbox first_sandbox(const struct sotto_options *o)
{
	return o->role == SOTTO_ACCEPT ? SOTTO_SANDBOX_SETTLED : SOTTO_SANDBOX_CONNECTING;
}

/* No connection has to be made any more. Where the first filter could not be had, there is none to narrow. */
static void on_settled(void *arg)
{
	struct job *j = arg;

	sotto_account_settled(&j->account);
	if (first_sandbox(&j->options) != SOTTO_SANDBOX_SETTLED)
		(void)!sotto_sandbox_enter(SOTTO_SANDBOX_SETTLED);
}

static void on_done(void *arg, const struct sotto_relay_end *end)
{
	struct job *j = arg;

	j->relay = NULL;
	j->exit_code = end->orderly ? ORDERLY : DISORDERLY;
	note_report(j, end->report, true);
	sotto_account_close(&j->account, end);
	event_base_loopbreak(j->base);
}

static void open_account(struct job *j)
{
	struct sotto_account *a = &j->account;
	const struct sotto_plan *p = &j->plan;

	a->role = j->options.role;
	a->peer = j->ends.peer;
	a->peer_len = j->ends.peer_len;
	a->host = j->host[0] != '\0' ? j->host : j->options.peer;
	a->domain = j->options.domain != NULL ? j->options.domain : j->options.to;
	a->adapter = j->options.adapter;
	a->state = j->options.state;
	a->run = j->options.run;
	a->log_ms = LOG_MS;
	a->required = p->required;
	a->native = p->session.clear == SOTTO_CLEAR_421;
	a->avoided = p->avoided;
	a->offered_before = p->offered_before;
	a->remembers_keys = j->conf.pin != SOTTO_PIN_OFF;
	sotto_account_open(a);
}

static void make_plan(struct job *j)
{
	const struct sotto_options *o = &j->options;
	char err[512];
	struct sotto_plan_for f = {
		.role = o->role,
		.who = { .domain = o->domain != NULL ? o->domain : o->to, .host = j->host[0] != '\0' ? j->host : o->peer,
			 .addr = j->ends.peer_len > 0 ? (const struct sockaddr *)&j->ends.peer : NULL },
		.conf_dir = j->conf_dir, .state = o->state, .require = o->require, .keep_starttls = o->keep_starttls,
		.redial = o->role == SOTTO_CONNECT && j->ends.peer_len > 0, .broken = j->conf_broken,
		.native = o->to != NULL && strcmp(o->adapter, "postfix") == 0,
	};

	sotto_plan_make(&j->plan, &f, &j->conf, (int64_t)time(NULL), err, sizeof(err));
	if (o->to != NULL)
		sotto_reach_name(j->plan.session.peer_name, j->host, &j->ends.peer, j->ends.peer_len);
	if (j->plan.identity_error != 0 && j->conf.mode != SOTTO_MODE_OFF)
		sotto_log_limited(o->state, "identity-limit", LOG_WARNING, "%s/identity: we show no identity key: %s; see sotto-session(8), FILES",
				  o->state, strerror(-j->plan.identity_error));
	if (err[0] != '\0')
		sotto_log_limited(o->state, "lists-limit", LOG_ERR, "%s; that line counts for nobody", err);
}

/*
 * For an adapter, which cannot look into the state (its disk may hang): a copy of what says that this peer is avoided, where
 * memory is the disk. It ends by itself, as the original does.
 */
static void note_avoidance(const struct job *j)
{
	const struct sotto_state_key key = { .addr = (const struct sockaddr *)&j->ends.peer };
	struct sotto_peer_state s;

	if (j->options.role != SOTTO_CONNECT || !j->plan.avoided)
		return;
	sotto_state_load(j->options.state, &key, &s);
	(void)!sotto_state_save(j->options.run, &key, &s);
}

/* All that reads or writes files before the first octet. Where a disk hangs, it does so here. */
static void prepare_session(struct job *j)
{
	make_plan(j);
	note_avoidance(j);
	open_account(j);
}

/* Both ends are there, and are ours. */
static void start_session(struct job *j)
{
	struct sotto_relay_config c = { .progress = on_progress, .settled = on_settled, .done = on_done, .arg = j };

	c.session = j->plan.session;
	c.peer = j->ends.peer;
	c.peer_len = j->ends.peer_len;
	c.local = j->ends.local;
	j->relay = sotto_relay_start(j->base, j->ends.net, j->ends.mta, &c, j->header, j->header_len);
	sotto_wipe(&j->plan.session.identity, sizeof(j->plan.session.identity));
	sotto_wipe(&c.session.identity, sizeof(c.session.identity));
	if (j->relay != NULL)
		return;
	sotto_log(LOG_ERR, "no memory for a session; the connection is closed");
	sotto_live_remove(&j->account.file);
	j->exit_code = DISORDERLY;
	event_base_loopbreak(j->base);
}

/* The adapter has taken its connection back. */
static void drop_session(struct job *j)
{
	sotto_wipe(&j->plan.session.identity, sizeof(j->plan.session.identity));
	sotto_live_remove(&j->account.file);
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
	if (j->plan.avoided || j->plan.excluded)
		note_domain(j, SOTTO_DOMAIN_NO);
	start_session(j);
	if (j->relay == NULL)
		sotto_goodbye(j->ends.mta, OUT_OF_ORDER);
}

/* Another domain's mail has found it out already. Of a peer that encryption is required of, it is asked all the same. */
static bool is_known_without(void *arg, const char *host, const struct sockaddr *to, socklen_t len)
{
	struct job *j = arg;
	struct sotto_peer_state s;

	sotto_state_load(j->options.state, &(struct sotto_state_key){ .addr = to }, &s);
	if (!sotto_peer_state_declined(&s, (int64_t)time(NULL)))
		return false;
	memcpy(&j->ends.peer, to, len);
	j->ends.peer_len = len;
	(void)snprintf(j->host, sizeof(j->host), "%s", host);
	make_plan(j);
	return !j->plan.required;
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
	note_domain(j, SOTTO_DOMAIN_NO);
	sotto_reach_line(line, j->options.to, r);
	sotto_goodbye(j->ends.mta, line);
}

/* ---- the order of the steps ---- */

static void on_term(evutil_socket_t number, short what, void *arg)
{
	struct job *j = arg;

	(void)number;
	(void)what;
	if (j->relay != NULL) {
		sotto_relay_stop(j->relay);
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
		start_session(j);
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
	if (sotto_options_read(&j.options, argc, argv) != 0)
		return USAGE;
	sotto_log_open("sotto-session", j.options.log_stderr);
	r = run(&j);
	sotto_dial_cancel(j.dial);
	sotto_mx_close(j.mx);
	remember_domain(&j);
	if (j.term != NULL)
		event_free(j.term);
	if (j.base != NULL)
		event_base_free(j.base);
	return r;
}
