/* SPDX-License-Identifier: ISC */
/*
 * Two sessions back to back: a scripted SMTP client behind the one that connects, a scripted SMTP server behind the one that accepts,
 * and between them a wire that can cut, flip, inject and replace. Deterministic: no clock but the sessions' deadlines.
 */
#ifndef SOTTO_TESTS_PROTOCOL_LAB_H
#define SOTTO_TESTS_PROTOCOL_LAB_H

#include "tests/unit/protocol-octets.h"

enum lab_way { C2S, S2C };	/* from the connecting session to the accepting one; back */

/* What our mail servers say and hear. `heard` begins anew with each connection for the server. */
struct lab_actor {
	struct octets heard, say;
	bool heard_end, heard_reset, says_end;
	size_t read;		/* octets of `heard` that were acted on */
};

/* A command or several at once, and how many replies are awaited before the next. */
struct lab_command {
	const char *text;
	unsigned replies;
};

enum lab_op { LAB_NOTHING, LAB_FLIP, LAB_CUT, LAB_RESET, LAB_INJECT, LAB_REPLACE };

#define LAB_EACH 99

/* One thing that happens on the wire, on one connection (0: the first) or on each. `at`: before which octet. */
struct lab_tamper {
	enum lab_op op;
	enum lab_way way;
	unsigned connection;
	size_t at;
	unsigned bit;
	const char *octets, *with;	/* INJECT: octets; REPLACE: the first `octets` with `with` */
	size_t inject_len;		/* 0: octets is a text */
};

struct lab {
	/* what the test says */
	struct sotto_session_config connect, accept;
	const char *greeting, *ehlo_reply;
	struct octets ehlo_octets;	/* in place of ehlo_reply, where there are NULs */
	const struct lab_command *script;
	size_t chunk;			/* the most octets that cross at once; 0: no bound */
	size_t split[2];		/* on the wire, pauses before this octet; 0: nowhere */
	struct lab_tamper tamper;
	bool accept_again_off;		/* after a new connection the server's side no longer offers */
	/* what comes of it */
	struct sotto_session *s[2];	/* SOTTO_ACCEPT, SOTTO_CONNECT as index */
	bool ended[2], aborted[2];
	struct lab_actor client, server;
	struct octets all_heard;	/* of the server, on all connections */
	struct octets first_heard;	/* ... and on the first, where there were more */
	struct octets wire[2], crossed[2];
	bool wire_end[2], wire_reset, cut[2], paused[2];
	size_t position[2];
	unsigned connections, stage, owed;
	bool in_data, bdat;
	struct sotto_report report[2];
};

/* ---- the mail servers ---- */

static UNUSED void lab_client_acts(struct lab *l)
{
	struct lab_actor *a = &l->client;
	const struct lab_command *c;

	for (;;) {
		struct sotto_reply r;

		if (a->read > a->heard.len ||
		    sotto_smtp_reply(a->heard.p + a->read, a->heard.len - a->read, &r) != SOTTO_FOUND_WHOLE)
			break;
		a->read += r.len;
		if (l->owed > 0)
			l->owed--;
		if (r.code == 421)
			a->says_end = true;
	}
	if (a->heard_end || a->heard_reset)
		a->says_end = true;
	c = &l->script[l->stage];
	if (l->owed > 0 || a->says_end)
		return;
	if (c->text == NULL) {
		a->says_end = true;
		return;
	}
	add_text(&a->say, c->text);
	l->owed = c->replies;
	l->stage++;
}

static UNUSED void lab_server_line(struct lab *l, const char *line)
{
	struct octets *say = &l->server.say;

	if (l->in_data) {
		l->in_data = strcmp(line, ".\r\n") != 0;
		if (!l->in_data)
			add_text(say, "250 2.0.0 taken\r\n");
	} else if (strncasecmp(line, "EHLO", 4) == 0) {
		if (l->ehlo_octets.len > 0)
			add(say, l->ehlo_octets.p, l->ehlo_octets.len);
		else
			add_text(say, l->ehlo_reply);
	} else if (strncasecmp(line, "DATA", 4) == 0) {
		l->in_data = true;
		add_text(say, "354 go\r\n");
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		add_text(say, "221 2.0.0 bye\r\n");
		l->server.says_end = true;
	} else if (strncasecmp(line, "HELO", 4) == 0 || strncasecmp(line, "MAIL", 4) == 0 ||
		   strncasecmp(line, "RCPT", 4) == 0) {
		add_text(say, "250 2.0.0 ok\r\n");
	} else {
		add_text(say, "500 5.5.1 what?\r\n");
	}
}

static UNUSED void lab_server_acts(struct lab *l)
{
	struct lab_actor *a = &l->server;

	while (a->read < a->heard.len && !a->says_end) {
		const uint8_t *lf = memchr(a->heard.p + a->read, '\n', a->heard.len - a->read);
		char line[4096] = "";
		size_t n;

		if (lf == NULL)
			break;
		n = (size_t)(lf - (a->heard.p + a->read)) + 1;
		if (n < sizeof(line))
			memcpy(line, a->heard.p + a->read, n);
		a->read += n;
		lab_server_line(l, line);
	}
	if (a->heard_end || a->heard_reset)
		a->says_end = true;
}

/* ---- the wire ---- */

static UNUSED bool lab_tampers(const struct lab *l, enum lab_way way)
{
	return l->tamper.way == way && (l->tamper.connection == l->connections || l->tamper.connection == LAB_EACH);
}

static UNUSED void lab_cross_octet(struct lab *l, enum lab_way way, uint8_t octet)
{
	const struct lab_tamper *t = &l->tamper;
	bool here = lab_tampers(l, way) && t->at == l->position[way];

	if (here && t->op == LAB_INJECT)
		add(&l->wire[way], t->octets, t->inject_len > 0 ? t->inject_len : strlen(t->octets));
	if (here && t->op == LAB_FLIP)
		octet ^= (uint8_t)(1 << t->bit);
	if (here && (t->op == LAB_CUT || t->op == LAB_RESET)) {
		l->cut[way] = true;
		l->wire_end[way] = true;
		l->wire_reset = t->op == LAB_RESET;
	}
	l->position[way]++;
	if (!l->cut[way])
		add(&l->wire[way], &octet, 1);
}

static UNUSED void lab_cross(struct lab *l, enum lab_way way, const uint8_t *p, size_t len)
{
	const struct lab_tamper *t = &l->tamper;
	const uint8_t *found;

	if (t->op == LAB_REPLACE && lab_tampers(l, way) && (found = memmem(p, len, t->octets, strlen(t->octets))) != NULL) {
		add(&l->wire[way], p, (size_t)(found - p));
		add_text(&l->wire[way], t->with);
		found += strlen(t->octets);
		add(&l->wire[way], found, len - (size_t)(found - p));
		return;
	}
	for (size_t i = 0; i < len; i++)
		lab_cross_octet(l, way, p[i]);
}

/* ---- moving octets ---- */

static UNUSED size_t lab_at_once(const struct lab *l, size_t n)
{
	return l->chunk > 0 && n > l->chunk ? l->chunk : n;
}

/* From a queue into a side of a session, then its end. */
static UNUSED bool lab_into(struct lab *l, unsigned role, enum sotto_side side, struct octets *from, size_t most, bool end, bool reset)
{
	struct sotto_session *s = l->s[role];
	size_t n = from->len < most ? from->len : most;

	if (l->ended[role] || s->eof[side])
		return false;
	if (reset) {
		sotto_session_gone(s, side);
		return true;
	}
	n = feed(s, side, from->p, lab_at_once(l, n));
	drop(from, n);
	if (n == 0 && end && from->len == 0) {
		sotto_session_eof(s, side);
		return true;
	}
	return n > 0;
}

static UNUSED bool lab_out_net(struct lab *l, unsigned role)
{
	enum lab_way way = role == SOTTO_CONNECT ? C2S : S2C;
	struct sotto_session *s = l->s[role];
	size_t len;
	const uint8_t *p;

	if (l->ended[role])
		return false;
	p = sotto_session_ready(s, SOTTO_NET, &len);
	len = lab_at_once(l, len);
	if (len > 0) {
		add(&l->crossed[way], p, len);
		lab_cross(l, way, p, len);
		sotto_session_sent(s, SOTTO_NET, len);
		return true;
	}
	if ((sotto_session_wishes(s) & SOTTO_WISH_SHUT_NET) && !l->wire_end[way]) {
		l->wire_end[way] = true;
		return true;
	}
	return false;
}

static UNUSED bool lab_out_mta(struct lab *l, unsigned role)
{
	struct lab_actor *a = role == SOTTO_CONNECT ? &l->client : &l->server;
	struct sotto_session *s = l->s[role];
	size_t len;
	const uint8_t *p;

	if (l->ended[role])
		return false;
	p = sotto_session_ready(s, SOTTO_MTA, &len);
	len = lab_at_once(l, len);
	if (len > 0) {
		add(&a->heard, p, len);
		sotto_session_sent(s, SOTTO_MTA, len);
		return true;
	}
	if ((sotto_session_wishes(s) & SOTTO_WISH_SHUT_MTA) && !a->heard_end) {
		a->heard_end = true;
		return true;
	}
	return false;
}

static UNUSED bool lab_net_into(struct lab *l, unsigned role)
{
	enum lab_way way = role == SOTTO_CONNECT ? S2C : C2S;
	size_t taken = l->crossed[way].len - l->wire[way].len, most = SIZE_MAX;

	if (l->split[way] > taken && !l->paused[way])
		most = l->split[way] - taken;
	if (l->split[way] > 0 && l->split[way] == taken && !l->paused[way])
		return false;
	return lab_into(l, role, SOTTO_NET, &l->wire[way], most, l->wire_end[way], l->wire_reset);
}

static UNUSED void lab_accept(struct lab *l)
{
	clear(&l->server.heard);
	clear(&l->server.say);
	l->server = (struct lab_actor){ 0 };
	l->s[SOTTO_ACCEPT] = new_session(&l->accept);
	l->ended[SOTTO_ACCEPT] = l->aborted[SOTTO_ACCEPT] = false;
	l->in_data = false;
	for (unsigned way = 0; way < 2; way++) {
		clear(&l->wire[way]);
		l->wire_end[way] = l->cut[way] = l->paused[way] = false;
		l->position[way] = 0;
		clear(&l->crossed[way]);
	}
	l->wire_reset = false;
	add_text(&l->server.say, l->greeting);
}

static UNUSED bool lab_wishes(struct lab *l, unsigned role)
{
	struct sotto_session *s = l->s[role];
	struct lab_actor *a = role == SOTTO_CONNECT ? &l->client : &l->server;
	unsigned wishes = l->ended[role] ? 0 : sotto_session_wishes(s);

	if (wishes & SOTTO_WISH_REDIAL) {
		add(&l->all_heard, l->server.heard.p, l->server.heard.len);
		if (l->connections == 0)
			add(&l->first_heard, l->server.heard.p, l->server.heard.len);
		end_session(l->s[SOTTO_ACCEPT]);
		l->connections++;
		if (l->accept_again_off)
			l->accept.use = SOTTO_USE_OFF;
		lab_accept(l);
		sotto_session_redialed(s, true);
		return true;
	}
	if (wishes & SOTTO_WISH_END) {
		l->ended[role] = true;
		l->aborted[role] = (wishes & SOTTO_WISH_ABORT) != 0;
		l->wire_end[role == SOTTO_CONNECT ? C2S : S2C] = true;
		l->wire_reset = l->wire_reset || l->aborted[role];
		*(l->aborted[role] ? &a->heard_reset : &a->heard_end) = true;
		return true;
	}
	return false;
}

static UNUSED bool lab_round(struct lab *l)
{
	bool moved = false;

	lab_client_acts(l);
	lab_server_acts(l);
	for (unsigned role = 0; role < 2; role++) {
		struct lab_actor *a = role == SOTTO_CONNECT ? &l->client : &l->server;

		moved = lab_out_mta(l, role) || moved;
		moved = lab_out_net(l, role) || moved;
		moved = lab_wishes(l, role) || moved;
		moved = lab_into(l, role, SOTTO_MTA, &a->say, SIZE_MAX, a->says_end, false) || moved;
		moved = lab_net_into(l, role) || moved;
	}
	return moved;
}

/* Nothing moves: pauses on the wire end first, then the clock goes on to the next deadline. False: nothing will ever move. */
static UNUSED bool lab_stalled(struct lab *l)
{
	uint64_t soonest = 0;

	for (unsigned way = 0; way < 2; way++) {
		if (l->split[way] > 0 && !l->paused[way] && l->crossed[way].len >= l->split[way]) {
			l->paused[way] = true;
			return true;
		}
	}
	for (unsigned role = 0; role < 2; role++) {
		uint64_t d = l->ended[role] ? 0 : sotto_session_deadline(l->s[role]);

		if (d > 0 && (soonest == 0 || d < soonest))
			soonest = d;
	}
	if (soonest == 0) {
		/* the mail servers lose their patience */
		if (l->client.says_end && l->server.says_end)
			return false;
		*(l->client.says_end ? &l->server.says_end : &l->client.says_end) = true;
		return true;
	}
	for (unsigned role = 0; role < 2; role++) {
		if (l->ended[role])
			continue;
		sotto_session_clock(l->s[role], soonest);
		sotto_session_tick(l->s[role]);
	}
	return true;
}

static const struct lab_command lab_mail[] = { { "EHLO c.example\r\n", 1 }, { "MAIL FROM:<a@c.example>\r\n", 1 },
					       { "RCPT TO:<b@s.example>\r\n", 1 }, { "DATA\r\n", 1 },
					       { "Subject: x\r\n\r\nbody\r\n.\r\n", 1 }, { "QUIT\r\n", 1 }, { NULL, 0 } };
#define LAB_MAIL_OCTETS                                                                                     \
	"EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@s.example>\r\nDATA\r\nSubject: x\r\n\r\nbody" \
	"\r\n.\r\nQUIT\r\n"
#define LAB_MAIL_REPLIES                                                                             \
	"250 2.0.0 ok\r\n250 2.0.0 ok\r\n354 go\r\n250 2.0.0 taken\r\n221 2.0.0 bye\r\n"

static UNUSED struct lab *lab_new(void)
{
	struct lab *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->connect = plain_config(SOTTO_CONNECT);
	l->accept = plain_config(SOTTO_ACCEPT);
	l->greeting = GREETING;
	l->ehlo_reply = REPLY_PLAIN;
	l->script = lab_mail;
	l->owed = 1;
	return l;
}

/* Runs until nothing moves any more. Every run ends with both sessions ended, or the test fails. */
static UNUSED void lab_run(struct lab *l)
{
	unsigned stalls = 0;

	l->s[SOTTO_CONNECT] = new_session(&l->connect);
	lab_accept(l);
	while (lab_round(l) || (stalls++ < 20 && lab_stalled(l)))
		;
	if (!l->ended[0] || !l->ended[1])
		fail_msg("no end: accept %u (step %u), connect %u (step %u), tamper %u way %u at %zu bit %u", l->ended[0], l->s[0]->step,
			 l->ended[1], l->s[1]->step, l->tamper.op, l->tamper.way, l->tamper.at, l->tamper.bit);
	for (unsigned role = 0; role < 2; role++) {
		l->report[role] = l->s[role]->report;
		end_session(l->s[role]);
	}
	add(&l->all_heard, l->server.heard.p, l->server.heard.len);
}

static UNUSED void lab_free(struct lab *l)
{
	clear(&l->client.heard);
	clear(&l->client.say);
	clear(&l->server.heard);
	clear(&l->server.say);
	clear(&l->all_heard);
	clear(&l->first_heard);
	clear(&l->ehlo_octets);
	for (unsigned way = 0; way < 2; way++) {
		clear(&l->wire[way]);
		clear(&l->crossed[way]);
	}
	free(l);
}

#endif
