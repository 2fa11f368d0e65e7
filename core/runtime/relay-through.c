/* SPDX-License-Identifier: ISC */
/*
 * The phase THROUGH of a relay (relay-parts.h): once nothing is looked at any more, octets go by in two splices (splice.h). Called by
 * relay.c. Where splice(2) cannot be used with these descriptors, the session takes over again: it passes everything through too.
 */
#include <fcntl.h>

#include "core/runtime/relay-parts.h"

_Static_assert(SOTTO_SPLICE_CHUNK <= SOTTO_IN + SOTTO_OUT, "what is in a pipe must fit into the session");

void sotto_through_close(struct sotto_relay *r)
{
	for (unsigned i = 0; i < 2; i++)
		sotto_splice_close(&r->through[i]);
}

/* splice(2) would wait on a socket whose description somebody has set to blocking. */
static bool will_not_block(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

static bool can_splice(const struct sotto_relay *r)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct sotto_relay_side *d = &r->side[i];

		if (d->fd < 0 || d->broken || d->ended || d->shut || !will_not_block(d->fd))
			return false;
	}
	return r->preface_len == 0;
}

void sotto_through_begin(struct sotto_relay *r)
{
	int net = r->side[SOTTO_NET].fd, mta = r->side[SOTTO_MTA].fd;

	if (r->never_splice || !can_splice(r))
		return;
	if (sotto_splice_open(&r->through[SOTTO_NET], net, mta) != 0 || sotto_splice_open(&r->through[SOTTO_MTA], mta, net) != 0) {
		/* no descriptors: asking again with each octet would cost more than copying */
		sotto_through_close(r);
		r->never_splice = true;
		return;
	}
	r->phase = SOTTO_PHASE_THROUGH;
}

/* What the splices found out about the two connections. */
static void note(struct sotto_relay *r)
{
	for (unsigned i = 0; i < 2; i++) {
		struct sotto_relay_side *d = &r->side[i];

		d->broken = r->through[sotto_other((enum sotto_side)i)].broken;
		d->ended = r->through[i].ended;
		/* the kernel says a reset once, to whoever asks first: after a write that failed, the end is no orderly one */
		d->failed = r->through[i].failed || (d->ended && d->broken);
	}
}

/* What came from one side and is still in the pipe goes through the session; it fits (see above). */
static void give_back(struct sotto_relay *r, enum sotto_side side)
{
	struct sotto_splice *t = &r->through[side];

	while (t->pending > 0) {
		size_t len;
		uint8_t *space = sotto_session_space(&r->session, side, &len);
		size_t n = sotto_splice_take_back(t, space, len);

		if (n == 0) {
			t->failed = t->ended = true;
			break;
		}
		sotto_session_got(&r->session, side, n);
	}
}

static void go_back(struct sotto_relay *r)
{
	r->phase = SOTTO_PHASE_SESSION;
	r->never_splice = true;
	for (unsigned i = 0; i < 2; i++)
		give_back(r, (enum sotto_side)i);
	note(r);
	for (unsigned i = 0; i < 2; i++) {
		if (r->side[i].failed)
			sotto_session_gone(&r->session, (enum sotto_side)i);
		else if (r->side[i].ended)
			sotto_session_eof(&r->session, (enum sotto_side)i);
	}
	sotto_through_close(r);
}

void sotto_through_event(struct sotto_relay *r, enum sotto_side side, bool readable, bool writable)
{
	struct sotto_splice *from = &r->through[side], *to = &r->through[sotto_other(side)];
	bool moved = false;

	if (readable)
		moved = sotto_splice_run(from);
	if (writable)
		moved = sotto_splice_run(to) || moved;
	if (moved)
		r->progressed = sotto_relay_now();
	if (from->impossible || to->impossible)
		go_back(r);
	else
		note(r);
}

void sotto_through_turn(struct sotto_relay *r)
{
	bool finished[2];

	for (unsigned i = 0; i < 2; i++) {
		finished[i] = sotto_splice_finished(&r->through[i]);
		if (finished[i] && !r->side[i].failed)
			sotto_side_shut(&r->side[sotto_other((enum sotto_side)i)]);
	}
	for (unsigned i = 0; i < 2; i++) {
		if (finished[i] && sotto_side_dead(&r->side[i])) {
			sotto_relay_begin_cutting(r, sotto_other((enum sotto_side)i));
			return;
		}
	}
	if (finished[SOTTO_NET] && finished[SOTTO_MTA])
		sotto_relay_begin_closing(r);
}
