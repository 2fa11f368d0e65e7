/* SPDX-License-Identifier: ISC */
/*
 * The session's engine: buffers, ends of streams, the clock, and the one loop that steers. What each step does with octets stands in the
 * tables of session-accept.c and session-connect.c; core/runtime/relay.c drives it. Never calls the system.
 *
 *      GREETING -> FIRST -> EHLO -> OFFERED (accept) -> EXCHANGE -> SEALED -> END
 *          \         \        \         \                |  ^
 *           `---------`--------`---------`-> OPAQUE      |  `- connect: REDIAL, AGAIN_GREETING, AGAIN_EHLO -> OPAQUE
 *                                            REFUSING <--'
 */
#include "core/protocol/session.h"

#include <string.h>

#include "core/protocol/session-steps.h"

#define REFUSALS_MAX 20	/* commands answered with 451 before the connection is ended */

static const struct sotto_row *row(const struct sotto_session *s)
{
	return (s->config.role == SOTTO_ACCEPT ? sotto_accept_rows : sotto_connect_rows) + s->step;
}

static sotto_take *taker(const struct sotto_session *s, enum sotto_side side)
{
	return side == SOTTO_NET ? row(s)->net : row(s)->mta;
}

/* The only place that steers: every side with octets or at its end is offered to the step, until nothing moves. */
static void steer(struct sotto_session *s)
{
	bool moved;

	do {
		moved = false;
		for (unsigned i = 0; i < 2; i++) {
			enum sotto_side side = (enum sotto_side)i;
			sotto_take *take = taker(s, side);

			if (s->gone[side])
				sotto_buffer_take(&s->out[side], sotto_buffer_ready(&s->out[side]));
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
	sotto_wipe(s, sizeof(*s));
}

uint8_t *sotto_session_space(struct sotto_session *s, enum sotto_side side, size_t *len)
{
	*len = 0;
	if (taker(s, side) == NULL || s->eof[side])
		return NULL;
	*len = sotto_buffer_free(&s->in[side]);
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
	/* PROTOCOL.md 8: 4 seconds from the last octet of the hello */
	if (s->config.role == SOTTO_CONNECT && s->step == STEP_EXCHANGE && side == SOTTO_NET)
		s->deadline = s->now + 4000;
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
	if (s->shut[SOTTO_NET] && drained(s, SOTTO_NET))
		wishes |= SOTTO_WISH_SHUT_NET;
	if (s->shut[SOTTO_MTA] && drained(s, SOTTO_MTA))
		wishes |= SOTTO_WISH_SHUT_MTA;
	if (s->step == STEP_OPAQUE && drained(s, SOTTO_NET) && drained(s, SOTTO_MTA) &&
	    sotto_buffer_len(&s->in[SOTTO_NET]) == 0 && sotto_buffer_len(&s->in[SOTTO_MTA]) == 0)
		wishes |= SOTTO_WISH_SPLICE;
	/* a connection that is lost has nobody at the other end who would still want octets */
	if (s->step == STEP_END && (drained(s, SOTTO_NET) || s->abort) && drained(s, SOTTO_MTA))
		wishes |= SOTTO_WISH_END | (s->abort ? SOTTO_WISH_ABORT : 0);
	return wishes;
}

bool sotto_session_is_opaque(const struct sotto_session *s)
{
	return s->step == STEP_OPAQUE;
}

bool sotto_session_is_sealed(const struct sotto_session *s)
{
	return s->step == STEP_SEALED;
}

/* ---- steps that both roles share ---- */

void sotto_go(struct sotto_session *s, enum sotto_step step)
{
	s->step = step;
	s->deadline = 0;
}

void sotto_note_failure(struct sotto_session *s, enum sotto_cause cause)
{
	s->report.failed = true;
	s->report.silent = cause == SOTTO_CAUSE_SILENCE;
	s->report.failure = cause;
	if (s->report.cause == SOTTO_CAUSE_NONE)
		s->report.cause = cause;
}

/* The octets of a greeting that have gone on already, but stayed to be read as a whole. */
static void forget_greeting(struct sotto_session *s)
{
	enum sotto_side from = s->config.role == SOTTO_ACCEPT ? SOTTO_MTA : SOTTO_NET;

	sotto_buffer_take(&s->in[from], s->passed);
	s->passed = 0;
}

static enum sotto_side commanding(const struct sotto_session *s)
{
	return s->config.role == SOTTO_ACCEPT ? SOTTO_NET : SOTTO_MTA;
}

static void put(struct sotto_session *s, enum sotto_side side, const char *reply)
{
	/* where even a line does not fit, the peer has not read 40 KiB: it will not read this either */
	(void)!sotto_buffer_put(&s->out[side], reply, strlen(reply));
}

void sotto_go_end(struct sotto_session *s, enum sotto_side side, const char *reply)
{
	sotto_buffer_drop_held(&s->out[SOTTO_MTA]);
	if (reply != NULL)
		put(s, side, reply);
	s->shut[SOTTO_NET] = s->shut[SOTTO_MTA] = true;
	sotto_go(s, STEP_END);
}

#define REQUIRED "451 4.7.0 Encryption (XSOTTO) is required here, and could not be had\r\n"
#define NATIVE "421 4.7.0 XSOTTO could not be used with this peer\r\n"

/* Whether the commanding side waits for a reply that nobody else will give. */
static bool owes_reply(const struct sotto_session *s)
{
	return s->step == STEP_EHLO || (s->config.role == SOTTO_CONNECT && s->step >= STEP_EXCHANGE);
}

/* Not in the clear: the commanding side is told so, the other side sees an end. */
static void go_refusing(struct sotto_session *s)
{
	enum sotto_side to = commanding(s), other = to == SOTTO_NET ? SOTTO_MTA : SOTTO_NET;

	s->report.outcome = SOTTO_OUTCOME_REFUSED;
	sotto_buffer_drop_held(&s->out[SOTTO_MTA]);
	if (s->config.role == SOTTO_CONNECT && s->step == STEP_EHLO)
		put(s, SOTTO_NET, "QUIT\r\n");
	if (s->config.clear == SOTTO_CLEAR_421 || s->step == STEP_GREETING) {
		sotto_go_end(s, to, s->step == STEP_GREETING ? NULL : NATIVE);
		return;
	}
	if (owes_reply(s))
		put(s, to, REQUIRED);
	s->shut[other] = true;
	sotto_go(s, STEP_REFUSING);
}

void sotto_go_clear(struct sotto_session *s, enum sotto_cause cause)
{
	forget_greeting(s);
	if (s->report.cause == SOTTO_CAUSE_NONE)
		s->report.cause = cause;
	if (s->config.clear != SOTTO_CLEAR_PASS) {
		go_refusing(s);
		return;
	}
	s->out[SOTTO_MTA].held = 0;
	s->report.outcome = SOTTO_OUTCOME_CLEAR;
	sotto_go(s, STEP_OPAQUE);
}

static bool pass(struct sotto_session *s, enum sotto_side from, enum sotto_side to)
{
	bool moved = sotto_buffer_move(&s->out[to], &s->in[from]) > 0;

	if (s->eof[from] && sotto_buffer_len(&s->in[from]) == 0 && !s->shut[to]) {
		s->shut[to] = true;
		moved = true;
	}
	if (s->shut[SOTTO_NET] && s->shut[SOTTO_MTA])
		sotto_go(s, STEP_END);
	return moved;
}

bool sotto_take_opaque_net(struct sotto_session *s)
{
	return pass(s, SOTTO_NET, SOTTO_MTA);
}

bool sotto_take_opaque_mta(struct sotto_session *s)
{
	return pass(s, SOTTO_MTA, SOTTO_NET);
}

bool sotto_take_early_net(struct sotto_session *s)
{
	sotto_go_clear(s, s->eof[SOTTO_NET] ? SOTTO_CAUSE_ENDED : SOTTO_CAUSE_EARLY);
	return true;
}

bool sotto_take_early_mta(struct sotto_session *s)
{
	if (s->config.clear != SOTTO_CLEAR_PASS && s->config.role == SOTTO_ACCEPT) {
		/* our mail server ends the session (421, or a close): that much may be said in the clear */
		(void)sotto_buffer_move(&s->out[SOTTO_NET], &s->in[SOTTO_MTA]);
		sotto_go_end(s, SOTTO_NET, NULL);
		return true;
	}
	sotto_go_clear(s, s->eof[SOTTO_MTA] ? SOTTO_CAUSE_ENDED : SOTTO_CAUSE_EARLY);
	return true;
}

bool sotto_take_refusing(struct sotto_session *s)
{
	enum sotto_side side = commanding(s);
	struct sotto_buffer *in = &s->in[side];
	size_t len;
	enum sotto_found found = sotto_smtp_line(sotto_buffer_head(in), sotto_buffer_len(in), SOTTO_SMTP_COMMAND_MAX, &len);
	bool quit;

	if (found == SOTTO_FOUND_PART && !s->eof[side])
		return false;
	if (found != SOTTO_FOUND_WHOLE || ++s->refusals > REFUSALS_MAX) {
		sotto_buffer_take(in, sotto_buffer_len(in));
		sotto_go_end(s, side, NULL);
		return true;
	}
	quit = sotto_smtp_verb(sotto_buffer_head(in), len, "QUIT");
	sotto_buffer_take(in, len);
	if (quit)
		sotto_go_end(s, side, "221 2.0.0 Bye\r\n");
	else
		put(s, side, REQUIRED);
	return true;
}

enum sotto_found sotto_pass_greeting(struct sotto_session *s, enum sotto_side from, struct sotto_reply *reply)
{
	struct sotto_buffer *in = &s->in[from], *out = &s->out[from == SOTTO_NET ? SOTTO_MTA : SOTTO_NET];
	size_t len = sotto_buffer_len(in);
	enum sotto_found found;

	/* `in` holds 20 KiB at most and `out` is larger: it fits */
	if (!sotto_buffer_put(out, sotto_buffer_head(in) + s->passed, len - s->passed))
		return SOTTO_FOUND_ODD;
	s->passed = len;
	found = sotto_smtp_reply(sotto_buffer_head(in), len, reply);
	if (found == SOTTO_FOUND_WHOLE)
		forget_greeting(s);
	return found;
}

void sotto_note_ehlo(struct sotto_session *s, const uint8_t *line, size_t len)
{
	size_t n = 0;

	memcpy(s->ehlo, line, len);
	s->ehlo_len = len;
	for (size_t i = 5; i + 2 < len && n + 1 < sizeof(s->report.ehlo_name); i++)
		s->report.ehlo_name[n++] = line[i] > 0x20 && line[i] < 0x7f ? (char)line[i] : '?';
	s->report.ehlo_name[n] = '\0';
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
