/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-vectors.c - vectors of PROTOCOL.md 10, made by a second implementation on other libraries, in both roles. Looked for in
 * the folder that the environment variable SOTTO_VECTORS names, ../shared/vectors by default.
 */
#include "tests/unit/protocol-peer.h"
#include "tests/unit/vectors-hex.h"

#include <jansson.h>

#include "core/crypto/kdf.h"
#include "core/crypto/x25519.h"
#include "core/protocol/record.h"

static json_t *vectors;

struct vector {
	struct octets ehlo_line, ehlo_reply, xsotto_line, ok_line, hello, server_hello;
	uint8_t client_random[SOTTO_CLIENT_RANDOM], server_random[SOTTO_SERVER_RANDOM], identity[32], ident[SOTTO_IDENT];
	uint8_t h[32], okm[152];
	json_t *json;
};

static const char *hex_of(const json_t *o, const char *name)
{
	const char *hex = json_string_value(json_object_get(o, name));

	if (hex == NULL)
		fail_msg("the vectors have no %s", name);
	return hex;
}

static struct octets octets_of(const json_t *o, const char *name)
{
	struct octets out = { 0 };
	size_t len;
	uint8_t *p = hex_octets(hex_of(o, name), &len);

	add(&out, p, len);
	free(p);
	return out;
}

static void load(struct vector *v, json_t *o)
{
	const json_t *client = json_object_get(o, "client"), *server = json_object_get(o, "server");

	v->json = o;
	v->ehlo_line = octets_of(o, "ehlo_line");
	v->ehlo_reply = octets_of(o, "ehlo_reply");
	v->xsotto_line = octets_of(o, "xsotto_line");
	v->ok_line = octets_of(o, "ok_line");
	v->hello = octets_of(client, "hello");
	v->server_hello = octets_of(server, "hello");
	from_hex(v->client_random, 64, hex_of(client, "mlkem_seed_d_z"));
	from_hex(v->client_random + 64, 32, hex_of(client, "x25519_secret"));
	from_hex(v->server_random, 32, hex_of(server, "mlkem_m"));
	from_hex(v->server_random + 32, 32, hex_of(server, "x25519_secret"));
	from_hex(v->identity, 32, hex_of(server, "identity_secret"));
	from_hex(v->ident, SOTTO_IDENT, hex_of(server, "identity_record_content"));
	from_hex(v->h, 32, hex_of(o, "H"));
	from_hex(v->okm, 152, hex_of(o, "okm"));
}

static void unload(struct vector *v)
{
	clear(&v->ehlo_line);
	clear(&v->ehlo_reply);
	clear(&v->xsotto_line);
	clear(&v->ok_line);
	clear(&v->hello);
	clear(&v->server_hello);
}

static void each(void (*check)(struct vector *v))
{
	json_t *list = json_object_get(vectors, "handshakes"), *o;
	size_t i;

	assert_true(json_array_size(list) >= 3);
	json_array_foreach(list, i, o) {
		struct vector v;

		load(&v, o);
		check(&v);
		unload(&v);
	}
}

static void transcript(struct sotto_transcript *t, const struct vector *v)
{
	sotto_transcript_begin(t);
	sotto_transcript_lines(t, v->ehlo_line.p, v->ehlo_line.len);
	sotto_transcript_lines(t, v->ehlo_reply.p, v->ehlo_reply.len);
	sotto_transcript_lines(t, v->xsotto_line.p, v->xsotto_line.len);
	sotto_transcript_octets(t, v->hello.p, v->hello.len);
	sotto_transcript_lines(t, v->ok_line.p, v->ok_line.len);
}

/* okm in its order; the confirmation key has served and is gone. */
static void check_keys(const struct sotto_keys *keys, const struct vector *v)
{
	assert_memory_equal(keys->h, v->h, 32);
	assert_memory_equal(keys->c2s_key, v->okm, 32);
	assert_memory_equal(keys->s2c_key, v->okm + 32, 32);
	assert_memory_equal(keys->c2s_iv, v->okm + 64, 12);
	assert_memory_equal(keys->s2c_iv, v->okm + 76, 12);
	assert_all(keys->confirmation, 32, 0);
	assert_memory_equal(keys->session_id, v->okm + 120, 32);
	assert_hex(keys->session_id, 32, hex_of(v->json, "session_id"));
}

static void check_server(struct vector *v)
{
	struct sotto_transcript t;
	struct sotto_keys keys;
	uint8_t out[SOTTO_SERVER_HELLO], ident[SOTTO_IDENT];

	transcript(&t, v);
	assert_int_equal(v->server_hello.len, SOTTO_SERVER_HELLO);
	assert_int_equal(sotto_server_hello(out, &keys, &t, v->hello.p, v->server_random), 0);
	assert_memory_equal(out, v->server_hello.p, sizeof(out));
	assert_hex(out + SOTTO_SERVER_HELLO - 16, 16, hex_of(v->json, "tag"));
	check_keys(&keys, v);
	assert_int_equal(sotto_ident_make(ident, v->identity, v->hello.p + SOTTO_MLKEM768_EK, v->h), 0);
	assert_memory_equal(ident, v->ident, SOTTO_IDENT);
}

static void as_server_every_octet_is_that_of_the_vectors(void **state)
{
	(void)state;
	each(check_server);
}

static void check_client(struct vector *v)
{
	struct sotto_transcript t;
	struct sotto_keys keys;
	struct sotto_client_secrets secrets;
	uint8_t hello[SOTTO_CLIENT_HELLO];

	sotto_client_hello(hello, &secrets, v->client_random);
	assert_int_equal(v->hello.len, sizeof(hello));
	assert_memory_equal(hello, v->hello.p, sizeof(hello));
	transcript(&t, v);
	assert_int_equal(sotto_client_finish(&keys, &t, &secrets, v->server_hello.p), 0);
	check_keys(&keys, v);
	assert_int_equal(sotto_ident_check(v->ident, secrets.x, keys.h), 0);
	v->ident[47] ^= 1;
	assert_int_equal(sotto_ident_check(v->ident, secrets.x, keys.h), SOTTO_HANDSHAKE_ALTERED);
}

static void as_client_every_octet_is_that_of_the_vectors(void **state)
{
	(void)state;
	each(check_client);
}

/* The values in between: both shared secrets, prk, okm, tag. */
static void check_schedule(struct vector *v)
{
	uint8_t ikm[64], prk[32], okm[152], mac[32];
	struct sotto_part info[2] = { { "keys", 4 }, { v->h, 32 } }, message[2] = { { "server", 6 }, { v->h, 32 } };

	from_hex(ikm, 32, hex_of(v->json, "mlkem_shared"));
	assert_int_equal(sotto_x25519(ikm + 32, v->client_random + 64, v->server_hello.p + SOTTO_MLKEM768_CT), 0);
	sotto_hkdf_extract(prk, "XSOTTO/1", 8, ikm, 64);
	assert_hex(prk, 32, hex_of(v->json, "prk"));
	assert_int_equal(sotto_hkdf_expand(okm, 152, prk, info, 2), 0);
	assert_memory_equal(okm, v->okm, 152);
	sotto_hmac_sha256(mac, okm + 88, 32, message, 2);
	assert_hex(mac, 16, hex_of(v->json, "tag"));
}

static void the_key_schedule_is_that_of_the_vectors(void **state)
{
	(void)state;
	each(check_schedule);
}

static struct sotto_direction direction(const struct vector *v, const json_t *record)
{
	bool s2c = strcmp(json_string_value(json_object_get(record, "dir")), "s2c") == 0;
	struct sotto_direction d = { .counter = 0 };

	memcpy(d.key, v->okm + (s2c ? 32 : 0), 32);
	memcpy(d.iv, v->okm + (s2c ? 76 : 64), 12);
	return d;
}

static void check_records(struct vector *v)
{
	static uint8_t wire[SOTTO_RECORD_WIRE], plain[SOTTO_RECORD_PLAINTEXT];
	uint64_t counter[2] = { 0, 0 };
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(v->json, "records"), i, o) {
		struct octets content = octets_of(o, "content"), want = octets_of(o, "wire");
		struct sotto_direction seal = direction(v, o), open;
		bool s2c = memcmp(seal.key, v->okm, 32) != 0, padding = want.len != 2 + content.len + 1 + 16;
		enum sotto_record_type type = (enum sotto_record_type)json_integer_value(json_object_get(o, "type")), got;
		long n;

		seal.counter = counter[s2c]++;
		open = seal;
		n = sotto_record_seal(&seal, wire, type, content.p, content.len, padding);
		assert_int_equal(n, want.len);
		assert_memory_equal(wire, want.p, want.len);
		assert_int_equal(sotto_record_size(want.p, want.len), want.len);
		assert_int_equal(sotto_record_open(&open, plain, &got, want.p, want.len), content.len);
		assert_int_equal(got, type);
		if (content.len > 0)
			assert_memory_equal(plain, content.p, content.len);
		clear(&content);
		clear(&want);
	}
	assert_true(counter[0] > 2 && counter[1] > 2);
}

static void records_of_both_directions_seal_and_open(void **state)
{
	(void)state;
	each(check_records);
}

/* A session of ours, sealed, in either role, which has the vector's keys for what comes: the record ends it. */
static void check_bad_record(const struct vector *v, const json_t *o, enum sotto_role role)
{
	struct octets record = octets_of(o, "first_record");
	struct peer p;

	(void)peer_sealed(&p, role, false);
	p.s->open = direction(v, o);
	(void)feed(p.s, SOTTO_NET, record.p, record.len);
	/* a client is told, and nothing of the record */
	expect(p.s, SOTTO_MTA, role == SOTTO_CONNECT ? "421 4.4.2 XSOTTO: the connection was lost\r\n" : "");
	if (sotto_session_wishes(p.s) != (SOTTO_WISH_END | SOTTO_WISH_ABORT) ||
	    p.s->report.cause != SOTTO_CAUSE_BAD_RECORD)
		fail_msg("role %u accepted: %s", role, json_string_value(json_object_get(o, "why")));
	expect(p.s, SOTTO_NET, "");
	end_session(p.s);
	clear(&record);
}

static void check_bad_records(struct vector *v)
{
	json_t *o;
	size_t i;

	assert_true(json_array_size(json_object_get(v->json, "bad_records")) >= 6);
	json_array_foreach(json_object_get(v->json, "bad_records"), i, o) {
		check_bad_record(v, o, SOTTO_ACCEPT);
		check_bad_record(v, o, SOTTO_CONNECT);
	}
}

static void every_bad_record_ends_the_session(void **state)
{
	(void)state;
	each(check_bad_records);
}

static uint8_t given[SOTTO_CLIENT_RANDOM];

static int given_random(uint8_t *out, size_t len)
{
	assert_int_equal(len, sizeof(given));
	memcpy(out, given, len);
	return 0;
}

/* What one side of the vector says once sealed, all at once. Its DATA goes to `content`. */
static void all_records(const struct vector *v, const char *dir, struct octets *wire, struct octets *content)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(v->json, "records"), i, o) {
		struct octets w = octets_of(o, "wire"), c = octets_of(o, "content");

		if (strcmp(json_string_value(json_object_get(o, "dir")), dir) == 0) {
			add(wire, w.p, w.len);
			if (json_integer_value(json_object_get(o, "type")) == SOTTO_DATA)
				add(content, c.p, c.len);
		}
		clear(&w);
		clear(&c);
	}
}

/* What one side seals, content by content, as far as a session makes the same records: small ones that are not empty. */
static size_t check_sealed(struct sotto_session *s, const struct vector *v, const char *dir)
{
	json_t *o;
	size_t i, checked = 0;

	json_array_foreach(json_object_get(v->json, "records"), i, o) {
		struct octets wire = octets_of(o, "wire"), content = octets_of(o, "content"), got = { 0 };
		bool ours = strcmp(json_string_value(json_object_get(o, "dir")), dir) == 0 &&
			    json_integer_value(json_object_get(o, "type")) == SOTTO_DATA;

		if (ours && content.len > 1000)
			i = json_array_size(json_object_get(v->json, "records"));
		if (ours && content.len > 0 && content.len <= 1000) {
			assert_int_equal(feed(s, SOTTO_MTA, content.p, content.len), content.len);
			take(s, SOTTO_NET, &got);
			assert_true(same(&got, &wire));
			checked++;
		}
		clear(&wire);
		clear(&content);
		clear(&got);
	}
	return checked;
}

static void check_session(struct vector *v)
{
	struct sotto_session_config config = plain_config(SOTTO_CONNECT);
	struct octets got = { 0 }, wire = { 0 }, content = { 0 };
	struct sotto_session *s;

	if (!is_text(&v->xsotto_line, SOTTO_COMMAND))
		return;	/* a session of ours writes it in capitals */
	config.random = given_random;
	config.padding = true;
	memcpy(given, v->client_random, sizeof(given));
	s = new_session(&config);
	say(s, SOTTO_NET, GREETING);
	expect(s, SOTTO_MTA, GREETING);
	assert_int_equal(feed(s, SOTTO_MTA, v->ehlo_line.p, v->ehlo_line.len), v->ehlo_line.len);
	take(s, SOTTO_NET, &got);
	assert_true(same(&got, &v->ehlo_line));
	assert_int_equal(feed(s, SOTTO_NET, v->ehlo_reply.p, v->ehlo_reply.len), v->ehlo_reply.len);
	clear(&got);
	take(s, SOTTO_NET, &got);
	drop(&got, strlen(SOTTO_COMMAND));
	assert_true(same(&got, &v->hello));
	add(&wire, v->ok_line.p, v->ok_line.len);
	add(&wire, v->server_hello.p, v->server_hello.len);
	all_records(v, "s2c", &wire, &content);
	assert_int_equal(feed(s, SOTTO_NET, wire.p, wire.len), wire.len);
	assert_int_equal(s->report.outcome, SOTTO_OUTCOME_SEALED);
	assert_int_equal(s->report.identity, SOTTO_IDENTITY_FIRST);
	assert_memory_equal(s->report.identity_key, v->ident, 32);
	assert_memory_equal(s->report.session_id, v->okm + 120, 32);
	clear(&got);
	take(s, SOTTO_MTA, &got);
	drop(&got, got.len - content.len);
	assert_true(same(&got, &content));
	assert_true(sotto_session_wishes(s) & SOTTO_WISH_SHUT_MTA);
	assert_true(check_sealed(s, v, "c2s") >= 3);
	end_session(s);
	clear(&got);
	clear(&wire);
	clear(&content);
}

static void a_whole_session_as_client_accepts_the_vectors_server(void **state)
{
	(void)state;
	each(check_session);
}

/* In the role accept the 220 line is our own, so the session gets the vector's keys behind it. */
static void check_session_as_server(struct vector *v)
{
	struct octets wire = { 0 }, content = { 0 }, got = { 0 };
	size_t fed = 0;
	struct peer p;

	(void)peer_sealed(&p, SOTTO_ACCEPT, true);
	memcpy(p.s->open.key, v->okm, 32);
	memcpy(p.s->seal.key, v->okm + 32, 32);
	memcpy(p.s->open.iv, v->okm + 64, 12);
	memcpy(p.s->seal.iv, v->okm + 76, 12);
	p.s->open.counter = 0;
	p.s->seal.counter = 1;	/* IDENT was the first */
	all_records(v, "c2s", &wire, &content);
	while (fed < wire.len) {
		size_t n = feed(p.s, SOTTO_NET, wire.p + fed, wire.len - fed);

		fed += n;
		assert_true(n > 0);
		take(p.s, SOTTO_MTA, &got);
	}
	assert_true(same(&got, &content));
	assert_true(p.s->report.authenticated);
	assert_true(sotto_session_wishes(p.s) & SOTTO_WISH_SHUT_MTA);
	assert_true(check_sealed(p.s, v, "s2c") >= 1);
	end_session(p.s);
	clear(&got);
	clear(&wire);
	clear(&content);
}

static void a_whole_session_as_server_hears_the_vectors_client(void **state)
{
	(void)state;
	each(check_session_as_server);
}

static void padding_sizes_are_those_of_the_vectors(void **state)
{
	json_t *list = json_object_get(vectors, "padme"), *o;
	size_t i;

	(void)state;
	assert_true(json_array_size(list) >= 20);
	json_array_foreach(list, i, o)
		assert_int_equal(sotto_record_padded((size_t)json_integer_value(json_object_get(o, "plaintext_length"))),
				 json_integer_value(json_object_get(o, "padded")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_server_every_octet_is_that_of_the_vectors),
		cmocka_unit_test(as_client_every_octet_is_that_of_the_vectors),
		cmocka_unit_test(the_key_schedule_is_that_of_the_vectors),
		cmocka_unit_test(records_of_both_directions_seal_and_open),
		cmocka_unit_test(every_bad_record_ends_the_session),
		cmocka_unit_test(a_whole_session_as_client_accepts_the_vectors_server),
		cmocka_unit_test(a_whole_session_as_server_hears_the_vectors_client),
		cmocka_unit_test(padding_sizes_are_those_of_the_vectors),
	};
	const char *folder = getenv("SOTTO_VECTORS");
	char path[4096];
	int failed;

	snprintf(path, sizeof(path), "%s/xsotto-v1.json", folder != NULL ? folder : "../shared/vectors");
	vectors = json_load_file(path, 0, NULL);
	if (vectors == NULL) {
		printf("NOT RUN: the vectors of PROTOCOL.md 10 are not here (%s; SOTTO_VECTORS names another folder)\n", path);
		return 0;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(vectors);
	return failed;
}
