/* SPDX-License-Identifier: ISC */
/*
 * Two sessions back to back, our mail servers behind them, and between them a wire that the input changes. What is promised
 * (PROTOCOL.md 3 to 5): once authenticated, what comes out of one end is a prefix of what went in at the other; without a change on
 * the wire, all of it; a side that looks at nothing passes what it got; every run ends.
 *
 * The input: 8 octets of settings, as many changes of 6 octets as the 9th says, then what the mail servers say in turns, each with
 * its length before it. By default (all zero) the session is sealed and nothing is changed.
 */
#include "core/protocol/session.h"
#include "core/protocol/hello.h"
#include "tests/fuzz/fuzz.h"

#define CHANGES 7
#define STALLS 400

enum way { C2S, S2C };

struct octets {
	uint8_t *p;
	size_t n, room;
};

struct change {
	uint8_t op, way, connection, sealed, arg;
	size_t at;
	bool done;
};

struct actor {
	struct octets said, heard, say;
	bool heard_end, says_end, spoke;
	size_t after;		/* octets said (server) or heard (client) up to the end of the reply to EHLO; 0: it has not been reached */
};

struct world {
	const uint8_t *turns;
	size_t left;
	unsigned turn, long_turns;
	struct change changes[CHANGES];
	unsigned n_changes, connection;
	bool touched;			/* the wire did something, or our mail server itself offers what it does not have */
	size_t chunk;
	struct sotto_session_config config[2];
	struct sotto_session *s[2];	/* by role */
	bool ended[2], aborted[2];
	struct actor client, server;
	struct octets wire[2], got[2];	/* on its way; what the receiving session has read */
	size_t crossed[2], sealed_from[2];
	bool wire_end[2], reset, redialed;
	const char *greeting, *reply;
};

/* ---- octets ---- */

static void add(struct octets *o, const void *p, size_t n)
{
	if (o->n + n > o->room) {
		o->room = 2 * (o->n + n) + 256;
		o->p = realloc(o->p, o->room);
		MUST(o->p != NULL);
	}
	if (n > 0)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void take(struct octets *o, size_t n)
{
	o->n -= n;
	if (o->n > 0)
		memmove(o->p, o->p + n, o->n);
}

static void drop(struct octets *o)
{
	free(o->p);
	*o = (struct octets){ 0 };
}

static void is_prefix(const struct octets *out, size_t from, const struct octets *in, size_t in_from)
{
	size_t n = out->n > from ? out->n - from : 0;

	MUST(in->n >= in_from && n <= in->n - in_from);
	MUST(n == 0 || memcmp(out->p + from, in->p + in_from, n) == 0);
}

/* ---- the mail servers ---- */

static void says(struct actor *a, const void *p, size_t n)
{
	add(&a->said, p, n);
	add(&a->say, p, n);
}

static void says_text(struct actor *a, const char *text)
{
	says(a, text, strlen(text));
}

/* The client's first command comes when the greeting has, and what the input says when the reply to that has. */
static void client_acts(struct world *w)
{
	struct actor *a = &w->client;
	struct sotto_reply greeting, reply;

	if (a->heard_end)
		a->says_end = true;
	if (a->heard.n == 0 || sotto_smtp_reply(a->heard.p, a->heard.n, &greeting) != SOTTO_FOUND_WHOLE)
		return;
	if (!a->spoke)
		says_text(a, w->config[SOTTO_CONNECT].padding ? "EHLO c.example\r\n" : "ehlo c\r\n");
	a->spoke = true;
	if (a->after == 0 && sotto_smtp_reply(a->heard.p + greeting.len, a->heard.n - greeting.len, &reply) == SOTTO_FOUND_WHOLE)
		a->after = greeting.len + reply.len;
}

static void server_acts(struct world *w)
{
	struct actor *a = &w->server;

	if (a->heard_end)
		a->says_end = true;
	if (!a->spoke && a->heard.n > 0 && memchr(a->heard.p, '\n', a->heard.n) != NULL) {
		says_text(a, w->reply);
		a->after = a->said.n;
		a->spoke = true;
	}
}

/* The next turn of the input; false: there are no more. */
static bool next_turn(struct world *w)
{
	struct actor *a = w->turn++ % 2 == 0 ? &w->client : &w->server;
	size_t n;

	if (w->left == 0)
		return false;
	n = w->turns[0];
	n = n == 255 && w->long_turns++ < 3 ? 40000 : n;
	w->turns++;
	w->left--;
	if (n == 40000) {		/* something long, made up: more than the buffers hold */
		static uint8_t letters[40000];

		memset(letters, 'a' + (int)(w->turn % 26), sizeof(letters));
		if (a->after > 0 && !a->says_end)
			says(a, letters, sizeof(letters));
		return true;
	}
	n = n < w->left ? n : w->left;
	if (a->after > 0 && !a->says_end)
		says(a, w->turns, n);
	w->turns += n;
	w->left -= n;
	return true;
}

/* ---- the wire ---- */

static void apply(struct world *w, enum way way, struct change *c, uint8_t octet)
{
	struct octets *wire = &w->wire[way];
	uint8_t noise[256];

	c->done = w->touched = true;
	switch (c->op % 8) {
	case 0: octet ^= (uint8_t)(1u << (c->arg & 7)); break;
	case 1: return;								/* lost */
	case 2: add(wire, &octet, 1); break;					/* doubled */
	case 3: w->wire_end[way] = true; return;				/* cut: an orderly end */
	case 4: w->reset = true; return;
	case 5: memset(noise, c->arg, sizeof(noise)); add(wire, noise, (size_t)c->arg + 1); break;
	case 6: {
		static const char *const words[] = { "XSOTTO 1 1216\r\n", "250-XSOTTO 1\r\n", "220 2.0.0 XSOTTO go\r\n", "454 4.7.0 XSOTTO no\r\n",
						     "RSET\r\n", "250 ok\r\n", "QUIT\r\n", "\r\n" };

		add(wire, words[c->arg & 7], strlen(words[c->arg & 7]));
		break;
	}
	default: {								/* what came just before, once more */
		size_t n = c->arg < wire->n ? c->arg : wire->n;
		uint8_t *again = n > 0 ? fuzz_copy(wire->p + wire->n - n, n) : NULL;

		add(wire, again, n);
		free(again);
	}
	}
	add(wire, &octet, 1);
}

static struct change *change_here(struct world *w, enum way way)
{
	for (unsigned i = 0; i < w->n_changes; i++) {
		struct change *c = &w->changes[i];
		size_t from = c->sealed ? w->sealed_from[way] : 0;

		if (c->done || (c->way & 1) != way || (c->connection & 1) != (w->connection & 1) || (c->sealed && from == 0))
			continue;
		if (w->crossed[way] == from + c->at)
			return c;
	}
	return NULL;
}

static void cross(struct world *w, enum way way, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++, w->crossed[way]++) {
		struct change *c = change_here(w, way);

		if (w->wire_end[way])
			continue;
		if (c != NULL)
			apply(w, way, c, p[i]);
		else
			add(&w->wire[way], &p[i], 1);
	}
}

/* ---- moving octets ---- */

static size_t at_most(const struct world *w, size_t n)
{
	return w->chunk > 0 && n > w->chunk ? w->chunk : n;
}

static bool into(struct world *w, unsigned role, enum sotto_side side, struct octets *from, bool end, struct octets *copy)
{
	struct sotto_session *s = w->s[role];
	size_t space, n;
	uint8_t *to;

	if (w->ended[role] || s->eof[side])
		return false;
	if (side == SOTTO_NET && w->reset) {
		sotto_session_gone(s, side);
		return true;
	}
	to = sotto_session_space(s, side, &space);
	n = at_most(w, from->n < space ? from->n : space);
	if (n > 0) {
		memcpy(to, from->p, n);
		if (copy != NULL)
			add(copy, from->p, n);
		take(from, n);
		sotto_session_got(s, side, n);
		return true;
	}
	if (from->n == 0 && end) {
		sotto_session_eof(s, side);
		return true;
	}
	return false;
}

static bool out_of(struct world *w, unsigned role, enum sotto_side side)
{
	struct sotto_session *s = w->s[role];
	struct actor *a = role == SOTTO_CONNECT ? &w->client : &w->server;
	enum way way = role == SOTTO_CONNECT ? C2S : S2C;
	bool *end = side == SOTTO_NET ? &w->wire_end[way] : &a->heard_end;
	const uint8_t *p;
	size_t n;

	if (w->ended[role])
		return false;
	p = sotto_session_ready(s, side, &n);
	n = at_most(w, n);
	if (n > 0) {
		if (side == SOTTO_NET) {
			/* records begin behind the hello: the accepting side is sealed once its keys are made, and its IDENT is a record */
			if (w->sealed_from[way] == 0 && sotto_session_is_sealed(s))
				w->sealed_from[way] = w->crossed[way] + (role == SOTTO_ACCEPT ? strlen(SOTTO_GO) + SOTTO_SERVER_HELLO : 0);
			cross(w, way, p, n);
		} else {
			add(&a->heard, p, n);
		}
		sotto_session_sent(s, side, n);
		return true;
	}
	if ((sotto_session_wishes(s) & (side == SOTTO_NET ? SOTTO_WISH_SHUT_NET : SOTTO_WISH_SHUT_MTA)) && !*end)
		return *end = true;
	return false;
}

/* ---- what is promised ---- */

static void check_server(const struct world *w)
{
	const struct sotto_session *s = w->s[SOTTO_ACCEPT];
	struct octets heard = w->server.heard;

	/* where the connecting side refuses its own mail server, it takes its leave of the other by itself */
	if (w->s[SOTTO_CONNECT]->report.outcome == SOTTO_OUTCOME_REFUSED && heard.n >= 6 && memcmp(heard.p + heard.n - 6, "QUIT\r\n", 6) == 0)
		heard.n -= 6;
	if (s->report.authenticated || !w->touched)
		is_prefix(&heard, 0, &w->client.said, 0);
	if (w->config[SOTTO_ACCEPT].use == SOTTO_USE_OFF)
		is_prefix(&w->server.heard, 0, &w->got[C2S], 0);
}

/* One of them told somebody 451 or 421 in place of our mail server. */
static bool refused(const struct world *w)
{
	return w->s[0]->report.outcome == SOTTO_OUTCOME_REFUSED || w->s[1]->report.outcome == SOTTO_OUTCOME_REFUSED;
}

/* What a client hears of us, on a line of its own, where a sealed connection was lost: of how much it heard the server. */
static struct octets without_last_word(const struct octets *heard)
{
	static const char word[] = "421 4.4.2 XSOTTO: the connection was lost\r\n";
	struct octets server = *heard;
	size_t n = heard->n < sizeof(word) ? heard->n : sizeof(word) - 1;

	while (n > 0 && memcmp(heard->p + heard->n - n, word, n) != 0)
		n--;
	if (n < heard->n && heard->p[heard->n - n - 1] == '\n')
		server.n -= n;
	return server;
}

static void check_client(const struct world *w)
{
	const struct sotto_session *s = w->s[SOTTO_CONNECT];
	struct octets heard = s->report.lost ? without_last_word(&w->client.heard) : w->client.heard;

	if (w->client.after == 0)
		return;
	if (s->report.outcome == SOTTO_OUTCOME_SEALED || (!w->touched && !refused(w)))
		is_prefix(&heard, w->client.after, &w->server.said, w->server.after);
	if (w->config[SOTTO_CONNECT].use == SOTTO_USE_OFF)
		is_prefix(&w->client.heard, 0, &w->got[S2C], 0);
}

static void check_whole(const struct world *w)
{
	if (w->touched || refused(w) || w->redialed)
		return;
	MUST(!w->aborted[0] && !w->aborted[1]);
	MUST(w->server.heard.n == w->client.said.n);
	if (w->client.after > 0)
		MUST(w->client.heard.n - w->client.after == w->server.said.n - w->server.after);
}

/* ---- a run ---- */

static void new_session(struct world *w, unsigned role)
{
	w->s[role] = malloc(sizeof(*w->s[role]));
	MUST(w->s[role] != NULL);
	memset(w->s[role], 0xa5, sizeof(*w->s[role]));
	sotto_session_init(w->s[role], &w->config[role], 1000);
	w->ended[role] = w->aborted[role] = false;
}

static void end_session(struct sotto_session *s)
{
	static const uint8_t zeros[sizeof(*s)];

	size_t secret = s->report.version != 0 ? sizeof(*s) : offsetof(struct sotto_session, in_data);

	sotto_session_wipe(s);
	MUST(memcmp(s, zeros, secret) == 0);
	free(s);
}

static void end_actor(struct actor *a)
{
	drop(&a->said);
	drop(&a->heard);
	drop(&a->say);
	*a = (struct actor){ 0 };
}

static void redial(struct world *w)
{
	check_server(w);
	end_session(w->s[SOTTO_ACCEPT]);
	end_actor(&w->server);
	w->connection++;
	w->redialed = true;
	w->reset = false;
	for (unsigned way = 0; way < 2; way++) {
		drop(&w->wire[way]);
		drop(&w->got[way]);
		w->crossed[way] = w->sealed_from[way] = 0;
		w->wire_end[way] = false;
	}
	new_session(w, SOTTO_ACCEPT);
	says_text(&w->server, w->greeting);
	sotto_session_redialed(w->s[SOTTO_CONNECT], true);
}

static bool wishes(struct world *w, unsigned role)
{
	unsigned all = w->ended[role] ? 0 : sotto_session_wishes(w->s[role]);
	struct actor *a = role == SOTTO_CONNECT ? &w->client : &w->server;

	if (all & SOTTO_WISH_REDIAL) {
		redial(w);
		return true;
	}
	if (!(all & SOTTO_WISH_END))
		return false;
	w->ended[role] = true;
	w->aborted[role] = (all & SOTTO_WISH_ABORT) != 0;
	w->reset = w->reset || w->aborted[role];
	w->wire_end[role == SOTTO_CONNECT ? C2S : S2C] = true;
	a->heard_end = true;
	return true;
}

static bool moves(struct world *w)
{
	bool moved = false;

	client_acts(w);
	server_acts(w);
	for (unsigned role = 0; role < 2; role++) {
		struct actor *a = role == SOTTO_CONNECT ? &w->client : &w->server;
		enum way in = role == SOTTO_CONNECT ? S2C : C2S;

		moved |= out_of(w, role, SOTTO_MTA);
		moved |= out_of(w, role, SOTTO_NET);
		moved |= wishes(w, role);
		moved |= into(w, role, SOTTO_MTA, &a->say, a->says_end, NULL);
		moved |= into(w, role, SOTTO_NET, &w->wire[in], w->wire_end[in], &w->got[in]);
	}
	return moved;
}

static bool ticks(struct world *w)
{
	uint64_t soonest = 0;

	for (unsigned role = 0; role < 2; role++) {
		uint64_t d = w->ended[role] ? 0 : sotto_session_deadline(w->s[role]);

		if (d > 0 && (soonest == 0 || d < soonest))
			soonest = d;
	}
	for (unsigned role = 0; soonest > 0 && role < 2; role++) {
		if (w->ended[role])
			continue;
		sotto_session_clock(w->s[role], soonest);
		sotto_session_tick(w->s[role]);
	}
	return soonest > 0;
}

/* Nothing moves: the next turn, the next deadline, or somebody loses patience. False: nothing will ever move. */
static bool stalled(struct world *w)
{
	if (next_turn(w) || ticks(w))
		return true;
	if (!w->client.says_end)
		return w->client.says_end = true;
	if (!w->server.says_end)
		return w->server.says_end = true;
	return false;
}

static void run(struct world *w)
{
	unsigned stalls = 0;

	new_session(w, SOTTO_CONNECT);
	new_session(w, SOTTO_ACCEPT);
	says_text(&w->server, w->greeting);
	do {
		while (moves(w))
			;
		check_server(w);
		check_client(w);
	} while (stalls++ < STALLS && stalled(w));
	MUST(w->ended[0] && w->ended[1]);
	client_acts(w);		/* it may have heard the reply in the last round */
	check_whole(w);
	for (unsigned role = 0; role < 2; role++)
		end_session(w->s[role]);
	end_actor(&w->client);
	end_actor(&w->server);
	for (unsigned way = 0; way < 2; way++) {
		drop(&w->wire[way]);
		drop(&w->got[way]);
	}
}

/* ---- the input ---- */

static int random_again(uint8_t *out, size_t len)
{
	static const uint8_t step = 29;

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(i * step + len);
	return 0;
}

static void settings(struct world *w, const uint8_t *d)
{
	static const char *const replies[] = { "250-s.example\r\n250 PIPELINING\r\n", "250 s.example\r\n", "250-s.example\r\n250-STARTTLS\r\n250 SIZE 1\r\n",
					       "250-s.example\r\n250 XSOTTO 1\r\n", "500 no\r\n", "250-s.example\r\n250-PIPECONNECT\r\n250 HELP\r\n",
					       "250-s.example hello\r\n250-XSOTTO 2\r\n250 HELP\r\n", "250-s\n250 x\r\n" };
	static const char *const greetings[] = { "220 s.example ESMTP\r\n", "220-s.example\r\n220 x\r\n", "554 no\r\n", "220 s\n" };

	for (unsigned role = 0; role < 2; role++)
		w->config[role] = (struct sotto_session_config){ .role = role, .random = random_again,
			.use = (enum sotto_use)(d[role] % 8 == 1 ? SOTTO_USE_OFF : d[role] % 8 == 2 ? SOTTO_USE_OBSERVE : SOTTO_USE_SEAL),
			.clear = (enum sotto_clear)((d[role] >> 3) % 4 == 1 ? SOTTO_CLEAR_451 : SOTTO_CLEAR_PASS), .padding = !(d[role] & 0x20) };
	if ((d[SOTTO_CONNECT] >> 3) % 4 == 2)
		w->config[SOTTO_CONNECT].clear = SOTTO_CLEAR_421;
	w->config[SOTTO_CONNECT].redial = !(d[2] & 1);
	w->config[SOTTO_CONNECT].sealed_before = d[2] & 2;
	w->config[SOTTO_CONNECT].hide_starttls = d[2] & 4;
	w->config[SOTTO_CONNECT].enforce_identity = d[2] & 8;
	w->config[SOTTO_CONNECT].known = (d[2] >> 4) & 1;
	w->config[SOTTO_ACCEPT].has_identity = !(d[2] & 0x20);
	w->config[SOTTO_ACCEPT].identity[0] = 9;
	w->reply = replies[d[3] % 8];
	w->touched = strstr(w->reply, "XSOTTO 1") != NULL;
	w->greeting = greetings[d[4] % 4];
	w->chunk = d[5] < 128 ? 0 : (size_t)(d[5] - 127) * (size_t)(d[5] - 127);	/* octet by octet is slow: seldom */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { 0 };

	if (size < 9 || size > 4096)
		return 0;
	settings(&w, data);
	w.n_changes = data[8] % (CHANGES + 1);
	data += 9;
	size -= 9;
	for (unsigned i = 0; i < w.n_changes && size >= 6; i++, data += 6, size -= 6)
		w.changes[i] = (struct change){ .op = data[0], .way = data[1], .connection = data[1] >> 1, .sealed = (data[1] & 4) != 0, .arg = data[2],
						.at = ((size_t)data[3] << 16 | (size_t)data[4] << 8 | data[5]) % 100000 };
	w.turns = data;
	w.left = size;
	run(&w);
	return 0;
}
