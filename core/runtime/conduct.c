/* SPDX-License-Identifier: ISC */
/* Conducts one session (conduct.h). Called by sotto-session's main and by daemons; decides nothing that plan.c and the session do not. */
#include "core/runtime/conduct.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/crypto/memory.h"
#include "core/runtime/identity.h"
#include "core/runtime/log.h"
#include "core/runtime/reach.h"
#include "core/runtime/state.h"

void sotto_conduct_conf(struct sotto_conf *conf, bool *broken, char *conf_dir, size_t len, const char *path, const char *state)
{
	char err[512] = "", copy[4096];
	int r = sotto_conf_load(conf, path, state, err, sizeof(err));

	*broken = r == 2;
	if (r != 0)
		sotto_log_limited(state, "conf-limit", LOG_ERR, "%s; %s", err,
				  r == 1 ? "the last good settings stay in force" : "nothing is sealed until it is mended");
	(void)snprintf(copy, sizeof(copy), "%s", path);
	(void)snprintf(conf_dir, len, "%s", dirname(copy));
}

/* ---- what is learnt of the domain that we connect to ---- */

void sotto_conduct_learn(struct sotto_conduct *c, enum sotto_domain_offer what)
{
	if (c->config.learns == NULL || what == c->learnt || c->config.conf->mode == SOTTO_MODE_OFF)
		return;
	if (what == SOTTO_DOMAIN_NO && c->plan.required)
		return;
	c->learnt = what;
	if (c->config.learnt != NULL)
		c->config.learnt(c->config.arg, what);
}

void sotto_conduct_remember(const struct sotto_conduct *c)
{
	int r = c->learnt == SOTTO_DOMAIN_UNKNOWN ? 0 : sotto_domain_note(c->config.state, c->config.learns, c->learnt, (int64_t)time(NULL));

	if (r != 0 && r != -EINVAL)	/* an address literal is no domain */
		sotto_log_limited(c->config.state, "state-limit", LOG_WARNING,
				  "%s: nothing can be remembered of domains: %s; see sotto-session(8), FILES", c->config.state, strerror(-r));
}

/* A peer that is not to be sealed with teaches nothing by what it offers. */
static bool is_let_be(const struct sotto_conduct *c)
{
	return c->plan.avoided || c->plan.excluded;
}

static void tell_refused(struct sotto_conduct *c, bool refused)
{
	if (c->config.learns == NULL || c->config.refused == NULL || (refused ? c->told_refused : c->told_free))
		return;
	c->told_refused = refused;
	c->told_free = !refused;
	c->config.refused(c->config.arg, refused);
}

static void note_report(struct sotto_conduct *c, const struct sotto_report *report, bool over)
{
	enum sotto_domain_offer what = sotto_reach_learnt(report, over);

	if (what != SOTTO_DOMAIN_UNKNOWN)
		sotto_conduct_learn(c, is_let_be(c) ? SOTTO_DOMAIN_NO : what);
	if (report->outcome != SOTTO_OUTCOME_OPEN)
		tell_refused(c, c->plan.required || report->cause == SOTTO_CAUSE_IDENTITY);
}

/* ---- before the first octet ---- */

static void open_account(struct sotto_conduct *c)
{
	const struct sotto_conduct_config *f = &c->config;
	struct sotto_account *a = &c->account;

	a->role = f->role;
	a->peer = f->peer;
	a->peer_len = f->peer_len;
	a->host = f->host;
	a->domain = f->domain;
	a->adapter = f->adapter;
	a->state = f->state;
	a->run = f->run;
	a->log_ms = f->log_ms;
	a->pid = f->pid;
	a->lists_later = f->lists_later;
	a->counted = f->counted;
	a->required = c->plan.required;
	a->native = c->plan.session.clear == SOTTO_CLEAR_421;
	a->avoided = c->plan.avoided;
	a->offered_before = c->plan.offered_before;
	a->remembers_keys = f->conf->pin != SOTTO_PIN_OFF;
	sotto_account_open(a);
}

static void tell_identity_error(const struct sotto_conduct *c, int error)
{
	sotto_log_limited(c->config.state, "identity-limit", LOG_WARNING, "%s/identity: we show no identity key: %s; see sotto-session(8), FILES",
			  c->config.state, strerror(-error));
}

static void make_plan(struct sotto_conduct *c)
{
	const struct sotto_conduct_config *o = &c->config;
	char err[512];
	const struct sotto_plan_for f = {
		.role = o->role,
		.who = { .domain = o->domain, .host = o->host, .addr = o->peer_len > 0 ? (const struct sockaddr *)&o->peer : NULL },
		.conf_dir = o->conf_dir, .state = o->state, .identity = o->identity, .require = o->require, .keep_starttls = o->keep_starttls,
		.redial = o->role == SOTTO_CONNECT && o->peer_len > 0, .broken = o->conf_broken, .native = o->native,
		.no_identity = o->held != NULL,
	};

	sotto_plan_make(&c->plan, &f, o->conf, (int64_t)time(NULL), err, sizeof(err));
	if (o->learns != NULL)
		sotto_reach_name(c->plan.session.peer_name, o->host, &o->peer, o->peer_len);
	if (c->plan.identity_error != 0 && o->conf->mode != SOTTO_MODE_OFF)
		tell_identity_error(c, c->plan.identity_error);
	if (err[0] != '\0')
		sotto_log_limited(o->state, "lists-limit", LOG_ERR, "%s; that line counts for nobody", err);
}

bool sotto_conduct_knows_without(const struct sotto_conduct *c, const char *host, const struct sockaddr *peer, socklen_t len)
{
	struct sotto_conduct one = { .config = c->config };
	struct sotto_peer_state s;

	sotto_state_load(c->config.state, &(struct sotto_state_key){ .addr = peer }, &s);
	if (!sotto_peer_state_declined(&s, (int64_t)time(NULL)))
		return false;
	one.config.host = host;
	memcpy(&one.config.peer, peer, len);
	one.config.peer_len = len;
	make_plan(&one);
	return !one.plan.required && one.plan.session.known == 0;
}

void sotto_conduct_skip(struct sotto_conduct *c)
{
	tell_refused(c, false);
	sotto_conduct_learn(c, SOTTO_DOMAIN_NO);
}

/*
 * For an adapter, which cannot look into the state (its disk may hang): a copy of what says that this peer is avoided, where
 * memory is the disk. It ends by itself, as the original does.
 */
static void note_avoidance(const struct sotto_conduct *c)
{
	const struct sotto_state_key key = { .addr = (const struct sockaddr *)&c->config.peer };
	struct sotto_peer_state s;

	if (c->config.role != SOTTO_CONNECT || !c->plan.avoided)
		return;
	sotto_state_load(c->config.state, &key, &s);
	(void)!sotto_state_save(c->config.run, &key, &s);
}

void sotto_conduct_prepare(struct sotto_conduct *c)
{
	make_plan(c);
	note_avoidance(c);
	open_account(c);
	if (c->plan.required)
		tell_refused(c, true);
}

void sotto_conduct_drop(struct sotto_conduct *c)
{
	sotto_wipe(&c->plan.session.identity, sizeof(c->plan.session.identity));
	sotto_live_remove(&c->account.file);
}

/* ---- under way ---- */

static void on_progress(void *arg, const struct sotto_report *report)
{
	struct sotto_conduct *c = arg;

	sotto_account_progress(&c->account, report);
	note_report(c, report, false);
}

static void on_settled(void *arg)
{
	struct sotto_conduct *c = arg;

	if (!c->config.lists_later)
		sotto_account_settled(&c->account);
	if (c->config.settled != NULL)
		c->config.settled(c->config.arg);
}

static void on_done(void *arg, const struct sotto_relay_end *end)
{
	struct sotto_conduct *c = arg;
	bool orderly = end->orderly;

	c->relay = NULL;
	note_report(c, end->report, true);
	sotto_account_close(&c->account, end);
	if (c->config.done != NULL)
		c->config.done(c->config.arg, orderly);
}

static void on_held(void *arg)
{
	const struct sotto_conduct *c = arg;

	c->config.held(c->config.arg);
}

static void on_opaque(void *arg)
{
	const struct sotto_conduct *c = arg;

	c->config.opaque(c->config.arg);
}

int sotto_conduct_start(struct sotto_conduct *c, struct event_base *base, int net, int mta, const uint8_t *preface, size_t preface_len)
{
	struct sotto_relay_config r = {
		.progress = on_progress, .settled = on_settled, .held = c->config.held != NULL ? on_held : NULL,
		.opaque = c->config.opaque != NULL ? on_opaque : NULL, .done = on_done, .arg = c,
	};

	if (is_let_be(c))
		sotto_conduct_learn(c, SOTTO_DOMAIN_NO);
	r.session = c->plan.session;
	r.peer = c->config.peer;
	r.peer_len = c->config.peer_len;
	r.local = c->config.local;
	c->relay = sotto_relay_start(base, net, mta, &r, preface, preface_len);
	sotto_wipe(&r.session.identity, sizeof(r.session.identity));
	sotto_wipe(&c->plan.session.identity, sizeof(c->plan.session.identity));
	if (c->relay != NULL)
		return 0;
	sotto_log(LOG_ERR, "no memory for a session; the connection is closed");
	sotto_live_remove(&c->account.file);
	return -1;
}

void sotto_conduct_exchange(struct sotto_conduct *c)
{
	uint8_t identity[32];
	int error = sotto_identity_load(identity, c->config.state);

	if (error != 0)
		tell_identity_error(c, error);
	sotto_relay_exchange(c->relay, error == 0 ? identity : NULL);
	sotto_wipe(identity, sizeof(identity));
}

void sotto_conduct_no_exchange(struct sotto_conduct *c)
{
	sotto_relay_no_exchange(c->relay);
}

void sotto_conduct_let_go(struct sotto_conduct *c)
{
	sotto_relay_let_go(c->relay);
}

void sotto_conduct_passed(struct sotto_conduct *c, uint64_t sent, uint64_t received, bool orderly)
{
	sotto_relay_passed(c->relay, sent, received, orderly);
}

void sotto_conduct_list(struct sotto_conduct *c)
{
	sotto_account_settled(&c->account);
}

void sotto_conduct_adopt(struct sotto_conduct *c, int log_ms)
{
	c->account.live.pid = getpid();
	c->account.log_ms = log_ms;
	c->account.counted = NULL;
}

void sotto_conduct_abandon(struct sotto_conduct *c)
{
	if (c->relay != NULL)
		sotto_relay_abandon(c->relay);
	c->relay = NULL;
	sotto_account_abandon(&c->account);
}

void sotto_conduct_stop(struct sotto_conduct *c)
{
	if (c->relay != NULL)
		sotto_relay_stop(c->relay);
}
