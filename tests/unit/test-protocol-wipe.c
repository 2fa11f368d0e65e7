/* SPDX-License-Identifier: ISC */
/*
 * test-protocol-wipe.c - no key outlives its use, whatever the end: those of the records, the ephemeral ones, the long-term one.
 */
#include "tests/unit/protocol-peer.h"

#include "tests/unit/own-stack.h"

static struct sotto_session_config config;
static struct peer p;

static bool holds(const struct sotto_session *s, const void *secret, size_t len)
{
	static uint8_t octets[sizeof(struct sotto_session)];

	copy_raw(octets, s, sizeof(octets));
	return memmem(octets, sizeof(octets), secret, len) != NULL;
}

static bool holds_keys(const struct sotto_session *s)
{
	return holds(s, p.keys.c2s_key, 16) || holds(s, p.keys.s2c_key, 16) || holds(s, p.keys.c2s_iv, 12) ||
	       holds(s, p.keys.s2c_iv, 12) || holds(s, p.keys.h, 32);
}

enum way_to_end { CLOSE_BOTH, TRUNCATE, RESET, BAD, LATE, BAD_IDENT, WAYS };

static struct sotto_session *about_to_end(enum sotto_role role, unsigned way)
{
	if (way != BAD_IDENT || role == SOTTO_ACCEPT)
		return peer_sealed(&p, role, false);
	config = plain_config(SOTTO_CONNECT);
	peer_as_server(&p, &config);
	return p.s;
}

static void no_key_outlives_its_session(void **state)
{
	(void)state;
	for (unsigned role = 0; role < 2; role++) {
		for (unsigned way = 0; way < WAYS; way++) {
			struct sotto_session *s = about_to_end((enum sotto_role)role, way);
			struct octets heard = { 0 };

			assert_true(holds(s, p.keys.c2s_key, 32) && holds(s, p.keys.s2c_key, 32));
			if (way == CLOSE_BOTH || way == LATE) {
				sotto_session_eof(s, SOTTO_MTA);
				(void)peer_hears(&p, &heard);
				if (way == CLOSE_BOTH)
					peer_says(&p, SOTTO_CLOSE, NULL, 0);
				else
					advance(s, 30000);
			} else if (way == TRUNCATE) {
				sotto_session_eof(s, SOTTO_NET);
			} else if (way == RESET) {
				sotto_session_gone(s, SOTTO_NET);
			} else if (way == BAD) {
				(void)feed(s, SOTTO_NET, "\x00\x11" "0123456789abcdefg", 19);
			} else {
				peer_says(&p, SOTTO_IDENT_RECORD, "x", 1);
			}
			take(s, SOTTO_MTA, &heard);
			assert_true(sotto_session_wishes(s) & SOTTO_WISH_END);
			if (holds_keys(s))
				fail_msg("role %u, end %u: keys are left", role, way);
			end_session(s);
			clear(&heard);
		}
	}
}

/* A direction's key goes with its CLOSE, and what both were cut from went before. */
static void the_key_of_a_closed_direction_is_gone_while_the_other_lives(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		struct sotto_session *s = peer_sealed(&p, (enum sotto_role)(n % 2), false);
		const uint8_t *out = n % 2 ? p.keys.c2s_key : p.keys.s2c_key, *in = n % 2 ? p.keys.s2c_key : p.keys.c2s_key;
		struct octets heard = { 0 };

		assert_true(holds(s, out, 32) && holds(s, in, 32));
		assert_false(holds(s, p.keys.h, 32));
		if (n < 2)
			peer_says(&p, SOTTO_CLOSE, NULL, 0);
		else
			sotto_session_eof(s, SOTTO_MTA);
		assert_true(sotto_session_is_sealed(s));
		assert_int_equal(holds(s, in, 32), n >= 2);
		assert_int_equal(holds(s, out, 32), n < 2);
		(void)peer_hears(&p, &heard);
		end_session(s);
		clear(&heard);
	}
}

static uint64_t dice_before;

static int noted_random(uint8_t *out, size_t len)
{
	dice_before = dice_state;
	return random_of_test(out, len);
}

/* The client's ephemeral secrets, made once more from the same dice. */
static struct sotto_client_secrets secrets_again(void)
{
	uint8_t random[SOTTO_CLIENT_RANDOM], hello[SOTTO_CLIENT_HELLO];
	struct sotto_client_secrets secrets;
	uint64_t now = dice_state;

	dice_state = dice_before;
	(void)random_of_test(random, sizeof(random));
	dice_state = now;
	sotto_client_hello(hello, &secrets, random);
	assert_memory_equal(hello, p.client_hello, sizeof(hello));
	return secrets;
}

static void ephemeral_secrets_go_as_soon_as_they_have_served(void **state)
{
	struct sotto_client_secrets secrets;
	struct sotto_session *s;

	(void)state;
	config = plain_config(SOTTO_CONNECT);
	config.random = noted_random;
	peer_as_server(&p, &config);
	secrets = secrets_again();
	assert_false(holds(p.s, secrets.dk, 32));
	assert_true(holds(p.s, secrets.x, 32));	/* until IDENT */
	peer_says(&p, SOTTO_IDENT_RECORD, NULL, 0);
	assert_false(holds(p.s, secrets.x, 32) || holds(p.s, p.keys.h, 32));
	end_session(p.s);
	/* a refusal, and each failure */
	for (unsigned n = 0; n < 5; n++) {
		config.redial = n % 2;
		p.s = s = new_session(&config);
		peer_reads_hello(&p, REPLY_OFFER);
		secrets = secrets_again();
		assert_true(holds(s, secrets.dk, 32) && holds(s, secrets.x, 32));
		if (n == 0)
			say(s, SOTTO_NET, "454 4.7.0 XSOTTO no\r\n");
		else if (n < 3)
			sotto_session_gone(s, SOTTO_NET);
		else
			advance(s, 4000);
		if (holds(s, secrets.dk, 32) || holds(s, secrets.x, 32))
			fail_msg("failure %u: secrets are left", n);
		end_session(s);
	}
}

static void the_long_term_key_goes_with_its_use(void **state)
{
	uint8_t identity[32];

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		struct octets rest = { 0 };

		config = plain_config(SOTTO_ACCEPT);
		config.has_identity = true;
		(void)random_of_test(config.identity, 32);
		memcpy(identity, config.identity, 32);
		if (n == 0) {
			peer_as_client(&p, &config, &rest);
		} else {
			p.s = new_session(&config);
			assert_true(holds(p.s, identity, 32));
			say(p.s, SOTTO_MTA, n == 1 ? "554 no\r\n" : GREETING);
			if (n == 2)
				say(p.s, SOTTO_NET, "HELO x\r\n");
		}
		assert_false(holds(p.s, identity, 32));
		end_session(p.s);
		clear(&rest);
	}
}

/* What the session drew: the whole of it, made once more from the same dice. */
static uint8_t drawn[SOTTO_CLIENT_RANDOM];

static void draw_again(size_t len)
{
	uint64_t now = dice_state;

	dice_state = dice_before;
	(void)random_of_test(drawn, len);
	dice_state = now;
}

static void call_asks(void)
{
	if (p.s != NULL)
		end_session(p.s);
	p.s = new_session(&config);
	peer_reads_hello(&p, REPLY_OFFER);
}

/* Reading the hello comes last: what would be called behind it would tread the stack down. */
static void call_answers(void)
{
	static uint8_t random[SOTTO_CLIENT_RANDOM];
	struct octets reply = { 0 };

	if (p.s != NULL)
		end_session(p.s);
	p.s = new_session(&config);
	peer_gets_offer(&p, &reply);
	clear(&reply);
	sotto_client_hello(p.client_hello, &p.secrets, random);
	say(p.s, SOTTO_NET, SOTTO_COMMAND);
	(void)feed(p.s, SOTTO_NET, p.client_hello, SOTTO_CLIENT_HELLO);
}

static void what_was_drawn_is_not_left_on_the_stack(void **state)
{
	(void)state;
	p = (struct peer){ 0 };
	config = plain_config(SOTTO_CONNECT);
	config.random = noted_random;
	on_own_stack(call_asks);
	draw_again(SOTTO_CLIENT_RANDOM);
	assert_memory_equal(p.s->secrets.x, drawn + 64, 32);
	assert_false(left_behind(drawn, SOTTO_CLIENT_RANDOM));
	config.role = SOTTO_ACCEPT;
	on_own_stack(call_answers);
	draw_again(SOTTO_SERVER_RANDOM);
	assert_true(sotto_session_is_sealed(p.s));
	assert_false(left_behind(drawn, SOTTO_SERVER_RANDOM));
	end_session(p.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_key_outlives_its_session),
		cmocka_unit_test(the_key_of_a_closed_direction_is_gone_while_the_other_lives),
		cmocka_unit_test(ephemeral_secrets_go_as_soon_as_they_have_served),
		cmocka_unit_test(the_long_term_key_goes_with_its_use),
		cmocka_unit_test(what_was_drawn_is_not_left_on_the_stack),
	};

	printf("dice begin at %llu\n", (unsigned long long)dice_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
