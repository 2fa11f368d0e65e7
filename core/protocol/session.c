/* SPDX-License-Identifier: ISC */
/*
 * The session's engine: buffers, ends of streams, the clock, and the one loop that steers. What each step does with octets stands in the
 * tables of session-accept.c and session-connect.c, and what those share in session-steps.c; core/runtime/relay.c drives it. Never calls the system.
 *
 *      GREETING -> FIRST -> EHLO -> OFFERED (accept) -> EXCHANGE -> SEALED -> END
 *          \         \        \         \                |  ^
 *           `---------`--------`---------`-> OPAQUE      |  `- connect: REDIAL, AGAIN_GREETING, AGAIN_EHLO -> OPAQUE
 *                                            REFUSING <--'
 */
#include "core/protocol/session.h"

#include <string.h>

#include "core/protocol/session-steps.h"

static const struct sotto_row *row(const struct sotto_session *s)
{
	return (s->config.role == SOTTO_ACCEPT ? sotto_accept_rows : sotto_connect_rows) + s->step;
}

static sotto_take *taker(const struct sotto_session *s, enum sotto_side side)
{
	return side == SOTTO_NET ? row(s)->net : row(s)->mta;
}

/* What is for a side that is gone goes nowhere; first of all, so that it does not stop what comes from the other side. */
static void drop_for_the_gone(struct sotto_session *s)
{
	for (unsigned side = 0; side < 2; side++) {
		if (s->gone[side])
			sotto_buffer_take(&s->out[side], sotto_buffer_ready(&s->out[side]));
	}
}

/* The only place that steers: every side with octets or at its end is offered to the step, until nothing moves. */
static void steer(struct sotto_session *s)
{
	bool moved;

	do {
		moved = false;
		drop_for_the_gone(s);
		for (unsigned i = 0; i < 2; i++) {
			enum sotto_side side = (enum sotto_side)i;
			sotto_take *take = taker(s, side);

			if (take != NULL && (sotto_buffer_len(&s->in[side]) > 0 || s->eof[side]))
				moved = take(s) || moved;
		}
	} while (moved);
}

void sotto_session_init(struct sotto_session *s, const struct sotto_session_config *config, uint64_t now)
{
	memset(s, 0, offsetof(struct sotto_session, in_data));
	s->config = *config;
	for (unsigned side = 0; side < 2; side++) {
		sotto_buffer_init(&s->in[side], s->in_data[side], SOTTO_IN);
		sotto_buffer_init(&s->out[side], s->out_data[side], SOTTO_OUT);
	}
	s->now = now;
	s->step = STEP_GREETING;
	if (config->use == SOTTO_USE_OFF || (config->use == SOTTO_USE_OBSERVE && config->role == SOTTO_ACCEPT))
		sotto_go_clear(s, SOTTO_CAUSE_OFF);
}

void sotto_session_wipe(struct sotto_session *s)
{
	/* what is in the buffers of one that was never sealed has crossed the wire, and most of their pages were never touched */
	sotto_wipe(s, s->report.version != 0 ? sizeof(*s) : offsetof(struct sotto_session, in_data));
}

/* What is to be sealed fills records whole: a few octets more would become a record of their own. */
static size_t up_to_whole_records(size_t have, size_t room)
{
	size_t most = 2 * (size_t)SOTTO_RECORD_CONTENT;

	if (have >= most)
		return 0;
	return room < most - have ? room : most - have;
}

uint8_t *sotto_session_space(struct sotto_session *s, enum sotto_side side, size_t *len)
{
	*len = 0;
	if (taker(s, side) == NULL || s->eof[side])
		return NULL;
	*len = sotto_buffer_free(&s->in[side]);
	if (s->step == STEP_SEALED && side == SOTTO_MTA)
		*len = up_to_whole_records(sotto_buffer_len(&s->in[side]), *len);
	return sotto_buffer_tail(&s->in[side]);
}

void sotto_session_got(struct sotto_session *s, enum sotto_side side, size_t n)
{
	sotto_buffer_filled(&s->in[side], n);
	steer(s);
}

void sotto_session_eof(struct sotto_session *s, enum sotto_side side)
{
	s->eof[side] = true;
	steer(s);
}

void sotto_session_gone(struct sotto_session *s, enum sotto_side side)
{
	s->gone[side] = true;
	s->eof[side] = true;
	steer(s);
}

const uint8_t *sotto_session_ready(const struct sotto_session *s, enum sotto_side side, size_t *len)
{
	*len = s->step == STEP_REDIAL && side == SOTTO_NET ? 0 : sotto_buffer_ready(&s->out[side]);
	return sotto_buffer_head(&s->out[side]);
}

void sotto_session_sent(struct sotto_session *s, enum sotto_side side, size_t n)
{
	sotto_buffer_take(&s->out[side], n);
	sotto_note_progress(s, side);
	steer(s);
}

void sotto_session_clock(struct sotto_session *s, uint64_t now)
{
	s->now = now;
}

void sotto_session_tick(struct sotto_session *s)
{
	if (s->deadline == 0 || s->now < s->deadline || row(s)->late == NULL)
		return;
	s->deadline = 0;
	row(s)->late(s);
	steer(s);
}

uint64_t sotto_session_deadline(const struct sotto_session *s)
{
	return row(s)->late == NULL ? 0 : s->deadline;
}

static bool drained(const struct sotto_session *s, enum sotto_side side)
{
	return sotto_buffer_len(&s->out[side]) == 0;
}

unsigned sotto_session_wishes(const struct sotto_session *s)
{
	unsigned wishes = 0;

	if (s->step == STEP_REDIAL)
		return SOTTO_WISH_REDIAL;
	/* a lost connection has no orderly end of stream, not even for a moment */
	if (s->shut[SOTTO_NET] && drained(s, SOTTO_NET) && !s->abort)
		wishes |= SOTTO_WISH_SHUT_NET;
	if (s->shut[SOTTO_MTA] && drained(s, SOTTO_MTA) && !s->abort)
		wishes |= SOTTO_WISH_SHUT_MTA;
	if (s->step == STEP_OPAQUE && !s->command_due && drained(s, SOTTO_NET) && drained(s, SOTTO_MTA) &&
	    sotto_buffer_len(&s->in[SOTTO_NET]) == 0 && sotto_buffer_len(&s->in[SOTTO_MTA]) == 0)
		wishes |= SOTTO_WISH_SPLICE;
	if (s->waiting && s->step == STEP_OFFERED)
		wishes |= SOTTO_WISH_EXCHANGE;
	/* a connection that is lost has nobody at the other end who would still want octets */
	if (s->step == STEP_END && (drained(s, SOTTO_NET) || s->abort) && drained(s, SOTTO_MTA))
		wishes |= SOTTO_WISH_END | (s->abort ? SOTTO_WISH_ABORT : 0);
	return wishes;
}

/* Whoever asks again is not held again. */
static void go_on(struct sotto_session *s)
{
	s->waiting = s->config.hold = false;
	steer(s);
}

void sotto_session_exchange(struct sotto_session *s, const uint8_t *identity)
{
	s->config.has_identity = identity != NULL;
	if (identity != NULL)
		memcpy(s->config.identity, identity, sizeof(s->config.identity));
	go_on(s);
}

void sotto_session_no_exchange(struct sotto_session *s)
{
	s->impossible = true;
	go_on(s);
}

bool sotto_session_is_opaque(const struct sotto_session *s)
{
	return s->step == STEP_OPAQUE;
}

bool sotto_session_is_sealed(const struct sotto_session *s)
{
	return s->step == STEP_SEALED;
}

static const char *const cause_texts[] = {
	[SOTTO_CAUSE_NONE] = "none",
	[SOTTO_CAUSE_OFF] = "mode off",
	[SOTTO_CAUSE_OBSERVED] = "mode observe, XSOTTO was offered",
	[SOTTO_CAUSE_NO_EHLO] = "no EHLO",
	[SOTTO_CAUSE_GREETING] = "no 220 greeting",
	[SOTTO_CAUSE_EHLO_REPLY] = "no 250 reply to EHLO",
	[SOTTO_CAUSE_ODD] = "odd octets",
	[SOTTO_CAUSE_EARLY] = "octets out of turn",
	[SOTTO_CAUSE_NOT_OFFERED] = "not offered",
	[SOTTO_CAUSE_TWO_KEYWORDS] = "offered twice",
	[SOTTO_CAUSE_OTHER_VERSION] = "no common version",
	[SOTTO_CAUSE_MTA_OFFERS] = "our mail server offers XSOTTO itself",
	[SOTTO_CAUSE_NOT_TAKEN] = "offered, not taken",
	[SOTTO_CAUSE_REFUSED] = "refused",
	[SOTTO_CAUSE_ENDED] = "ended early",
	[SOTTO_CAUSE_CLOSED] = "closed during the exchange",
	[SOTTO_CAUSE_RESET] = "reset during the exchange",
	[SOTTO_CAUSE_ANSWER] = "unknown answer to XSOTTO",
	[SOTTO_CAUSE_SILENCE] = "silence during the exchange",
	[SOTTO_CAUSE_BAD_KEY] = "bad key",
	[SOTTO_CAUSE_ALTERED] = "altered on the way (a middlebox or an attack)",
	[SOTTO_CAUSE_RANDOM] = "no randomness to be had",
	[SOTTO_CAUSE_TRUNCATED] = "truncated: the stream ended without CLOSE",
	[SOTTO_CAUSE_LOST] = "connection lost",
	[SOTTO_CAUSE_BAD_RECORD] = "bad record (a middlebox or an attack)",
	[SOTTO_CAUSE_BAD_IDENT] = "bad IDENT",
	[SOTTO_CAUSE_IDENTITY] = "the peer's identity key changed",
};

const char *sotto_cause_text(enum sotto_cause cause)
{
	return cause_texts[cause];
}
