/* SPDX-License-Identifier: ISC */
/* One connection that sotto-session serve was handed, from the message to its end (serve.h, serve-parts.h). Called by serve.c. */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/runtime/peer-user.h"
#include "core/runtime/ready.h"
#include "core/runtime/serve-parts.h"

#define HANDED 2		/* descriptors */
#define HAND_OVER_MS 1000	/* for the message to come; it is written together with the connection */
#define GO_MS 10000		/* for the go-ahead */
#define LIST_MS 100		/* a session that is shorter is in nobody's list */
#define LOG_MS 500		/* for the log to take the session's line, in a process of its own */

/* ---- the end ---- */

static void let_go(struct sotto_serve_one *o)
{
	*o->back = o->next;
	if (o->next != NULL)
		o->next->back = o->back;
	if (o->in->pending == o)
		o->in->pending = NULL;
	if (o->event != NULL)
		event_free(o->event);
	if (o->list != NULL)
		event_free(o->list);
	if (o->ends.net >= 0)
		close(o->ends.net);
	if (o->ends.mta >= 0)
		close(o->ends.mta);
	close(o->starter);
	o->in->n--;
	sotto_serve_ended(o->in);
	free(o);
}

/* Nothing was taken from the client yet: who handed over goes on by itself. */
static void decline(struct sotto_serve_one *o)
{
	if (o->state == SOTTO_SERVE_READY)
		sotto_conduct_drop(&o->conduct);
	let_go(o);
}

void sotto_serve_one_abandon(struct sotto_serve_one *o)
{
	if (o->state != SOTTO_SERVE_HANDED)
		sotto_conduct_abandon(&o->conduct);
	let_go(o);
}

static void on_done(void *arg, bool orderly)
{
	struct sotto_serve_one *o = arg;

	o->in->exit_code = orderly ? 0 : 1;
	if (o->state == SOTTO_SERVE_UNDER_WAY)
		sotto_ready_tell(o->starter, SOTTO_SERVE_OVER);
	let_go(o);
}

/* ---- what is acted upon out of the loop ---- */

static void leave_loop(struct sotto_serve_one *o, bool held)
{
	o->held = held;
	o->in->pending = o;
	(void)event_base_loopbreak(o->in->base);
}

static void on_held(void *arg)
{
	leave_loop(arg, true);
}

static void on_opaque(void *arg)
{
	leave_loop(arg, false);
}

void sotto_serve_one_pass(struct sotto_serve_one *o)
{
	sotto_conduct_let_go(&o->conduct);
	o->state = SOTTO_SERVE_PASSING;
	sotto_ready_tell(o->starter, SOTTO_SERVE_PASS);
}

void sotto_serve_one_kept(struct sotto_serve_one *o)
{
	sotto_ready_tell(o->starter, SOTTO_SERVE_KEPT);
	sotto_serve_one_abandon(o);
}

void sotto_serve_one_become(struct sotto_serve_one *o)
{
	sotto_conduct_list(&o->conduct);
	sotto_conduct_adopt(&o->conduct, LOG_MS);
	sotto_conduct_exchange(&o->conduct);
}

void sotto_serve_one_refuse(struct sotto_serve_one *o)
{
	sotto_conduct_no_exchange(&o->conduct);
}

/* ---- the beginning ---- */

/* The octets of the message, and both descriptors; -1: it is not as it should be. A descriptor too many is never opened. */
static ssize_t receive(int from, char octets[SOTTO_SERVE_OCTETS], int fds[HANDED])
{
	union { struct cmsghdr head; char octets[CMSG_SPACE(HANDED * sizeof(int))]; } control;
	struct iovec io = { .iov_base = octets, .iov_len = SOTTO_SERVE_OCTETS };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(from, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -1;
	if (c->cmsg_len == CMSG_LEN(HANDED * sizeof(int)))
		memcpy(fds, CMSG_DATA(c), HANDED * sizeof(int));
	else if (c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fds, CMSG_DATA(c), sizeof(int));
	return fds[1] >= 0 && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && octets[n - 1] == '\0' ? n : -1;
}

static bool find_ends(struct sotto_serve_one *o, const int fds[HANDED])
{
	struct sotto_options options = o->in->words.options;
	char err[512];

	options.net = fds[0];
	options.mta = fds[1];
	return sotto_ends_find(&o->ends, &options, err, sizeof(err)) == 0;
}

static void prepare(struct sotto_serve_one *o, pid_t pid)
{
	const struct sotto_serve_words *w = &o->in->words;
	const struct sotto_options *s = &w->options;

	o->conduct.config = (struct sotto_conduct_config){
		.role = SOTTO_ACCEPT, .peer = o->ends.peer, .peer_len = o->ends.peer_len, .local = o->ends.local, .host = s->peer,
		.domain = s->domain, .require = s->require, .keep_starttls = s->keep_starttls, .pid = pid, .lists_later = true, .counted = sotto_serve_count,
		.conf = &w->conf, .conf_broken = w->conf_broken, .conf_dir = w->conf_dir, .state = s->state, .run = s->run,
		.adapter = s->adapter, .held = on_held, .opaque = on_opaque, .done = on_done, .arg = o,
	};
	sotto_conduct_prepare(&o->conduct);
}

static void take_message(struct sotto_serve_one *o)
{
	const struct timeval patience = { .tv_sec = GO_MS / 1000 };
	char octets[SOTTO_SERVE_OCTETS];
	int fds[HANDED] = { -1, -1 };
	pid_t pid = 0;
	ssize_t n = sotto_peer_is_ours(o->starter, &pid) ? receive(o->starter, octets, fds) : -1;
	enum sotto_serve_read read = n > 0 ? sotto_serve_words(&o->in->words, octets, (size_t)n) : SOTTO_SERVE_WRONG;
	bool good = read == SOTTO_SERVE_GOOD && find_ends(o, fds);

	o->ends.net = fds[0];
	o->ends.mta = fds[1];
	if (read == SOTTO_SERVE_OTHERS)
		sotto_serve_end(o->in);
	if (!good) {
		decline(o);
		return;
	}
	prepare(o, pid);
	o->state = SOTTO_SERVE_READY;
	sotto_ready_tell(o->starter, SOTTO_READY);
	if (event_add(o->event, &patience) != 0)
		decline(o);
}

static void on_list(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_serve_one *o = arg;

	(void)fd;
	(void)what;
	sotto_conduct_list(&o->conduct);
}

static void start(struct sotto_serve_one *o)
{
	const struct timeval soon = { .tv_usec = LIST_MS * 1000 };

	if (sotto_conduct_start(&o->conduct, o->in->base, o->ends.net, o->ends.mta, NULL, 0) != 0) {
		let_go(o);	/* as if we had been killed: 421 */
		return;
	}
	o->ends.net = o->ends.mta = -1;
	o->state = SOTTO_SERVE_UNDER_WAY;
	o->list = evtimer_new(o->in->base, on_list, o);
	if (o->list != NULL)
		(void)event_add(o->list, &soon);
	(void)event_del(o->event);	/* its time-out */
	if (event_add(o->event, NULL) != 0)
		sotto_conduct_stop(&o->conduct);
}

static void take_go(struct sotto_serve_one *o)
{
	char octet = 0;

	if (recv(o->starter, &octet, 1, MSG_DONTWAIT) == 1 && octet == SOTTO_READY)
		start(o);
	else
		decline(o);
}

/* Killed before it could say anything, it ended both connections with it. */
static void take_passed(struct sotto_serve_one *o)
{
	struct sotto_serve_passed p = { 0 };

	if (recv(o->starter, &p, sizeof(p), MSG_DONTWAIT) != sizeof(p))
		p = (struct sotto_serve_passed){ 0 };
	sotto_conduct_passed(&o->conduct, p.sent, p.received, p.orderly == 1);
}

static void on_starter(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_serve_one *o = arg;

	(void)fd;
	if ((what & EV_TIMEOUT) != 0)
		decline(o);
	else if (o->state == SOTTO_SERVE_HANDED)
		take_message(o);
	else if (o->state == SOTTO_SERVE_READY)
		take_go(o);
	else if (o->state == SOTTO_SERVE_PASSING)
		take_passed(o);
	else
		sotto_conduct_stop(&o->conduct);
}

void sotto_serve_one(struct sotto_serve *v, int starter)
{
	const struct timeval patience = { .tv_sec = HAND_OVER_MS / 1000 };
	struct sotto_serve_one *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		close(starter);
		return;
	}
	*o = (struct sotto_serve_one){ .in = v, .next = v->all, .back = &v->all, .starter = starter, .ends = { .net = -1, .mta = -1 } };
	if (v->all != NULL)
		v->all->back = &o->next;
	v->all = o;
	v->n++;
	o->event = event_new(v->base, starter, EV_READ | EV_PERSIST, on_starter, o);
	if (o->event == NULL || event_add(o->event, &patience) != 0)
		decline(o);
}
