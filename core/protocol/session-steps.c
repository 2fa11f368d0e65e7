/* SPDX-License-Identifier: ISC */
/*
 * What the steps of both roles share: going from one step to another, passing through, refusing, the greeting, the end. Called by
 * session.c, session-accept.c, session-connect.c and session-sealed.c. Knows nothing of XSOTTO's own messages.
 */
#include <string.h>

#include "core/protocol/session-steps.h"

#define REFUSALS_MAX 20		/* commands answered with 451 before the connection is ended */
#define END_PATIENCE 30000	/* ARCHITECTURE.md, The session: milliseconds without progress */

/* Whatever could open or seal a record, or prove who we are. */
static void forget_secrets(struct sotto_session *s)
{
	sotto_wipe(&s->secrets, sizeof(s->secrets));
	sotto_wipe(&s->keys, sizeof(s->keys));
	sotto_wipe(&s->open, sizeof(s->open));
	sotto_wipe(&s->seal, sizeof(s->seal));
	sotto_wipe(s->config.identity, sizeof(s->config.identity));
}

void sotto_go(struct sotto_session *s, enum sotto_step step)
{
	s->step = step;
	s->deadline = 0;
	if (step == STEP_END)
		s->deadline = s->now + END_PATIENCE;
	if (step == STEP_END || step == STEP_OPAQUE)
		forget_secrets(s);
}

/* What is left to write goes nowhere, so nobody waits for it. */
bool sotto_end_late(struct sotto_session *s)
{
	s->abort = true;
	for (unsigned side = 0; side < 2; side++)
		sotto_buffer_take(&s->out[side], sotto_buffer_len(&s->out[side]));
	return true;
}

void sotto_note_progress(struct sotto_session *s, enum sotto_side side)
{
	/* PROTOCOL.md 8: 4 seconds from the last octet of the hello */
	if (s->step == STEP_EXCHANGE && s->config.role == SOTTO_CONNECT && side == SOTTO_NET)
		s->deadline = s->now + ANSWER_PATIENCE;
	/* PROTOCOL.md 5: 30 seconds from our CLOSE, which is still behind these octets, or was their last */
	if (s->step == STEP_SEALED && s->sent_close && side == SOTTO_NET)
		s->deadline = s->now + CLOSE_PATIENCE;
	if (s->step == STEP_END)
		s->deadline = s->now + END_PATIENCE;
}

void sotto_note_failure(struct sotto_session *s, enum sotto_cause cause)
{
	s->report.failed = true;
	s->report.silent = cause == SOTTO_CAUSE_SILENCE;
	s->report.failure = cause;
	s->report.failed_ms += s->now - s->started;
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

/* The same where the peer has a name. */
static void put_native(struct sotto_session *s, enum sotto_side side)
{
	const char *peer = s->config.peer_name;

	if (peer[0] == '\0' || s->config.clear != SOTTO_CLEAR_421) {
		put(s, side, NATIVE);
		return;
	}
	put(s, side, "421 4.3.2 ");
	put(s, side, peer);
	if (s->report.cause == SOTTO_CAUSE_NOT_OFFERED) {
		put(s, side, " does not offer XSOTTO");
	} else {
		put(s, side, ": no XSOTTO: ");
		put(s, side, sotto_cause_text(s->report.cause));
	}
	put(s, side, "; nothing was sent\r\n");
}

static void put_required(struct sotto_session *s, enum sotto_side side)
{
	const char *peer = s->config.peer_name;

	if (peer[0] == '\0') {
		put(s, side, REQUIRED);
		return;
	}
	put(s, side, "451 4.7.0 Encryption (XSOTTO) is required with ");
	put(s, side, peer);
	put(s, side, ", and could not be had\r\n");
}

/* Whether the commanding side waits for a reply that nobody else will give. */
static bool owes_reply(const struct sotto_session *s)
{
	return s->step == STEP_EHLO || (s->config.role == SOTTO_CONNECT && s->step >= STEP_EXCHANGE);
}

/* Whether the peer understands a QUIT: it has said all that it had to say, or will take it behind the EHLO that it answers. */
static bool may_quit(const struct sotto_session *s)
{
	return s->config.role == SOTTO_CONNECT &&
	       (s->step == STEP_FIRST || s->step == STEP_EHLO || (s->step == STEP_EXCHANGE && s->report.refusal != 0));
}

/* Not in the clear: the commanding side is told so, the other side sees an end. */
static void go_refusing(struct sotto_session *s)
{
	enum sotto_side to = commanding(s), other = to == SOTTO_NET ? SOTTO_MTA : SOTTO_NET;

	s->report.outcome = SOTTO_OUTCOME_REFUSED;
	sotto_buffer_drop_held(&s->out[SOTTO_MTA]);
	if (may_quit(s))
		put(s, SOTTO_NET, "QUIT\r\n");
	if (s->config.clear == SOTTO_CLEAR_421 || s->step == STEP_GREETING) {
		/* behind a part of a greeting nothing can be said that would be understood */
		if (s->step != STEP_GREETING || !s->greeted)
			put_native(s, to);
		sotto_go_end(s, to, NULL);
		return;
	}
	if (owes_reply(s))
		put_required(s, to);
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

void sotto_note_command(struct sotto_session *s, enum sotto_side side)
{
	const uint8_t *p = sotto_buffer_head(&s->in[side]);
	size_t len;

	if (sotto_smtp_line(p, sotto_buffer_len(&s->in[side]), SOTTO_SMTP_COMMAND_MAX, &len) == SOTTO_FOUND_WHOLE) {
		s->report.starttls = sotto_smtp_verb(p, len, "STARTTLS");
		s->report.quit = sotto_smtp_verb(p, len, "QUIT");
	}
	s->command_due = false;
}

bool sotto_take_opaque_mta(struct sotto_session *s)
{
	if (s->command_due)
		sotto_note_command(s, SOTTO_MTA);
	return pass(s, SOTTO_MTA, SOTTO_NET);
}

bool sotto_take_early_net(struct sotto_session *s)
{
	sotto_go_clear(s, s->eof[SOTTO_NET] ? SOTTO_CAUSE_ENDED : SOTTO_CAUSE_EARLY);
	return true;
}

/* Encryption is required, but our mail server ends the session (421, or a close): that much may be said in the clear. */
static bool pass_last_words(struct sotto_session *s, enum sotto_cause cause)
{
	struct sotto_buffer *in = &s->in[SOTTO_MTA];
	struct sotto_reply reply;

	if (sotto_smtp_reply(sotto_buffer_head(in), sotto_buffer_len(in), &reply) == SOTTO_FOUND_PART && !s->eof[SOTTO_MTA])
		return false;
	s->report.outcome = SOTTO_OUTCOME_REFUSED;
	if (s->report.cause == SOTTO_CAUSE_NONE)
		s->report.cause = cause;
	(void)sotto_buffer_move(&s->out[SOTTO_NET], in);
	sotto_go_end(s, SOTTO_NET, NULL);
	return true;
}

bool sotto_take_early_mta(struct sotto_session *s)
{
	enum sotto_cause cause = s->eof[SOTTO_MTA] ? SOTTO_CAUSE_ENDED : SOTTO_CAUSE_EARLY;

	if (s->config.clear != SOTTO_CLEAR_PASS && s->config.role == SOTTO_ACCEPT)
		return pass_last_words(s, cause);
	sotto_go_clear(s, cause);
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
		sotto_go_end(s, side, found == SOTTO_FOUND_PART ? NULL : NATIVE);
		return true;
	}
	quit = sotto_smtp_verb(sotto_buffer_head(in), len, "QUIT");
	sotto_buffer_take(in, len);
	if (quit)
		sotto_go_end(s, side, "221 2.0.0 Bye\r\n");
	else
		put_required(s, side);
	return true;
}

/* Where our mail server is to hear nothing else than 421 instead of it, a greeting is not passed on before it is known to be a good one. */
static bool holds_greeting(const struct sotto_session *s)
{
	return s->config.role == SOTTO_CONNECT && s->config.clear == SOTTO_CLEAR_421;
}

/* Passes a greeting on as it comes; it also stays in the buffer, to be read as a whole. */
static enum sotto_found pass_greeting(struct sotto_session *s, enum sotto_side from, struct sotto_reply *reply)
{
	struct sotto_buffer *in = &s->in[from], *out = &s->out[from == SOTTO_NET ? SOTTO_MTA : SOTTO_NET];
	size_t len = sotto_buffer_len(in);

	/* `in` holds 20 KiB at most and `out` is larger: it fits */
	if (!sotto_buffer_put(out, sotto_buffer_head(in) + s->passed, len - s->passed))
		sotto_cannot_happen(__FILE__, __LINE__);
	if (holds_greeting(s))
		out->held = sotto_buffer_len(out);
	else
		s->greeted = s->greeted || len > 0;
	s->passed = len;
	return sotto_smtp_reply(sotto_buffer_head(in), len, reply);
}

bool sotto_take_greeting(struct sotto_session *s)
{
	enum sotto_side from = s->config.role == SOTTO_ACCEPT ? SOTTO_MTA : SOTTO_NET;
	struct sotto_reply reply;
	enum sotto_found found = pass_greeting(s, from, &reply);

	if (found == SOTTO_FOUND_PART && !s->eof[from])
		return false;
	if (found != SOTTO_FOUND_WHOLE) {
		sotto_go_clear(s, found == SOTTO_FOUND_ODD ? SOTTO_CAUSE_ODD : SOTTO_CAUSE_ENDED);
	} else if (reply.code != 220) {
		sotto_go_clear(s, SOTTO_CAUSE_GREETING);
	} else if (reply.len < s->passed) {
		sotto_go_clear(s, SOTTO_CAUSE_EARLY);
	} else {
		forget_greeting(s);
		s->out[from == SOTTO_NET ? SOTTO_MTA : SOTTO_NET].held = 0;
		sotto_go(s, STEP_FIRST);
	}
	return true;
}

void sotto_note_ehlo(struct sotto_session *s, const uint8_t *line, size_t len)
{
	size_t n = 0;

	memcpy(s->ehlo, line, len);
	s->ehlo_len = len;
	for (size_t i = 5; i + 2 < len && n + 1 < sizeof(s->report.ehlo_name); i++)
		s->report.ehlo_name[n++] = (char)(line[i] > 0x20 && line[i] < 0x7f ? line[i] : '?');
	s->report.ehlo_name[n] = '\0';
}
