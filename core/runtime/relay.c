/* SPDX-License-Identifier: ISC */
/*
 * Drives one session between two descriptors (relay.h): what the session wishes, what the events and the clock say, and who is
 * waited for next. Called by sotto-session's main and by the daemons. Holds no protocol: what octets mean is the session's
 * business. Never blocks. Descriptors are in relay-side.c, the pass-through in relay-through.c, the end in relay-end.c.
 */
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/memory.h"
#include "core/runtime/deadline.h"
#include "core/runtime/dial.h"
#include "core/runtime/relay-parts.h"

#define LOOK_MS 30000		/* whether our mail server is still there, while nothing is read from it */
#define REDIAL_MS 5000		/* to an address that has just answered */

static uint64_t monotonic_ms(void)
{
	return (uint64_t)sotto_now_ms();
}

uint64_t (*sotto_relay_now)(void) = monotonic_ms;

static void turn(struct sotto_relay *r);

/* ---- what the session wishes ---- */

static void redialed(void *arg, const struct sotto_dial_result *result)
{
	struct sotto_relay *r = arg;
	bool connected = result->fd >= 0;

	r->dial = NULL;
	if (connected && !sotto_side_open(r, SOTTO_NET, result->fd)) {
		sotto_side_close(&r->side[SOTTO_NET]);
		connected = false;
	}
	r->progressed = sotto_relay_now();
	sotto_session_clock(&r->session, r->progressed);
	sotto_session_redialed(&r->session, connected);
	turn(r);
}

/* True where it could not even begin: then the session knows already. */
static bool redial(struct sotto_relay *r)
{
	bool bound = r->config.local.ss_family == r->config.peer.ss_family;

	if (r->dial != NULL)
		return false;
	sotto_side_close(&r->side[SOTTO_NET]);
	if (r->config.peer_len > 0)
		r->dial = sotto_dial_address(r->base, (const struct sockaddr *)&r->config.peer, r->config.peer_len,
					     bound ? (const struct sockaddr *)&r->config.local : NULL, REDIAL_MS, redialed, r);
	if (r->dial == NULL)
		sotto_session_redialed(&r->session, false);
	return r->dial == NULL;
}

/* True where the session has been told something. */
static bool obey(struct sotto_relay *r, unsigned wishes)
{
	if (wishes & SOTTO_WISH_REDIAL)
		return redial(r);
	/* our mail server lost its patience meanwhile */
	sotto_dial_cancel(r->dial);
	r->dial = NULL;
	/* what ended by a reset must not look like an orderly end to the other side: pass_by() cuts it, once all is written */
	if ((wishes & SOTTO_WISH_SHUT_NET) && !r->side[SOTTO_MTA].failed)
		sotto_side_shut(&r->side[SOTTO_NET]);
	if ((wishes & SOTTO_WISH_SHUT_MTA) && !r->side[SOTTO_NET].failed)
		sotto_side_shut(&r->side[SOTTO_MTA]);
	return false;
}

static void settle(struct sotto_relay *r)
{
	bool may_redial = r->config.session.role == SOTTO_CONNECT && r->config.session.redial && r->config.peer_len > 0;

	if (r->settled || (may_redial && !sotto_session_is_opaque(&r->session) && !sotto_session_is_sealed(&r->session)))
		return;
	r->settled = true;
	if (r->config.settled != NULL)
		r->config.settled(r->config.arg);
}

/* ---- a turn: everything that can be done now ---- */

/* Nothing is to be looked at any more, and nothing waits in the session's buffers. Somebody else may go on with what is left: none of it has been shut. */
static void pass_by(struct sotto_relay *r)
{
	for (unsigned i = 0; i < 2; i++) {
		if (sotto_side_dead(&r->side[i])) {
			sotto_relay_begin_cutting(r, sotto_other((enum sotto_side)i));
			return;
		}
	}
	/* one reply is still to come: neither pipes nor somebody else are worth while for it */
	if (r->session.report.quit)
		return;
	if (r->config.opaque == NULL) {
		sotto_through_begin(r);
		return;
	}
	if (r->preface_len > 0 || r->stands_still)
		return;
	r->stands_still = true;
	r->config.opaque(r->config.arg);
}

static void hold(struct sotto_relay *r)
{
	if (r->held || r->config.held == NULL)
		return;
	r->held = true;
	r->config.held(r->config.arg);
}

static void turn_session(struct sotto_relay *r)
{
	unsigned wishes;
	bool moved;

	do {
		moved = sotto_side_write(r, SOTTO_NET);
		moved = sotto_side_write(r, SOTTO_MTA) || moved;
		wishes = sotto_session_wishes(&r->session);
		moved = obey(r, wishes) || moved;
	} while (moved);
	sotto_relay_tell(r);
	settle(r);
	if ((wishes & SOTTO_WISH_END) && (wishes & SOTTO_WISH_ABORT))
		sotto_relay_begin_cutting(r, SOTTO_MTA);
	else if (wishes & SOTTO_WISH_END)
		sotto_relay_begin_closing(r);
	else if (wishes & SOTTO_WISH_SPLICE)
		pass_by(r);
	else if (wishes & SOTTO_WISH_EXCHANGE)
		hold(r);
}

/*
 * A side is gone once it took an error, or our mail server has ended: it never half-closes to wait for long. The other mail server
 * may: it may have sent a whole session at once, and wait for the replies.
 */
static bool one_is_gone(const struct sotto_relay *r)
{
	return r->side[SOTTO_NET].broken || r->side[SOTTO_NET].failed || r->side[SOTTO_MTA].broken || r->side[SOTTO_MTA].ended ||
	       r->leave_by != 0;
}

static uint64_t session_deadline(const struct sotto_relay *r)
{
	return r->phase == SOTTO_PHASE_SESSION ? sotto_session_deadline(&r->session) : 0;
}

/* ARCHITECTURE.md, The session: 30 seconds without progress; where the session has a clock of its own, that one decides. */
static bool out_of_patience(struct sotto_relay *r)
{
	bool net, mta;

	if (r->phase >= SOTTO_PHASE_CLOSING || !one_is_gone(r) || session_deadline(r) != 0)
		return false;
	net = sotto_side_drains(&r->side[SOTTO_NET]);
	mta = sotto_side_drains(&r->side[SOTTO_MTA]);
	if (net || mta)
		r->progressed = sotto_relay_now();
	return sotto_relay_now() - r->progressed >= SOTTO_GONE_MS;
}

/* Also behind octets that nobody has read yet. */
static bool hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return fd >= 0 && poll(&p, 1, 0) == 1;
}

/*
 * A mail server counts its own processes. Once ours is gone it counts us no more, so a peer that takes an octet now and then, or none,
 * must not keep us. While we don't read from our mail server, because the peer doesn't read from us, its end has to be looked for.
 */
static void note_leaving(struct sotto_relay *r)
{
	const struct sotto_relay_side *mta = &r->side[SOTTO_MTA];
	uint64_t now = sotto_relay_now();
	bool gone = mta->ended || mta->broken;

	if (r->leave_by != 0)
		return;
	if (!gone && !mta->reading && now >= r->look_at) {
		r->look_at = now + LOOK_MS;
		gone = hung_up(mta->fd);
	}
	if (gone)
		r->leave_by = now + SOTTO_LEAVE_MS;
}

static bool must_leave(const struct sotto_relay *r)
{
	return r->leave_by != 0 && sotto_relay_now() >= r->leave_by;
}

static bool arm_side(struct sotto_relay *r, enum sotto_side side)
{
	struct sotto_relay_side *d = &r->side[side];
	size_t space = 0, ready = 0;

	switch (r->phase) {
	case SOTTO_PHASE_SESSION:
		(void)sotto_session_space(&r->session, side, &space);
		(void)sotto_session_ready(&r->session, side, &ready);
		return sotto_side_want(d, space > 0 && !d->ended && !r->stands_still, ready > 0 || (side == SOTTO_MTA && r->preface_len > 0));
	case SOTTO_PHASE_THROUGH:
		return sotto_side_want(d, sotto_splice_wants_read(&r->through[side]),
				       sotto_splice_wants_write(&r->through[sotto_other(side)]));
	case SOTTO_PHASE_CLOSING:
		return sotto_side_want(d, !d->ended, false);
	case SOTTO_PHASE_CUTTING:
		break;
	}
	return sotto_side_want(d, false, false);
}

static uint64_t next_look(struct sotto_relay *r)
{
	if (r->phase >= SOTTO_PHASE_CLOSING)
		return sotto_relay_end_deadline(r);
	if (session_deadline(r) != 0)
		return session_deadline(r);
	return one_is_gone(r) ? r->progressed + SOTTO_GONE_MS : 0;
}

/* When to look again even where no descriptor is ready; 0: never. */
static uint64_t deadline(struct sotto_relay *r)
{
	uint64_t at = next_look(r), last = r->leave_by != 0 ? r->leave_by : r->look_at;

	if (r->leave_by == 0 && r->side[SOTTO_MTA].reading)
		return at;
	return at == 0 || at > last ? last : at;
}

static bool arm_timer(struct sotto_relay *r)
{
	uint64_t at = deadline(r), now = sotto_relay_now(), wait = at > now ? at - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000) * 1000 };

	return (at == 0 ? event_del(r->timer) : event_add(r->timer, &tv)) == 0;
}

/* The last thing that a callback does: the relay may be gone afterwards. */
static void turn(struct sotto_relay *r)
{
	if (r->phase == SOTTO_PHASE_THROUGH)
		sotto_through_turn(r);
	if (r->phase == SOTTO_PHASE_SESSION)
		turn_session(r);
	note_leaving(r);
	if (sotto_relay_is_over(r))
		sotto_relay_finish(r);
	/* without events we would wait for ever */
	else if (must_leave(r) || out_of_patience(r) || !arm_side(r, SOTTO_NET) || !arm_side(r, SOTTO_MTA) || !arm_timer(r))
		sotto_relay_stop(r);
}

void sotto_relay_on_event(int fd, short what, void *arg)
{
	struct sotto_relay *r = arg;
	enum sotto_side side = fd == r->side[SOTTO_NET].fd ? SOTTO_NET : SOTTO_MTA;

	sotto_session_clock(&r->session, sotto_relay_now());
	if (r->phase == SOTTO_PHASE_THROUGH)
		sotto_through_event(r, side, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
	else if (r->phase == SOTTO_PHASE_SESSION && (what & EV_READ))
		(void)sotto_side_read(r, side);
	turn(r);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_relay *r = arg;

	(void)fd;
	(void)what;
	sotto_session_clock(&r->session, sotto_relay_now());
	if (r->phase == SOTTO_PHASE_SESSION)
		sotto_session_tick(&r->session);
	turn(r);
}

void sotto_relay_exchange(struct sotto_relay *r, const uint8_t *identity)
{
	r->config.opaque = NULL;
	sotto_session_clock(&r->session, sotto_relay_now());
	sotto_session_exchange(&r->session, identity);
	turn(r);
}

void sotto_relay_no_exchange(struct sotto_relay *r)
{
	sotto_session_clock(&r->session, sotto_relay_now());
	sotto_session_no_exchange(&r->session);
	turn(r);
}

/* ---- the start ---- */

static struct sotto_relay *new_relay(struct event_base *base, const struct sotto_relay_config *config)
{
	struct sotto_relay *r = malloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	memset(r, 0, offsetof(struct sotto_relay, session));
	r->base = base;
	r->config = *config;
	r->started = r->progressed = sotto_relay_now();
	for (unsigned i = 0; i < 2; i++) {
		r->side[i].fd = -1;
		r->through[i].pipe[0] = r->through[i].pipe[1] = -1;
	}
	sotto_session_init(&r->session, &config->session, r->started);
	/* the session has it, and wipes it */
	sotto_wipe(r->config.session.identity, sizeof(r->config.session.identity));
	return r;
}

struct sotto_relay *sotto_relay_start(struct event_base *base, int net, int mta, const struct sotto_relay_config *config,
				      const uint8_t *preface, size_t preface_len)
{
	struct sotto_relay *r = preface_len <= SOTTO_RELAY_PREFACE ? new_relay(base, config) : NULL;
	struct timeval at_once = { 0, 0 };

	if (r == NULL)
		return NULL;
	if (preface_len > 0)
		memcpy(r->preface, preface, preface_len);
	r->preface_len = preface_len;
	(void)signal(SIGPIPE, SIG_IGN);
	r->timer = event_new(base, -1, 0, on_timer, r);
	if (r->timer != NULL && sotto_side_open(r, SOTTO_NET, net) && sotto_side_open(r, SOTTO_MTA, mta) &&
	    event_add(r->timer, &at_once) == 0)
		return r;
	r->side[SOTTO_NET].fd = r->side[SOTTO_MTA].fd = -1;	/* they stay the caller's */
	sotto_relay_release(r);
	sotto_session_wipe(&r->session);
	free(r);
	return NULL;
}
