/* SPDX-License-Identifier: ISC */
/*
 * Keeps the account of one session, for sotto-session and the daemons (account.h). Decides nothing about the session; whatever fails
 * here is passed over.
 */
#include "core/runtime/account.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "core/runtime/account-text.h"
#include "core/runtime/counters.h"
#include "core/runtime/log.h"
#include "core/runtime/state-peer.h"
#include "core/runtime/state.h"

#define FRESH 600	/* seconds for which a time that was written is good enough: most sessions bring nothing else that is new */

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

static const struct sockaddr *address(const struct sotto_account *a)
{
	return a->peer_len > 0 ? (const struct sockaddr *)&a->peer : NULL;
}

static void write_live(struct sotto_account *a)
{
	if (address(a) == NULL)
		return;
	if (a->file.fd < 0)
		sotto_live_sweep(a->run);
	/* without it there is no trace, and that is all */
	if (sotto_live_write(&a->file, a->run, address(a), &a->live) != 0)
		a->file.fd = -1;
}

void sotto_account_open(struct sotto_account *a)
{
	a->file = (struct sotto_live_file){ .fd = -1 };
	a->live = (struct sotto_live){ .inbound = a->role == SOTTO_ACCEPT, .pid = a->pid != 0 ? a->pid : getpid(), .since = now_s() };
	(void)snprintf(a->live.adapter, sizeof(a->live.adapter), "%s", a->adapter);
	/* one that we make is only listed: that can wait until it is known what it is */
	if (a->role == SOTTO_ACCEPT && !a->lists_later)
		write_live(a);
}

void sotto_account_settled(struct sotto_account *a)
{
	if (a->file.fd < 0)
		write_live(a);
}

void sotto_account_progress(struct sotto_account *a, const struct sotto_report *report)
{
	if (a->live.sealed || report->outcome != SOTTO_OUTCOME_SEALED)
		return;
	a->live.sealed = true;
	a->live.version = report->version;
	for (unsigned i = 0; i < 8; i++)
		(void)snprintf(a->live.id + 2 * i, 3, "%02x", report->session_id[i]);
	write_live(a);
}

/* ---- memory ---- */

static void remember(const struct sotto_account *a, const struct sotto_state_key *key, const struct sotto_peer_state *s)
{
	int r = sotto_state_save(a->state, key, s);

	if (r != 0)
		sotto_log_limited(a->state, "state-limit", LOG_WARNING, "%s: nothing can be remembered of peers: %s; see sotto-session(8), FILES",
				  a->state, strerror(-r));
}

static bool is_fresh(int64_t when, int64_t now)
{
	return when <= now && now - when < FRESH;
}

static void remember_key(const struct sotto_account *a, const struct sotto_report *r, const char *name, int64_t now)
{
	struct sotto_state_key key = { .name = name };
	struct sotto_peer_state s;
	bool fresh;

	if (name == NULL || name[0] == '\0')
		return;
	sotto_state_load(a->state, &key, &s);
	fresh = is_fresh(s.seen, now);
	s.seen = now;
	if (!sotto_peer_state_see_key(&s, r->identity_key, now) || !fresh)
		remember(a, &key, &s);
}

/* Nothing but times has become newer, and not by much: the file that is there says the same. */
static bool says_the_same(const struct sotto_peer_state *before, const struct sotto_peer_state *after, int64_t now)
{
	struct sotto_peer_state older = *before;
	struct sotto_text_out a, b;

	if (!is_fresh(before->seen, now) || before->n_keys != after->n_keys)
		return false;
	older.seen = after->seen;
	older.offer_seen = before->offer_seen != 0 ? after->offer_seen : 0;
	older.sealed = before->sealed != 0 ? after->sealed : 0;
	for (unsigned i = 0; i < older.n_keys; i++)
		older.keys[i].seen = after->keys[i].seen;
	return sotto_peer_state_write(&a, &older) == 0 && sotto_peer_state_write(&b, after) == 0 && a.n == b.n &&
	       memcmp(a.at, b.at, a.n) == 0;
}

static bool has_shown_key(const struct sotto_account *a, const struct sotto_report *r)
{
	return a->remembers_keys && (r->identity == SOTTO_IDENTITY_FIRST || r->identity == SOTTO_IDENTITY_KNOWN ||
				     (r->identity == SOTTO_IDENTITY_CHANGED && r->outcome == SOTTO_OUTCOME_SEALED));
}

static void apply(struct sotto_peer_state *s, const struct sotto_relay_end *end, int64_t now)
{
	const struct sotto_report *r = end->report;

	if (r->offer_known)
		sotto_peer_state_apply(s, r->offered ? SOTTO_EVENT_OFFERED : SOTTO_EVENT_NOT_OFFERED, now);
	if (r->outcome == SOTTO_OUTCOME_SEALED && end->orderly)
		sotto_peer_state_apply(s, SOTTO_EVENT_SEALED, now);
	else if (r->failed || r->lost)
		sotto_peer_state_apply(s, r->silent && !r->lost ? SOTTO_EVENT_SILENT : SOTTO_EVENT_FAILED, now);
}

/* A peer is worth a file once something was learnt of it: what it offers, that it fails, its key. */
static void remember_peer(const struct sotto_account *a, const struct sotto_relay_end *end, const struct sotto_peer_state *before,
			  struct sotto_peer_state *s)
{
	const struct sotto_report *r = end->report;
	struct sotto_state_key key = { .addr = address(a), .inbound = a->role == SOTTO_ACCEPT };
	int64_t now = now_s();

	if (a->role == SOTTO_ACCEPT ? !r->authenticated : !(r->offer_known || r->failed || r->lost))
		return;
	s->seen = now;
	apply(s, end, now);
	if (a->role == SOTTO_ACCEPT && s->sealed == 0)	/* lost before it ever ended well: such a client gets no file */
		return;
	if (has_shown_key(a, r)) {
		(void)sotto_peer_state_see_key(s, r->identity_key, now);
		remember_key(a, r, a->host, now);
		remember_key(a, r, a->domain, now);
	}
	if (!says_the_same(before, s, now))
		remember(a, &key, s);
}

/* ---- the log ---- */

/* PROTOCOL.md 8: every fallback, with a limit per peer, and the count of what the limit withheld. */
static void tell_fallback(const struct sotto_report *r, const char *peer, struct sotto_peer_state *s)
{
	unsigned withheld = 0;
	char more[40] = "";

	if (!sotto_peer_state_tell(s, now_s(), &withheld))
		return;
	if (withheld > 0)
		(void)snprintf(more, sizeof(more), " withheld=%u", withheld);
	sotto_log(LOG_WARNING, "fallback: peer=%s cause=\"%s\" spent=%" PRIu64 "ms sealed_before=%s%s", peer, sotto_cause_text(r->failure),
		  r->failed_ms, s->sealed != 0 ? "yes" : "no", more);
}

static bool is_downgrade(const struct sotto_account *a, const struct sotto_report *r)
{
	return r->offer_known && !r->offered && a->offered_before;
}

/* PROTOCOL.md 7 and 8: what an administrator should know of, beside the session's own line. */
static void warn(const struct sotto_account *a, const struct sotto_relay_end *end, struct sotto_peer_state *s)
{
	const struct sotto_report *r = end->report;
	char peer[SOTTO_ACCOUNT_PEER];

	sotto_account_peer(peer, sizeof(peer), a);
	if (is_downgrade(a, r))
		sotto_log(LOG_WARNING, "downgrade: peer=%s offered XSOTTO before and does not any more", peer);
	if (r->identity == SOTTO_IDENTITY_CHANGED || r->identity == SOTTO_IDENTITY_ABSENT)
		sotto_log(LOG_WARNING, "identity: peer=%s %s", peer, r->identity == SOTTO_IDENTITY_CHANGED ?
			  "shows a key that was not seen before" : "shows no key, and did before");
	if (r->failed && a->role == SOTTO_CONNECT)
		tell_fallback(r, peer, s);
}

/* ---- the counters ---- */

static enum sotto_counted_adapter counted_adapter(const char *name)
{
	if (strcmp(name, "postfix") == 0)
		return SOTTO_COUNTED_POSTFIX;
	return strcmp(name, "opensmtpd") == 0 ? SOTTO_COUNTED_OPENSMTPD : SOTTO_COUNTED_EXIM;
}

static enum sotto_counted_outcome counted_outcome(const struct sotto_account *a, const struct sotto_report *r)
{
	static const enum sotto_counted_outcome of[] = {
		[SOTTO_OUTCOME_OPEN] = SOTTO_COUNTED_NONE, [SOTTO_OUTCOME_CLEAR] = SOTTO_COUNTED_CLEAR,
		[SOTTO_OUTCOME_SEALED] = SOTTO_COUNTED_SEALED, [SOTTO_OUTCOME_REFUSED] = SOTTO_COUNTED_REFUSED,
	};

	return sotto_account_native(a, r) ? SOTTO_COUNTED_NATIVE : of[r->outcome];
}

static unsigned counted_flags(const struct sotto_account *a, const struct sotto_relay_end *end)
{
	const struct sotto_report *r = end->report;

	return (r->failed ? SOTTO_COUNTED_FELL_BACK : 0) | (r->lost ? SOTTO_COUNTED_LOST : 0) | (is_downgrade(a, r) ? SOTTO_COUNTED_DOWNGRADE : 0) |
	       (r->identity == SOTTO_IDENTITY_CHANGED || r->identity == SOTTO_IDENTITY_ABSENT ? SOTTO_COUNTED_IDENTITY : 0) |
	       (r->starttls ? SOTTO_COUNTED_STARTTLS : 0) | (end->orderly || sotto_account_native(a, r) ? 0 : SOTTO_COUNTED_CUT) |
	       (a->avoided ? SOTTO_COUNTED_AVOIDED : 0);
}

static unsigned up_to(uint64_t value)
{
	return value < UINT32_MAX ? (unsigned)value : UINT32_MAX;
}

/* Nobody is told where that fails: what can't be written here can't be remembered either, and that is told. */
static void count(const struct sotto_account *a, const struct sotto_relay_end *end)
{
	const struct sotto_report *r = end->report;
	const struct sotto_counted c = {
		.adapter = counted_adapter(a->adapter), .inbound = a->role == SOTTO_ACCEPT, .outcome = counted_outcome(a, r), .cause = r->cause,
		.flags = counted_flags(a, end), .exchange_ms = up_to(r->exchange_ms), .duration_ms = up_to(end->duration_ms), .at = now_s(),
		.sent = end->sent, .received = end->received,
	};

	if (a->counted != NULL)
		a->counted(a->state, &c);
	else
		(void)!sotto_counters_add(a->state, &c);
}

void sotto_account_abandon(struct sotto_account *a)
{
	if (a->file.fd >= 0)
		close(a->file.fd);
	a->file.fd = -1;
}

/* Whether what is remembered of the peer, or will be, says anything of this session. */
static bool has_memory(const struct sotto_account *a, const struct sotto_report *r)
{
	return address(a) != NULL && (a->role == SOTTO_CONNECT || r->authenticated);
}

void sotto_account_close(struct sotto_account *a, const struct sotto_relay_end *end)
{
	struct sotto_peer_state before, s;
	char line[SOTTO_ACCOUNT_LINE];

	memset(&s, 0, sizeof(s));
	if (has_memory(a, end->report))
		sotto_state_load(a->state, &(struct sotto_state_key){ .addr = address(a), .inbound = a->role == SOTTO_ACCEPT }, &s);
	before = s;
	sotto_log_patience(a->log_ms);
	warn(a, end, &s);
	sotto_account_line(line, sizeof(line), a, end);
	sotto_log(end->orderly || sotto_account_native(a, end->report) ? LOG_INFO : LOG_NOTICE, "%s", line);
	if (has_memory(a, end->report))
		remember_peer(a, end, &before, &s);
	count(a, end);
	sotto_live_remove(&a->file);
}
