/* SPDX-License-Identifier: ISC */
/*
 * For the tests of core/protocol: strings of octets that grow, randomness that repeats itself, and one session fed by hand.
 */
#ifndef SOTTO_TESTS_PROTOCOL_OCTETS_H
#define SOTTO_TESTS_PROTOCOL_OCTETS_H

/* cmocka.h wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/protocol/session.h"

#define UNUSED __attribute__((unused))

struct octets {
	uint8_t *p;
	size_t len, cap;
};

static UNUSED void add(struct octets *o, const void *p, size_t len)
{
	if (o->len + len + 1 > o->cap) {
		o->cap = 2 * (o->len + len) + 1024;
		o->p = realloc(o->p, o->cap);
		assert_non_null(o->p);
	}
	if (len > 0)
		memcpy(o->p + o->len, p, len);
	o->len += len;
	o->p[o->len] = 0;
}

static UNUSED void add_text(struct octets *o, const char *text)
{
	add(o, text, strlen(text));
}

/* Takes n octets away at the start. */
static UNUSED void drop(struct octets *o, size_t n)
{
	assert_true(n <= o->len);
	o->len -= n;
	if (o->len > 0)
		memmove(o->p, o->p + n, o->len);
}

static UNUSED void clear(struct octets *o)
{
	free(o->p);
	*o = (struct octets){ 0 };
}

static UNUSED bool same(const struct octets *a, const struct octets *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
}

static UNUSED bool is_text(const struct octets *o, const char *text)
{
	return o->len == strlen(text) && (o->len == 0 || memcmp(o->p, text, o->len) == 0);
}

static UNUSED bool has_text(const struct octets *o, const char *text)
{
	return o->len > 0 && memmem(o->p, o->len, text, strlen(text)) != NULL;
}

#define assert_text(o, text)                                                                              \
	do {                                                                                              \
		if (!is_text(o, text))                                                                    \
			fail_msg("got %zu octets: %.*s", (o)->len, (int)(o)->len, (const char *)(o)->p); \
	} while (0)

/* ---- randomness of the tests: xorshift, so that a failure can be repeated ---- */

static uint64_t dice_state = 88172645463325252u;

static UNUSED uint64_t dice(uint64_t sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return sides == 0 ? dice_state : dice_state % sides;
}

static UNUSED int random_of_test(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(dice(0) >> 11);
	return 0;
}

static UNUSED int no_random(uint8_t *out, size_t len)
{
	(void)out;
	(void)len;
	return -1;
}

/* ---- one session, by hand ---- */

static UNUSED struct sotto_session_config plain_config(enum sotto_role role)
{
	return (struct sotto_session_config){
		.role = role, .use = SOTTO_USE_SEAL, .clear = SOTTO_CLEAR_PASS, .random = random_of_test, .redial = true
	};
}

/* A session on the heap, so that sanitizers see an access beyond it. */
static UNUSED struct sotto_session *new_session(const struct sotto_session_config *config)
{
	struct sotto_session *s = malloc(sizeof(*s));

	assert_non_null(s);
	memset(s, 0xa5, sizeof(*s));
	sotto_session_init(s, config, 1000);
	return s;
}

static UNUSED void end_session(struct sotto_session *s)
{
	size_t secret = s->report.version != 0 ? sizeof(*s) : offsetof(struct sotto_session, in_data);

	sotto_session_wipe(s);
	for (size_t i = 0; i < secret; i++) {
		if (((uint8_t *)s)[i] != 0)
			fail_msg("octet %zu of a wiped session is not zero", i);
	}
	free(s);
}

/* A session that passes through from its beginning. */
static UNUSED struct sotto_session *opaque_session(enum sotto_role role)
{
	struct sotto_session_config config = plain_config(role);
	struct sotto_session *s;

	config.use = SOTTO_USE_OFF;
	s = new_session(&config);
	assert_true(sotto_session_is_opaque(s));
	return s;
}

/* Gives as many of the octets as the session reads; how many that were. */
static UNUSED size_t feed(struct sotto_session *s, enum sotto_side side, const void *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t space;
		uint8_t *to = sotto_session_space(s, side, &space);

		if (space == 0)
			break;
		if (space > len - done)
			space = len - done;
		memcpy(to, (const uint8_t *)p + done, space);
		sotto_session_got(s, side, space);
		done += space;
	}
	return done;
}

static UNUSED void say(struct sotto_session *s, enum sotto_side side, const char *text)
{
	assert_int_equal(feed(s, side, text, strlen(text)), strlen(text));
}

/* Takes what is ready for one side, all of it. */
static UNUSED size_t take(struct sotto_session *s, enum sotto_side side, struct octets *to)
{
	size_t all = 0, len;
	const uint8_t *p;

	while ((p = sotto_session_ready(s, side, &len)), len > 0) {
		add(to, p, len);
		sotto_session_sent(s, side, len);
		all += len;
	}
	return all;
}

/* What is ready for one side is exactly this text. */
#define expect(s, side, text)                  \
	do {                                   \
		struct octets expect_o = { 0 }; \
		take(s, side, &expect_o);       \
		assert_text(&expect_o, text);   \
		clear(&expect_o);               \
	} while (0)

static UNUSED void advance(struct sotto_session *s, uint64_t ms)
{
	sotto_session_clock(s, s->now + ms);
	sotto_session_tick(s);
}

#define EHLO "EHLO c.example\r\n"
#define REPLY_PLAIN "250-s.example at your service\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 PIPELINING\r\n"
#define REPLY_OFFER "250-s.example at your service\r\n250-XSOTTO 1\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 PIPELINING\r\n"
#define GREETING "220 s.example ESMTP\r\n"
#define GO "220 2.0.0 XSOTTO go ahead\r\n"

#endif
