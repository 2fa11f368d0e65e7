/* SPDX-License-Identifier: ISC */
/*
 * The role accept: the other mail server connected to us. Adds the keyword to our mail server's EHLO reply, reads the XSOTTO
 * command and answers it (PROTOCOL.md 2 to 4). Only the table at the end is seen from outside.
 */
#include <string.h>

#include "core/protocol/session-steps.h"

#define HELLO_PATIENCE 60000	/* PROTOCOL.md 3: milliseconds allowed for the hello */
#define REFUSALS_MAX 8

/* Reads one command line from net. Where there is none, the session has gone on in the clear, or waits for more. */
static bool read_command(struct sotto_session *s, size_t *len, bool *waits)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];

	*waits = false;
	switch (sotto_smtp_line(sotto_buffer_head(in), sotto_buffer_len(in), SOTTO_SMTP_COMMAND_MAX, len)) {
	case SOTTO_FOUND_WHOLE:
		return true;
	case SOTTO_FOUND_ODD:
		sotto_go_clear(s, SOTTO_CAUSE_ODD);
		return false;
	case SOTTO_FOUND_PART:
		break;
	}
	*waits = !s->eof[SOTTO_NET];
	if (!*waits)
		sotto_go_clear(s, SOTTO_CAUSE_ENDED);
	return false;
}

/* PROTOCOL.md 2: offered only in reply to an EHLO that is the session's first command. */
static bool take_first(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];
	size_t len;
	bool waits;

	if (!read_command(s, &len, &waits))
		return !waits;
	if (!sotto_smtp_verb(sotto_buffer_head(in), len, "EHLO")) {
		sotto_go_clear(s, SOTTO_CAUSE_NO_EHLO);
		return true;
	}
	if (sotto_buffer_len(in) > len) {
		sotto_go_clear(s, SOTTO_CAUSE_EARLY);
		return true;
	}
	sotto_note_ehlo(s, sotto_buffer_head(in), len);
	(void)sotto_buffer_move(&s->out[SOTTO_MTA], in);
	sotto_go(s, STEP_EHLO);
	return true;
}

/* The offer itself: our mail server's reply goes on with the keyword in it. False: no offer can be made. */
static bool offer(struct sotto_session *s, const struct sotto_reply *reply, enum sotto_cause *cause)
{
	struct sotto_buffer *in = &s->in[SOTTO_MTA], *out = &s->out[SOTTO_NET];
	uint8_t *to = sotto_buffer_tail(out);
	struct sotto_offer own;
	size_t n;

	sotto_ehlo_offer(sotto_buffer_head(in), reply, &own);
	*cause = SOTTO_CAUSE_MTA_OFFERS;
	if (own.keywords > 0)
		return false;
	n = sotto_ehlo_insert(to, sotto_buffer_free(out), sotto_buffer_head(in), reply);
	*cause = SOTTO_CAUSE_ODD;
	if (n == 0)
		return false;
	sotto_transcript_begin(&s->transcript);
	sotto_transcript_lines(&s->transcript, s->ehlo, s->ehlo_len);
	sotto_transcript_lines(&s->transcript, to, n);
	sotto_buffer_filled(out, n);
	sotto_buffer_take(in, reply->len);
	return true;
}

static bool take_ehlo_reply(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_MTA];
	struct sotto_reply reply;
	enum sotto_cause cause = SOTTO_CAUSE_ODD;
	enum sotto_found found = sotto_smtp_reply(sotto_buffer_head(in), sotto_buffer_len(in), &reply);

	if (found == SOTTO_FOUND_PART && !s->eof[SOTTO_MTA])
		return false;
	if (found == SOTTO_FOUND_PART)
		cause = SOTTO_CAUSE_ENDED;
	else if (found == SOTTO_FOUND_WHOLE && reply.code != 250)
		cause = SOTTO_CAUSE_EHLO_REPLY;
	else if (found == SOTTO_FOUND_WHOLE && sotto_buffer_len(in) > reply.len)
		cause = SOTTO_CAUSE_EARLY;
	else if (found == SOTTO_FOUND_WHOLE && offer(s, &reply, &cause)) {
		sotto_go(s, STEP_OFFERED);
		return true;
	}
	sotto_go_clear(s, cause);
	return true;
}

/* PROTOCOL.md 3, "Checked in this order"; NULL where the hello may be answered. */
static const char *refusal(const struct sotto_session *s)
{
	if (s->refused)
		return "503 5.5.1 XSOTTO was refused already\r\n";
	if (s->command_error == SOTTO_COMMAND_VERSION)
		return "504 5.5.4 XSOTTO version not supported\r\n";
	if (s->command_error != SOTTO_COMMAND_GOOD || s->hello_length != SOTTO_CLIENT_HELLO)
		return "501 5.5.4 XSOTTO command malformed\r\n";
	return NULL;
}

/* Writes 220, the server hello and IDENT, all in one. */
static const char *answer(struct sotto_session *s, const uint8_t *hello)
{
	struct sotto_buffer *out = &s->out[SOTTO_NET];
	uint8_t random[SOTTO_SERVER_RANDOM], server_hello[SOTTO_SERVER_HELLO], ident[SOTTO_IDENT];
	const char *refused = NULL;
	size_t ident_len = 0;

	if (s->impossible || s->config.random(random, sizeof(random)) != 0)
		return "454 4.7.0 XSOTTO temporarily not possible\r\n";
	sotto_transcript_octets(&s->transcript, hello, SOTTO_CLIENT_HELLO);
	sotto_transcript_lines(&s->transcript, (const uint8_t *)SOTTO_GO, strlen(SOTTO_GO));
	if (sotto_server_hello(server_hello, &s->keys, &s->transcript, hello, random) != 0) {
		refused = "501 5.5.4 XSOTTO hello malformed\r\n";
		goto done;
	}
	if (s->config.has_identity &&
	    sotto_ident_make(ident, s->config.identity, hello + SOTTO_MLKEM768_EK, s->keys.h) == 0)
		ident_len = SOTTO_IDENT;
	if (!sotto_buffer_put(out, SOTTO_GO, strlen(SOTTO_GO)) || !sotto_buffer_put(out, server_hello, sizeof(server_hello)))
		sotto_cannot_happen(__FILE__, __LINE__);
	sotto_go_sealed(s);
	sotto_seal(s, SOTTO_IDENT_RECORD, ident, ident_len);
done:
	sotto_wipe(random, sizeof(random));
	return refused;
}

/* Reads the whole hello whatever the answer will be, so that a refusal leaves the session in step. */
static bool take_hello(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];
	size_t length = s->hello_length;
	const char *line;

	if (sotto_buffer_len(in) < length) {
		if (!s->eof[SOTTO_NET])
			return false;
		sotto_note_failure(s, s->gone[SOTTO_NET] ? SOTTO_CAUSE_RESET : SOTTO_CAUSE_CLOSED);
		sotto_go_end(s, SOTTO_NET, NULL);
		return true;
	}
	line = refusal(s);
	if (line == NULL)
		line = answer(s, sotto_buffer_head(in));
	sotto_buffer_take(in, length);
	if (line == NULL)
		return true;
	s->refused = true;
	s->report.refusal = (unsigned)(line[0] - '0') * 100 + (unsigned)(line[1] - '0') * 10 + (unsigned)(line[2] - '0');
	if (++s->refusals > REFUSALS_MAX)
		sotto_go_end(s, SOTTO_NET, "421 4.7.0 XSOTTO too many refusals\r\n");
	else if (!sotto_buffer_put(&s->out[SOTTO_NET], line, strlen(line)))
		sotto_go_end(s, SOTTO_NET, NULL);
	else
		sotto_go(s, STEP_OFFERED);
	return true;
}

/* PROTOCOL.md 3: XSOTTO must be the command that follows; any other ends the offer. */
static bool take_command(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET];
	const uint8_t *line = sotto_buffer_head(in);
	size_t len;
	bool waits;

	/* PROTOCOL.md 3: acts on it only when the EHLO reply has been sent whole */
	if (sotto_buffer_len(&s->out[SOTTO_NET]) > 0)
		return false;
	if (!read_command(s, &len, &waits))
		return !waits;
	if (!sotto_smtp_verb(line, len, "XSOTTO")) {
		sotto_note_command(s, SOTTO_NET);
		sotto_go_clear(s, s->refused ? SOTTO_CAUSE_REFUSED : SOTTO_CAUSE_NOT_TAKEN);
		return true;
	}
	if (s->config.hold) {
		s->waiting = true;
		return false;
	}
	s->command_error = sotto_command_read(line, len, &s->hello_length);
	if (s->command_error == SOTTO_COMMAND_NO_LENGTH) {
		/* no refusal, so not the word XSOTTO behind the code: the session does not go on here */
		sotto_note_failure(s, SOTTO_CAUSE_ODD);
		sotto_go_end(s, SOTTO_NET, "501 5.5.4 The length of XSOTTO is missing or over 4096\r\n");
		return true;
	}
	sotto_transcript_lines(&s->transcript, line, len);
	sotto_buffer_take(in, len);
	s->started = s->now;
	sotto_go(s, STEP_EXCHANGE);
	s->deadline = s->now + HELLO_PATIENCE;
	(void)take_hello(s);	/* a hello of no octets has come already */
	return true;
}

static bool hello_late(struct sotto_session *s)
{
	sotto_note_failure(s, SOTTO_CAUSE_SILENCE);
	sotto_go_end(s, SOTTO_NET, "421 4.4.2 XSOTTO hello did not come in time\r\n");
	return true;
}

/* Encryption is required: what our mail server still says goes nowhere. */
static bool drop_mta(struct sotto_session *s)
{
	size_t n = sotto_buffer_len(&s->in[SOTTO_MTA]);

	sotto_buffer_take(&s->in[SOTTO_MTA], n);
	return n > 0;
}

const struct sotto_row sotto_accept_rows[STEPS] = {
	[STEP_GREETING] = { sotto_take_early_net, sotto_take_greeting, NULL },
	[STEP_FIRST] = { take_first, sotto_take_early_mta, NULL },
	[STEP_EHLO] = { sotto_take_early_net, take_ehlo_reply, NULL },
	[STEP_OFFERED] = { take_command, sotto_take_early_mta, NULL },
	[STEP_EXCHANGE] = { take_hello, NULL, hello_late },
	[STEP_SEALED] = { sotto_take_sealed_net, sotto_take_sealed_mta, sotto_take_sealed_late },
	[STEP_OPAQUE] = { sotto_take_opaque_net, sotto_take_opaque_mta, NULL },
	[STEP_REFUSING] = { sotto_take_refusing, drop_mta, NULL },
	[STEP_END] = { NULL, NULL, sotto_end_late },
};
