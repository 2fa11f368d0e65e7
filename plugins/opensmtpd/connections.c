/* SPDX-License-Identifier: ISC */
/* Takes connections from the listeners, and sees them to their ends (worker.h). Called by worker.c; what becomes of one is inbound.c's and outbound.c's. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/descriptors.h"
#include "core/runtime/dial.h"
#include "core/runtime/log.h"
#include "plugins/opensmtpd/known.h"
#include "plugins/opensmtpd/worker.h"

#define AT_ONCE 32
#define PAUSE_MS 100		/* without descriptors left: connections wait in the kernel's queue meanwhile */
#define GOODBYE_MS 5000		/* for a last line to be read */
#define OWN_DESCRIPTORS 64	/* listeners, the loop, DNS, who is asked what they offer */
#define DESCRIPTORS 8		/* that a session may need: both ends, two pipes, its live file, and one for a moment */

/* ---- one ---- */

struct sotto_one *sotto_one_new(struct sotto_worker *w, int fd)
{
	struct sotto_one *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		close(fd);
		return NULL;
	}
	o->w = w;
	o->net = o->mta = -1;
	o->next = w->all;
	o->back = &w->all;
	if (w->all != NULL)
		w->all->back = &o->next;
	w->all = o;
	w->n++;
	return o;
}

static void accept_again(struct sotto_worker *w)
{
	for (unsigned i = 0; i <= SOTTO_LISTENERS_MAX; i++)
		if (w->accepting[i] != NULL)
			(void)event_add(w->accepting[i], NULL);
}

void sotto_one_free(struct sotto_one *o)
{
	struct sotto_worker *w = o->w;

	*o->back = o->next;
	if (o->next != NULL)
		o->next->back = o->back;
	sotto_dial_cancel(o->dial);
	if (o->event != NULL)
		event_free(o->event);
	if (o->net >= 0)
		close(o->net);
	if (o->mta >= 0)
		close(o->mta);
	free(o);
	if (w->n-- == w->max)
		accept_again(w);
	if (w->ending && w->n == 0)
		(void)event_base_loopbreak(w->base);
}

/* ---- the last line of one that comes to nothing ---- */

static void on_farewell(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_one *o = arg;
	char scratch[1024];
	ssize_t n;

	do
		n = recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	/* one that goes on talking has had its time all the same */
	if ((what & EV_TIMEOUT) != 0 || n == 0 || errno != EAGAIN || sotto_left_ms(o->deadline) == 0)
		sotto_one_free(o);
}

void sotto_one_goodbye(struct sotto_one *o, int fd, const char *text)
{
	const struct timeval patience = { .tv_sec = GOODBYE_MS / 1000 };

	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	if (o->event != NULL)
		event_free(o->event);
	o->deadline = sotto_now_ms() + GOODBYE_MS;
	o->event = event_new(o->w->base, fd, EV_READ | EV_PERSIST, on_farewell, o);
	if (o->event == NULL || event_add(o->event, &patience) != 0)
		sotto_one_free(o);
}

/* ---- what both directions have in common ---- */

static void on_done(void *arg, bool orderly)
{
	struct sotto_one *o = arg;

	(void)orderly;
	o->net = o->mta = -1;
	if (o->domain[0] != '\0')
		sotto_known_learn(o->w, o->domain, o->conduct.learnt);
	sotto_one_free(o);
}

void sotto_one_describe(struct sotto_one *o, enum sotto_role role)
{
	struct sotto_worker *w = o->w;
	struct sotto_conduct_config *c = &o->conduct.config;

	c->role = role;
	c->state = w->state;
	c->run = w->run;
	c->identity = w->identity;
	c->adapter = "opensmtpd";
	c->conf = &o->conf;
	c->conf_dir = w->conf_dir;
	sotto_conduct_conf(&o->conf, &c->conf_broken, w->conf_dir, sizeof(w->conf_dir), w->conf_path, w->state);
	c->done = on_done;
	c->arg = o;
}

/* ---- the listeners ---- */

static void stop_accepting(const struct sotto_worker *w)
{
	for (unsigned i = 0; i <= SOTTO_LISTENERS_MAX; i++)
		if (w->accepting[i] != NULL)
			(void)event_del(w->accepting[i]);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accept_again(arg);
}

static void pause_accepting(struct sotto_worker *w)
{
	const struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };

	sotto_log_limited(w->state, "accept-limit", LOG_ERR, "no connection can be taken: %s", strerror(errno));
	if (event_add(w->again, &pause) == 0)
		stop_accepting(w);
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
	struct sotto_worker *w = arg;

	(void)what;
	sotto_worker_look(w);
	for (unsigned i = 0; i < AT_ONCE && !w->ending; i++) {
		int fd;

		if (w->n >= w->max) {
			stop_accepting(w);	/* the next one that ends lets them in */
			return;
		}
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
			pause_accepting(w);
		if (fd < 0)
			return;
		if (listening == w->hop)
			sotto_outbound(w, fd);
		else
			sotto_inbound(w, fd);
	}
}

/* As many as the system lets us have. Not one: -1, and others pass connections on, who need fewer. */
static int find_limit(struct sotto_worker *w)
{
	rlim_t files = sotto_descriptors(RLIM_INFINITY);

	if (files > 200000)
		files = 200000;
	w->max = files < OWN_DESCRIPTORS ? 0 : ((unsigned)files - OWN_DESCRIPTORS) / DESCRIPTORS;
	errno = EMFILE;
	return w->max > 0 ? 0 : -1;
}

int sotto_connections_open(struct sotto_worker *w)
{
	unsigned n = 0;

	if (find_limit(w) != 0)
		return -1;
	w->again = evtimer_new(w->base, on_again, w);
	for (unsigned i = 0; i < w->n_in; i++)
		w->accepting[n++] = event_new(w->base, w->in[i], EV_READ | EV_PERSIST, on_accept, w);
	if (w->hop >= 0)
		w->accepting[n++] = event_new(w->base, w->hop, EV_READ | EV_PERSIST, on_accept, w);
	for (unsigned i = 0; i < n; i++)
		if (w->accepting[i] == NULL || event_add(w->accepting[i], NULL) != 0)
			return -1;
	return w->again != NULL ? 0 : -1;
}

void sotto_connections_end(struct sotto_worker *w)
{
	w->ending = true;
	for (unsigned i = 0; i <= SOTTO_LISTENERS_MAX; i++)
		if (w->accepting[i] != NULL) {
			evutil_socket_t fd = event_get_fd(w->accepting[i]);

			event_free(w->accepting[i]);
			w->accepting[i] = NULL;
			close(fd);
		}
	if (w->again != NULL)
		event_free(w->again);
	w->again = NULL;
	if (w->n == 0)
		(void)event_base_loopbreak(w->base);
}
