/* SPDX-License-Identifier: ISC */
/*
 * A session once it is sealed (PROTOCOL.md 5 and 7), the same for both roles: records from net are opened towards our mail server,
 * its octets are sealed towards net; padding, cover, CLOSE and its order, IDENT. Nothing inside is parsed.
 */
#include <string.h>

#include "core/protocol/session-steps.h"

#define IDENT_PATIENCE 4000	/* for IDENT, where nothing is sent before it */
#define SMALL_CONTENT 1343	/* sealed, this is 1362 octets: one segment of an Ethernet's TCP */
#define SMALL_UNTIL (32 * 1024)	/* octets that flow in small records first */
#define PAUSE 1000		/* milliseconds of silence after which records are small again */

void sotto_seal(struct sotto_session *s, enum sotto_record_type type, const uint8_t *content, size_t len)
{
	struct sotto_buffer *out = &s->out[SOTTO_NET];
	long n = sotto_record_seal(&s->seal, sotto_buffer_tail(out), type, content, len, s->config.padding);

	if (n < 0) {
		s->abort = true;
		sotto_go_end(s, SOTTO_NET, NULL);
		return;
	}
	sotto_buffer_filled(out, (size_t)n);
}

static bool enforcing(const struct sotto_session *s)
{
	return s->ident_due && s->config.enforce_identity;
}

void sotto_go_sealed(struct sotto_session *s)
{
	bool client = s->config.role == SOTTO_CONNECT;
	struct sotto_direction *c2s = client ? &s->seal : &s->open, *s2c = client ? &s->open : &s->seal;

	memcpy(c2s->key, s->keys.c2s_key, 32);
	memcpy(c2s->iv, s->keys.c2s_iv, 12);
	memcpy(s2c->key, s->keys.s2c_key, 32);
	memcpy(s2c->iv, s->keys.s2c_iv, 12);
	c2s->counter = s2c->counter = 0;
	s->report.version = SOTTO_VERSION;
	memcpy(s->report.session_id, s->keys.session_id, SOTTO_SESSION_ID);
	s->report.exchange_ms = s->now - s->started;
	s->ident_due = client;
	sotto_wipe(s->config.identity, sizeof(s->config.identity));
	s->last_sealed = s->now;
	if (client) {
		/* h and x are kept until IDENT has been checked */
		s->report.outcome = SOTTO_OUTCOME_SEALED;
		sotto_wipe(&s->keys, offsetof(struct sotto_keys, h));
	} else {
		sotto_wipe(&s->keys, sizeof(s->keys));
	}
	sotto_go(s, STEP_SEALED);
	if (enforcing(s))
		s->deadline = s->now + IDENT_PATIENCE;
	else
		s->out[SOTTO_MTA].held = 0;
}

#define CUT "421 4.4.2 XSOTTO: the connection was lost\r\n"

/*
 * A client takes 421 at any time (RFC 5321, 3.8) for what it is. Of a close without it, Exim 4.98 says "converting i/o-error to
 * no-error" when all recipients have been answered, and forgets the message.
 */
const char *sotto_session_last_word(const struct sotto_session *s)
{
	bool listens = s->config.role == SOTTO_CONNECT && s->step == STEP_SEALED && !s->gone[SOTTO_MTA] && !s->shut[SOTTO_MTA];

	return listens && !s->in_line ? CUT : NULL;
}

/* The connection is lost: what was authenticated goes out, nothing else of the peer, and no orderly end. */
static bool lose(struct sotto_session *s, enum sotto_cause cause)
{
	s->report.lost = true;
	s->report.cause = s->report.failure = cause;
	s->abort = true;
	if (enforcing(s))
		sotto_buffer_drop_held(&s->out[SOTTO_MTA]);
	sotto_go_end(s, SOTTO_MTA, sotto_session_last_word(s));
	return true;
}

static enum sotto_identity compare(const struct sotto_session *s, const uint8_t *key)
{
	for (unsigned i = 0; i < s->config.known; i++) {
		if (key != NULL && memcmp(s->config.known_keys[i], key, 32) == 0)
			return SOTTO_IDENTITY_KNOWN;
	}
	if (key == NULL)
		return s->config.known > 0 ? SOTTO_IDENTITY_ABSENT : SOTTO_IDENTITY_NONE;
	return s->config.known > 0 ? SOTTO_IDENTITY_CHANGED : SOTTO_IDENTITY_FIRST;
}

/* PROTOCOL.md 7: another length or a wrong mac ends the connection, whether or not anybody cares who the peer is. */
static bool take_ident(struct sotto_session *s, const uint8_t *content, size_t len)
{
	const uint8_t *key = len > 0 ? content : NULL;
	bool good = len == 0 || (len == SOTTO_IDENT && sotto_ident_check(content, s->secrets.x, s->keys.h) == 0);

	sotto_wipe(&s->secrets, sizeof(s->secrets));
	sotto_wipe(&s->keys, sizeof(s->keys));
	if (!good)
		return lose(s, SOTTO_CAUSE_BAD_IDENT);
	s->report.identity = compare(s, key);
	if (key != NULL)
		memcpy(s->report.identity_key, key, 32);
	if (s->config.enforce_identity &&
	    (s->report.identity == SOTTO_IDENTITY_CHANGED || s->report.identity == SOTTO_IDENTITY_ABSENT)) {
		s->report.outcome = SOTTO_OUTCOME_REFUSED;
		s->report.cause = SOTTO_CAUSE_IDENTITY;
		sotto_go_end(s, SOTTO_MTA, "421 4.7.0 XSOTTO: the peer's identity key is not the one known\r\n");
		return true;
	}
	if (enforcing(s))
		s->deadline = 0;
	s->ident_due = false;
	s->out[SOTTO_MTA].held = 0;
	return true;
}

/* What an authenticated record means; its content stands behind the octets for our mail server, not yet among them. */
static bool take_record(struct sotto_session *s, enum sotto_record_type type, const uint8_t *content, size_t len)
{
	if (s->config.role == SOTTO_ACCEPT && !s->report.authenticated) {
		s->report.authenticated = true;
		s->report.outcome = SOTTO_OUTCOME_SEALED;
	}
	if (s->ident_due != (type == SOTTO_IDENT_RECORD))
		return lose(s, SOTTO_CAUSE_BAD_RECORD);
	if (type == SOTTO_IDENT_RECORD)
		return take_ident(s, content, len);
	if (type == SOTTO_DATA) {
		if (len > 0)
			s->in_line = content[len - 1] != '\n';
		sotto_buffer_filled(&s->out[SOTTO_MTA], len);
		return true;
	}
	if (len > 0)
		return lose(s, SOTTO_CAUSE_BAD_RECORD);
	s->got_close = true;
	s->shut[SOTTO_MTA] = true;
	sotto_wipe(&s->open, sizeof(s->open));
	return true;
}

/* PROTOCOL.md 5, Closing: an end without CLOSE is a truncation, unless our own CLOSE went first. */
static bool net_ended(struct sotto_session *s)
{
	if (s->got_close && !s->gone[SOTTO_NET])
		return false;
	if (!s->got_close && !s->sent_close)
		return lose(s, s->gone[SOTTO_NET] ? SOTTO_CAUSE_LOST : SOTTO_CAUSE_TRUNCATED);
	sotto_go_end(s, SOTTO_MTA, NULL);
	return true;
}

static bool end_if_closed(struct sotto_session *s)
{
	if (s->got_close && s->sent_close && s->step == STEP_SEALED)
		sotto_go_end(s, SOTTO_NET, NULL);
	return true;
}

bool sotto_take_sealed_net(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_NET], *out = &s->out[SOTTO_MTA];
	size_t len = sotto_buffer_len(in);
	long size = sotto_record_size(sotto_buffer_head(in), len), content;
	enum sotto_record_type type;
	uint8_t *plaintext;

	if (size < 0 || (s->got_close && len > 0))
		return lose(s, SOTTO_CAUSE_BAD_RECORD);
	if (size == 0 || len < (size_t)size)
		return s->eof[SOTTO_NET] ? net_ended(s) : false;
	if (sotto_buffer_free(out) < SOTTO_RECORD_PLAINTEXT)
		return false;
	plaintext = sotto_buffer_tail(out);
	content = sotto_record_open(&s->open, plaintext, &type, sotto_buffer_head(in), (size_t)size);
	if (content < 0)
		return lose(s, SOTTO_CAUSE_BAD_RECORD);
	sotto_buffer_take(in, (size_t)size);
	if (s->sent_close && !s->gone[SOTTO_MTA])
		s->deadline = s->now + CLOSE_PATIENCE;
	take_record(s, type, plaintext, (size_t)content);
	return end_if_closed(s);
}

/* PROTOCOL.md 5: begin with records that fit one segment, go to full size once some tens of kilobytes have flowed. */
static size_t content_limit(struct sotto_session *s)
{
	if (s->now - s->last_sealed >= PAUSE)
		s->flowed = 0;
	s->last_sealed = s->now;
	return s->flowed < SMALL_UNTIL ? SMALL_CONTENT : SOTTO_RECORD_CONTENT;
}

bool sotto_take_sealed_mta(struct sotto_session *s)
{
	struct sotto_buffer *in = &s->in[SOTTO_MTA];
	size_t len = sotto_buffer_len(in), limit;

	if (s->sent_close || enforcing(s) || sotto_buffer_free(&s->out[SOTTO_NET]) < SOTTO_RECORD_WIRE)
		return false;
	if (len > 0) {
		limit = content_limit(s);
		if (len > limit)
			len = limit;
		sotto_seal(s, SOTTO_DATA, sotto_buffer_head(in), len);
		sotto_buffer_take(in, len);
		s->flowed += len;
		return true;
	}
	sotto_seal(s, SOTTO_CLOSE, NULL, 0);
	sotto_wipe(&s->seal, sizeof(s->seal));
	s->sent_close = true;
	s->shut[SOTTO_NET] = true;
	s->deadline = s->now + CLOSE_PATIENCE;
	return end_if_closed(s);
}

bool sotto_take_sealed_late(struct sotto_session *s)
{
	if (enforcing(s))
		return lose(s, SOTTO_CAUSE_SILENCE);
	sotto_go_end(s, SOTTO_MTA, NULL);
	return true;
}
