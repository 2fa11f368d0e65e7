/* SPDX-License-Identifier: ISC */
/*
 * The role connect: our mail server connected to another one. Looks for the keyword in that one's EHLO reply, makes the exchange
 * before our mail server sees the reply, and asks for a new connection where the exchange fails (PROTOCOL.md 3, 4 and 8). Only the
 * table at the end, and sotto_session_redialed(), are seen from outside.
 */
#include <string.h>

#include "core/protocol/session-steps.h"

#define GAVE_UP "421 4.4.2 The XSOTTO exchange failed, and so did the connection after it\r\n"

static bool take_first(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_MTA];
	size_t len;
	enum sotto_found found = sotto_smtp_line(sotto_buffer_head(in), sotto_buffer_len(in), SOTTO_SMTP_COMMAND_MAX, &len);

	if (found == SOTTO_FOUND_PART && !s->eof[SOTTO_MTA])
		return false;
	if (found != SOTTO_FOUND_WHOLE)
		sotto_go_clear(s, found == SOTTO_FOUND_ODD ? SOTTO_CAUSE_ODD : SOTTO_CAUSE_ENDED);
	else if (!sotto_smtp_verb(sotto_buffer_head(in), len, "EHLO"))
		sotto_go_clear(s, SOTTO_CAUSE_NO_EHLO);
	else if (sotto_buffer_len(in) > len)
		sotto_go_clear(s, SOTTO_CAUSE_EARLY);
	else {
		sotto_note_ehlo(s, sotto_buffer_head(in), len);
		(void)sotto_buffer_move(&s->out[SOTTO_NET], in);
		sotto_go(s, STEP_EHLO);
	}
	return true;
}

/* Sends command and hello. The EHLO reply goes to our mail server's buffer, but is held there until the outcome is known. */
static void begin_exchange(struct sotto_session *s, const struct sotto_reply *reply)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET], *out = &s->out[SOTTO_NET], *held = &s->out[SOTTO_MTA];
	uint8_t random[SOTTO_CLIENT_RANDOM], hello[SOTTO_CLIENT_HELLO];

	if (s->config.random(random, sizeof(random)) != 0) {
		sotto_go_clear(s, SOTTO_CAUSE_RANDOM);
		return;
	}
	s->reply = *reply;
	sotto_client_hello(hello, &s->secrets, random);
	sotto_wipe(random, sizeof(random));
	sotto_transcript_begin(&s->transcript);
	sotto_transcript_lines(&s->transcript, s->ehlo, s->ehlo_len);
	sotto_transcript_lines(&s->transcript, sotto_buffer_head(in), reply->len);
	sotto_transcript_lines(&s->transcript, (const uint8_t *)SOTTO_COMMAND, strlen(SOTTO_COMMAND));
	sotto_transcript_octets(&s->transcript, hello, sizeof(hello));
	if (!sotto_buffer_put(held, sotto_buffer_head(in), reply->len) ||
	    !sotto_buffer_put(out, SOTTO_COMMAND, strlen(SOTTO_COMMAND)) || !sotto_buffer_put(out, hello, sizeof(hello)))
		sotto_cannot_happen(__FILE__, __LINE__);
	held->held = reply->len;
	sotto_buffer_take(in, reply->len);
	s->started = s->now;
	sotto_go(s, STEP_EXCHANGE);
	s->deadline = s->now + ANSWER_PATIENCE;
}

/* What the reply offers, and why it is not used; SOTTO_CAUSE_NONE: it is. */
static enum sotto_cause judge_offer(struct sotto_session *s, const struct sotto_reply *reply)
{
	struct sotto_offer offer;

	sotto_ehlo_offer(sotto_buffer_head(&s->in[SOTTO_NET]), reply, &offer);
	s->report.offer_known = true;
	s->command_due = true;
	s->report.offered = offer.keywords == 1 && offer.version1;
	if (offer.keywords != 1)
		return offer.keywords == 0 ? SOTTO_CAUSE_NOT_OFFERED : SOTTO_CAUSE_TWO_KEYWORDS;
	if (!offer.version1)
		return SOTTO_CAUSE_OTHER_VERSION;
	return s->config.use == SOTTO_USE_SEAL ? SOTTO_CAUSE_NONE : SOTTO_CAUSE_OBSERVED;
}

static bool take_ehlo_reply(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];
	struct sotto_reply reply;
	enum sotto_cause cause;
	enum sotto_found found = sotto_smtp_reply(sotto_buffer_head(in), sotto_buffer_len(in), &reply);

	if (found == SOTTO_FOUND_PART && !s->eof[SOTTO_NET])
		return false;
	if (found != SOTTO_FOUND_WHOLE)
		cause = found == SOTTO_FOUND_ODD ? SOTTO_CAUSE_ODD : SOTTO_CAUSE_ENDED;
	else if (reply.code != 250)
		cause = SOTTO_CAUSE_EHLO_REPLY;
	else if (sotto_buffer_len(in) > reply.len)
		cause = SOTTO_CAUSE_EARLY;
	else
		cause = judge_offer(s, &reply);
	if (cause == SOTTO_CAUSE_NONE)
		begin_exchange(s, &reply);
	else
		sotto_go_clear(s, cause);
	return true;
}

static void forget_secrets(struct sotto_session *s)
{
	sotto_wipe(&s->secrets, sizeof(s->secrets));
	sotto_wipe(&s->keys, sizeof(s->keys));
}

/* Not even a connection in the clear: our mail server is told to try again later. */
static bool give_up(struct sotto_session *s)
{
	s->report.outcome = SOTTO_OUTCOME_REFUSED;
	sotto_go_end(s, SOTTO_MTA, GAVE_UP);
	return true;
}

/* PROTOCOL.md 8: a failure is anything else that ends the exchange without success. */
static bool fail(struct sotto_session *s, enum sotto_cause cause)
{
	sotto_note_failure(s, cause);
	forget_secrets(s);
	sotto_buffer_drop_held(&s->out[SOTTO_MTA]);
	/* this connection is useless: nothing that is left for it may hold the end up */
	sotto_buffer_take(&s->out[SOTTO_NET], sotto_buffer_len(&s->out[SOTTO_NET]));
	if (s->config.clear != SOTTO_CLEAR_PASS)
		sotto_go_clear(s, cause);
	else if (s->config.redial)
		sotto_go(s, STEP_REDIAL);
	else
		give_up(s);
	return true;
}

static bool fail_late(struct sotto_session *s)
{
	return fail(s, SOTTO_CAUSE_SILENCE);
}

/* 454, 501, 503, 504: on in the clear, in the same connection. */
static bool take_refusal(struct sotto_session *s, size_t line_len, unsigned code)
{
	s->report.refusal = code;
	forget_secrets(s);
	sotto_buffer_take(&s->in[SOTTO_NET], line_len);
	sotto_go_clear(s, SOTTO_CAUSE_REFUSED);
	return true;
}

/* What our mail server must not see inside leaves the reply that is held for it. */
static void hide_keywords(struct sotto_session *s)
{
	struct sotto_buffer *out = &s->out[SOTTO_MTA];
	size_t left = sotto_ehlo_hide(out->data + out->end - out->held, &s->reply, s->config.hide_starttls);

	out->end -= out->held - left;
	out->held = left;
}

static bool take_answer(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];
	const uint8_t *p = sotto_buffer_head(in);
	size_t line_len = 0;
	unsigned code = 0;
	enum sotto_answer answer = sotto_answer_read(p, sotto_buffer_len(in), &line_len, &code);
	int r;

	if (answer == SOTTO_ANSWER_OTHER)
		return fail(s, SOTTO_CAUSE_ANSWER);
	if (answer == SOTTO_ANSWER_REFUSED)
		return take_refusal(s, line_len, code);
	if (answer == SOTTO_ANSWER_PART || sotto_buffer_len(in) < line_len + SOTTO_SERVER_HELLO) {
		if (!s->eof[SOTTO_NET])
			return false;
		return fail(s, s->gone[SOTTO_NET] ? SOTTO_CAUSE_RESET : SOTTO_CAUSE_CLOSED);
	}
	sotto_transcript_lines(&s->transcript, p, line_len);
	r = sotto_client_finish(&s->keys, &s->transcript, &s->secrets, p + line_len);
	if (r != 0)
		return fail(s, r == SOTTO_HANDSHAKE_ALTERED ? SOTTO_CAUSE_ALTERED : SOTTO_CAUSE_BAD_KEY);
	sotto_buffer_take(in, line_len + SOTTO_SERVER_HELLO);
	hide_keywords(s);
	sotto_go_sealed(s);
	return true;
}

void sotto_session_redialed(struct sotto_session *s, bool connected)
{
	if (s->step != STEP_REDIAL)
		sotto_cannot_happen(__FILE__, __LINE__);
	sotto_buffer_take(&s->in[SOTTO_NET], sotto_buffer_len(&s->in[SOTTO_NET]));
	sotto_buffer_take(&s->out[SOTTO_NET], sotto_buffer_len(&s->out[SOTTO_NET]));
	s->eof[SOTTO_NET] = s->gone[SOTTO_NET] = false;
	s->redials++;
	if (connected)
		sotto_go(s, STEP_AGAIN_GREETING);
	else
		give_up(s);
}

/* The greeting of the new connection: our mail server has seen one already. */
static bool take_again_greeting(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];
	struct sotto_reply reply;
	enum sotto_found found = sotto_smtp_reply(sotto_buffer_head(in), sotto_buffer_len(in), &reply);

	if (found == SOTTO_FOUND_PART && !s->eof[SOTTO_NET])
		return false;
	if (found != SOTTO_FOUND_WHOLE || reply.code != 220 || sotto_buffer_len(in) > reply.len)
		return give_up(s);
	sotto_buffer_take(in, reply.len);
	if (!sotto_buffer_put(&s->out[SOTTO_NET], s->ehlo, s->ehlo_len))
		sotto_cannot_happen(__FILE__, __LINE__);
	sotto_go(s, STEP_AGAIN_EHLO);
	return true;
}

/* PROTOCOL.md 8: a peer that has sealed before is tried once more sealed, then in the clear; any other at once in the clear. */
static bool take_again_ehlo_reply(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];
	struct sotto_reply reply;
	enum sotto_found found = sotto_smtp_reply(sotto_buffer_head(in), sotto_buffer_len(in), &reply);

	if (found == SOTTO_FOUND_PART && !s->eof[SOTTO_NET])
		return false;
	if (found != SOTTO_FOUND_WHOLE || reply.code != 250)
		return give_up(s);
	if (s->config.sealed_before && s->redials == 1 && sotto_buffer_len(in) == reply.len &&
	    judge_offer(s, &reply) == SOTTO_CAUSE_NONE)
		begin_exchange(s, &reply);
	else
		sotto_go_clear(s, s->report.failure);
	return true;
}

/* While a new connection is made our mail server waits for a reply; it can only lose its patience. */
static bool mta_impatient(struct sotto_session *s)
{
	if (!s->eof[SOTTO_MTA])
		return false;
	sotto_go_end(s, SOTTO_MTA, NULL);
	return true;
}

/* Encryption is required: what the peer still says goes nowhere. */
static bool drop_net(struct sotto_session *s)
{
	size_t n = sotto_buffer_len(&s->in[SOTTO_NET]);

	sotto_buffer_take(&s->in[SOTTO_NET], n);
	return n > 0;
}

const struct sotto_row sotto_connect_rows[STEPS] = {
	[STEP_GREETING] = { sotto_take_greeting, sotto_take_early_mta, NULL },
	[STEP_FIRST] = { sotto_take_early_net, take_first, NULL },
	[STEP_EHLO] = { take_ehlo_reply, sotto_take_early_mta, NULL },
	[STEP_EXCHANGE] = { take_answer, NULL, fail_late },
	[STEP_REDIAL] = { NULL, mta_impatient, NULL },
	[STEP_AGAIN_GREETING] = { take_again_greeting, mta_impatient, NULL },
	[STEP_AGAIN_EHLO] = { take_again_ehlo_reply, mta_impatient, NULL },
	[STEP_SEALED] = { sotto_take_sealed_net, sotto_take_sealed_mta, sotto_take_sealed_late },
	[STEP_OPAQUE] = { sotto_take_opaque_net, sotto_take_opaque_mta, NULL },
	[STEP_REFUSING] = { drop_net, sotto_take_refusing, NULL },
	[STEP_END] = { NULL, NULL, sotto_end_late },
};
