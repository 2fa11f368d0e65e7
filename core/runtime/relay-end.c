/* SPDX-License-Identifier: ISC */
/*
 * How a relay ends (relay-parts.h): in an orderly way, so that the kernel drops nothing of what we wrote last, or as a lost
 * connection, so that nobody takes it for an orderly end (PROTOCOL.md 5). Called by relay.c and relay-through.c.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/runtime/dial.h"
#include "core/runtime/relay-parts.h"

#define LINGER_MS 5000		/* for the other ends to read what we said last, and to close */
#define DRAIN_MS 4		/* until the first look at what the kernel has not handed over; doubles */
#define DRAIN_MS_MAX 512

/* A unix socket knows no such thing: its other end sees an end of the stream. */
static void reset_at_close(const struct sotto_relay_side *d)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (d->fd >= 0)
		(void)setsockopt(d->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

void sotto_relay_release(struct sotto_relay *r)
{
	sotto_dial_cancel(r->dial);
	r->dial = NULL;
	sotto_through_close(r);
	for (unsigned i = 0; i < 2; i++) {
		if (r->phase == SOTTO_PHASE_CUTTING)
			reset_at_close(&r->side[i]);
		sotto_side_close(&r->side[i]);
	}
	if (r->timer != NULL)
		event_free(r->timer);
	r->timer = NULL;
}

void sotto_relay_finish(struct sotto_relay *r)
{
	const struct sotto_report *report = &r->session.report;
	struct sotto_relay_end end = {
		.report = report,
		.orderly = !report->lost && !r->cut_off && report->outcome != SOTTO_OUTCOME_REFUSED,
		.duration_ms = sotto_relay_now() - r->started,
	};

	sotto_relay_release(r);
	end.sent = r->side[SOTTO_NET].out + r->through[SOTTO_MTA].passed;
	end.received = r->side[SOTTO_NET].in + r->through[SOTTO_NET].pulled;
	sotto_relay_tell(r);
	if (r->config.done != NULL)
		r->config.done(r->config.arg, &end);
	sotto_session_wipe(&r->session);
	free(r);
}

void sotto_relay_abandon(struct sotto_relay *r)
{
	sotto_relay_release(r);
	sotto_session_wipe(&r->session);
	free(r);
}

void sotto_relay_let_go(struct sotto_relay *r)
{
	sotto_relay_release(r);
}

void sotto_relay_passed(struct sotto_relay *r, uint64_t sent, uint64_t received, bool orderly)
{
	r->side[SOTTO_NET].out += sent;
	r->side[SOTTO_NET].in += received;
	r->cut_off = r->cut_off || !orderly;
	sotto_relay_finish(r);
}

/* Only where all that comes before it is out. */
static void say_last_word(struct sotto_relay *r)
{
	const char *word = r->phase == SOTTO_PHASE_SESSION ? sotto_session_last_word(&r->session) : NULL;
	size_t waiting = 0;

	if (word == NULL || r->side[SOTTO_MTA].fd < 0 || r->side[SOTTO_MTA].broken)
		return;
	(void)sotto_session_ready(&r->session, SOTTO_MTA, &waiting);
	if (waiting == 0)
		(void)!send(r->side[SOTTO_MTA].fd, word, strlen(word), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void sotto_relay_stop(struct sotto_relay *r)
{
	say_last_word(r);
	r->cut_off = true;
	r->phase = SOTTO_PHASE_CUTTING;
	sotto_relay_finish(r);
}

void sotto_relay_begin_closing(struct sotto_relay *r)
{
	r->phase = SOTTO_PHASE_CLOSING;
	r->progressed = sotto_relay_now();
	for (unsigned i = 0; i < 2; i++) {
		sotto_side_shut(&r->side[i]);
		(void)sotto_side_drains(&r->side[i]);
	}
}

void sotto_relay_begin_cutting(struct sotto_relay *r, enum sotto_side last)
{
	r->phase = SOTTO_PHASE_CUTTING;
	r->cut_off = true;
	r->last = last;
	r->drain_ms = DRAIN_MS;
}

/* Both other ends have closed, or could have. */
static bool closed(struct sotto_relay *r)
{
	bool net = sotto_side_read_out(&r->side[SOTTO_NET]), mta = sotto_side_read_out(&r->side[SOTTO_MTA]);

	if (net && mta)
		return true;
	net = sotto_side_drains(&r->side[SOTTO_NET]);
	mta = sotto_side_drains(&r->side[SOTTO_MTA]);
	if (net || mta)
		r->progressed = sotto_relay_now();
	return sotto_relay_now() - r->progressed >= LINGER_MS;
}

/* A reset throws away what the kernel has not handed over: not before that is gone, or nobody takes it. */
static bool cut(struct sotto_relay *r)
{
	struct sotto_relay_side *d = &r->side[r->last];

	(void)sotto_side_read_out(d);
	if (sotto_side_drains(d))
		r->progressed = sotto_relay_now();
	return d->queued == 0 || sotto_relay_now() - r->progressed >= SOTTO_GONE_MS;
}

bool sotto_relay_is_over(struct sotto_relay *r)
{
	if (r->phase == SOTTO_PHASE_CLOSING)
		return closed(r);
	return r->phase == SOTTO_PHASE_CUTTING && cut(r);
}

uint64_t sotto_relay_end_deadline(struct sotto_relay *r)
{
	uint64_t at;

	if (r->phase == SOTTO_PHASE_CLOSING)
		return r->progressed + LINGER_MS;
	at = sotto_relay_now() + r->drain_ms;
	if (r->drain_ms < DRAIN_MS_MAX)
		r->drain_ms *= 2;
	return at;
}
