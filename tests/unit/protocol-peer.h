/* SPDX-License-Identifier: ISC */
/*
 * The other end of a session of core/protocol, made by hand from handshake.h and record.h: it can say what no session of ours
 * would ever say.
 */
#ifndef SOTTO_TESTS_PROTOCOL_PEER_H
#define SOTTO_TESTS_PROTOCOL_PEER_H

#include "tests/unit/protocol-octets.h"

struct peer {
	struct sotto_session *s;
	struct sotto_client_secrets secrets;
	struct sotto_keys keys;		/* a copy of them, to look for what the session may not keep */
	struct sotto_direction seal, open;
	uint8_t client_hello[SOTTO_CLIENT_HELLO];
	uint8_t identity[32];
	bool padding;
};

static UNUSED void peer_directions(struct peer *p, bool client)
{
	struct sotto_direction *c2s = client ? &p->seal : &p->open, *s2c = client ? &p->open : &p->seal;

	memcpy(c2s->key, p->keys.c2s_key, 32);
	memcpy(c2s->iv, p->keys.c2s_iv, 12);
	memcpy(s2c->key, p->keys.s2c_key, 32);
	memcpy(s2c->iv, p->keys.s2c_iv, 12);
}

/* Brings a session in the role connect to where its hello has been sent; the hello is in p->client_hello. */
static UNUSED void peer_reads_hello(struct peer *p, const char *ehlo_reply)
{
	struct octets got = { 0 };
	size_t at = strlen(SOTTO_COMMAND);

	say(p->s, SOTTO_NET, GREETING);
	expect(p->s, SOTTO_MTA, GREETING);
	say(p->s, SOTTO_MTA, EHLO);
	expect(p->s, SOTTO_NET, EHLO);
	say(p->s, SOTTO_NET, ehlo_reply);
	take(p->s, SOTTO_NET, &got);
	assert_int_equal(got.len, at + SOTTO_CLIENT_HELLO);
	assert_memory_equal(got.p, SOTTO_COMMAND, at);
	memcpy(p->client_hello, got.p + at, SOTTO_CLIENT_HELLO);
	clear(&got);
}

/* The server's answer to that hello: 220 line and server hello. */
static UNUSED void peer_answers(struct peer *p, const char *ehlo_reply, const char *go, struct octets *answer)
{
	struct sotto_transcript t;
	uint8_t hello[SOTTO_SERVER_HELLO], random[SOTTO_SERVER_RANDOM];

	random_of_test(random, sizeof(random));
	sotto_transcript_begin(&t);
	sotto_transcript_lines(&t, (const uint8_t *)EHLO, strlen(EHLO));
	sotto_transcript_lines(&t, (const uint8_t *)ehlo_reply, strlen(ehlo_reply));
	sotto_transcript_lines(&t, (const uint8_t *)SOTTO_COMMAND, strlen(SOTTO_COMMAND));
	sotto_transcript_octets(&t, p->client_hello, SOTTO_CLIENT_HELLO);
	sotto_transcript_lines(&t, (const uint8_t *)go, strlen(go));
	assert_int_equal(sotto_server_hello(hello, &p->keys, &t, p->client_hello, random), 0);
	add_text(answer, go);
	add(answer, hello, sizeof(hello));
	peer_directions(p, false);
}

/* Seals one record into o. */
static UNUSED void peer_seal(struct peer *p, struct octets *o, enum sotto_record_type type, const void *content, size_t len)
{
	uint8_t wire[SOTTO_RECORD_WIRE];
	long n = sotto_record_seal(&p->seal, wire, type, content, len, p->padding);

	assert_true(n > 0);
	add(o, wire, (size_t)n);
}

/* Sends one record to the session. */
static UNUSED void peer_says(struct peer *p, enum sotto_record_type type, const void *content, size_t len)
{
	struct octets o = { 0 };

	peer_seal(p, &o, type, content, len);
	assert_int_equal(feed(p->s, SOTTO_NET, o.p, o.len), o.len);
	clear(&o);
}

static UNUSED void peer_says_text(struct peer *p, const char *text)
{
	peer_says(p, SOTTO_DATA, text, strlen(text));
}

/* Opens the next record in o, takes it away there; -1: there is none. Content goes to `out`, which has room for any. */
static UNUSED long peer_opens(struct peer *p, struct octets *o, enum sotto_record_type *type, uint8_t *out)
{
	long size = sotto_record_size(o->p, o->len), n;

	if (size <= 0 || o->len < (size_t)size)
		return -1;
	n = sotto_record_open(&p->open, out, type, o->p, (size_t)size);
	assert_true(n >= 0);
	drop(o, (size_t)size);
	return n;
}

/* Everything that the session has for net is records: their DATA goes to `data`; returns whether CLOSE was among them. */
static UNUSED bool peer_hears(struct peer *p, struct octets *data)
{
	static uint8_t plaintext[SOTTO_RECORD_PLAINTEXT];
	struct octets wire = { 0 };
	enum sotto_record_type type = SOTTO_DATA;
	bool closed = false;
	long n;

	take(p->s, SOTTO_NET, &wire);
	while ((n = peer_opens(p, &wire, &type, plaintext)) >= 0) {
		assert_false(closed);
		assert_int_not_equal(type, SOTTO_IDENT_RECORD);
		closed = type == SOTTO_CLOSE;
		add(data, plaintext, (size_t)n);
	}
	assert_int_equal(wire.len, 0);
	clear(&wire);
	return closed;
}

#define peer_expects(p, text)                 \
	do {                                  \
		struct octets heard_o = { 0 }; \
		peer_hears(p, &heard_o);       \
		assert_text(&heard_o, text);   \
		clear(&heard_o);               \
	} while (0)

/* IDENT of this session, of the key in p->identity. */
static UNUSED void peer_ident(struct peer *p, uint8_t ident[SOTTO_IDENT])
{
	assert_int_equal(sotto_ident_make(ident, p->identity, p->client_hello + SOTTO_MLKEM768_EK, p->keys.h), 0);
}

/* A session in the role connect, sealed; IDENT has not been sent. What our mail server got so far is left to the caller. */
static UNUSED void peer_as_server(struct peer *p, const struct sotto_session_config *config)
{
	struct octets answer = { 0 };

	*p = (struct peer){ .s = new_session(config), .identity = { 7, 7, 7 } };
	peer_reads_hello(p, REPLY_OFFER);
	peer_answers(p, REPLY_OFFER, GO, &answer);
	assert_int_equal(feed(p->s, SOTTO_NET, answer.p, answer.len), answer.len);
	assert_true(sotto_session_is_sealed(p->s));
	clear(&answer);
}

/* Brings a session in the role accept to where the offer was made; the offer is in *reply. */
static UNUSED void peer_gets_offer(struct peer *p, struct octets *reply)
{
	say(p->s, SOTTO_MTA, GREETING);
	expect(p->s, SOTTO_NET, GREETING);
	say(p->s, SOTTO_NET, EHLO);
	expect(p->s, SOTTO_MTA, EHLO);
	say(p->s, SOTTO_MTA, REPLY_PLAIN);
	take(p->s, SOTTO_NET, reply);
	assert_text(reply, REPLY_OFFER);
}

/* A session in the role accept, sealed. IDENT is the first record in *rest. */
static UNUSED void peer_as_client(struct peer *p, const struct sotto_session_config *config, struct octets *rest)
{
	struct sotto_transcript t;
	struct octets reply = { 0 };
	uint8_t random[SOTTO_CLIENT_RANDOM];

	*p = (struct peer){ .s = new_session(config) };
	peer_gets_offer(p, &reply);
	random_of_test(random, sizeof(random));
	sotto_client_hello(p->client_hello, &p->secrets, random);
	sotto_transcript_begin(&t);
	sotto_transcript_lines(&t, (const uint8_t *)EHLO, strlen(EHLO));
	sotto_transcript_lines(&t, reply.p, reply.len);
	sotto_transcript_lines(&t, (const uint8_t *)SOTTO_COMMAND, strlen(SOTTO_COMMAND));
	sotto_transcript_octets(&t, p->client_hello, SOTTO_CLIENT_HELLO);
	sotto_transcript_lines(&t, (const uint8_t *)GO, strlen(GO));
	say(p->s, SOTTO_NET, SOTTO_COMMAND);
	assert_int_equal(feed(p->s, SOTTO_NET, p->client_hello, SOTTO_CLIENT_HELLO), SOTTO_CLIENT_HELLO);
	take(p->s, SOTTO_NET, rest);
	assert_memory_equal(rest->p, GO, strlen(GO));
	drop(rest, strlen(GO));
	assert_int_equal(sotto_client_finish(&p->keys, &t, &p->secrets, rest->p), 0);
	drop(rest, SOTTO_SERVER_HELLO);
	peer_directions(p, true);
	clear(&reply);
}

/* A session of either role, sealed, IDENT behind it, and nothing left to be taken. */
static UNUSED struct sotto_session *peer_sealed(struct peer *p, enum sotto_role role, bool padding)
{
	struct sotto_session_config config = plain_config(role);
	struct octets rest = { 0 };

	config.padding = padding;
	if (role == SOTTO_ACCEPT) {
		peer_as_client(p, &config, &rest);
		clear(&rest);
		p->open.counter = 1;	/* IDENT was left aside */
	} else {
		peer_as_server(p, &config);
		peer_says(p, SOTTO_IDENT_RECORD, NULL, 0);
		expect(p->s, SOTTO_MTA, REPLY_PLAIN);
	}
	return p->s;
}

#endif
