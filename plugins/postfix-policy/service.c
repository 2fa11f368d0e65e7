/* SPDX-License-Identifier: ISC */
/* Unix stream services (service.h), on libevent's buffers. Bounded: a client that does not read its answers is not read from either. */
#include "plugins/postfix-policy/service.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OUTPUT 65536	/* octets of answers that wait to be read, and a request's more */
#define BACKLOG 512

struct client {
	struct sotto_service *service;
	struct client *next, **back;
	struct bufferevent *io;
	bool last;		/* what is still to be written is all */
};

struct sotto_service {
	sotto_service_answer *answer;
	void *arg;
	struct event_base *base;
	struct event *accepting;
	struct client *all;
	unsigned n;
	int fd;
};

static void drop(struct client *c)
{
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	c->service->n--;
	bufferevent_free(c->io);
	free(c);
}

/* The last answer of all; without one, the end at once. */
static void end(struct client *c)
{
	(void)bufferevent_disable(c->io, EV_READ);
	c->last = true;
	if (evbuffer_get_length(bufferevent_get_output(c->io)) == 0)
		drop(c);
}

/* One request; false: there is none that is whole, or c is gone. */
static bool answer_one(struct client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->io);
	size_t n = evbuffer_get_length(in), reply_len = 0;
	char reply[SOTTO_SERVICE_REPLY];
	const char *octets = n == 0 ? NULL : (const char *)evbuffer_pullup(in, -1);
	long took = octets == NULL ? 0 : c->service->answer(c->service->arg, octets, n, reply, &reply_len);

	if (reply_len > 0 && bufferevent_write(c->io, reply, reply_len) != 0)
		took = -1;
	if (took < 0)
		end(c);
	else if (took > 0)
		(void)evbuffer_drain(in, (size_t)took);
	return took > 0;
}

static bool is_full(const struct client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->io)) >= OUTPUT;
}

static void on_read(struct bufferevent *io, void *arg)
{
	struct client *c = arg;

	(void)io;
	while (!is_full(c))
		if (!answer_one(c))
			return;
	(void)bufferevent_disable(c->io, EV_READ);
}

/* All has been written: there is room for more, or it was the last. */
static void on_written(struct bufferevent *io, void *arg)
{
	struct client *c = arg;

	if (c->last) {
		drop(c);
		return;
	}
	if (bufferevent_enable(io, EV_READ) == 0)
		on_read(io, c);
}

static void on_event(struct bufferevent *io, short what, void *arg)
{
	(void)io;
	(void)what;
	drop(arg);
}

static void add(struct sotto_service *s, int fd)
{
	struct client *c = s->n < SOTTO_SERVICE_CLIENTS ? calloc(1, sizeof(*c)) : NULL;

	if (c != NULL)
		c->io = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c == NULL || c->io == NULL) {
		free(c);
		close(fd);
		return;
	}
	c->service = s;
	c->next = s->all;
	c->back = &s->all;
	if (s->all != NULL)
		s->all->back = &c->next;
	s->all = c;
	s->n++;
	bufferevent_setcb(c->io, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->io, EV_READ, 0, SOTTO_SERVICE_REQUEST);
	if (bufferevent_enable(c->io, EV_READ) != 0)
		drop(c);
}

static void on_accept(evutil_socket_t listening, short what, void *arg)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	/* without a descriptor left the client waits, and fails open by itself */
	if (fd >= 0)
		add(arg, fd);
}

int sotto_service_listen(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s", path), fd;

	if (n < 0 || (size_t)n >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 && chmod(path, 0600) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A socket that is there only once it is ours: made aside, and renamed. -1 with errno. */
static int listen_at(const char *path)
{
	char aside[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
	int n = snprintf(aside, sizeof(aside), "%s.new", path), fd;

	if (n < 0 || (size_t)n >= sizeof(aside)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = sotto_service_listen(aside);
	if (fd < 0 || rename(aside, path) == 0)
		return fd;
	close(fd);
	return -1;
}

struct sotto_service *sotto_service_open(struct event_base *base, const char *path, sotto_service_answer *answer, void *arg, char *err,
					 size_t len)
{
	struct sotto_service *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		(void)snprintf(err, len, "no memory");
		return NULL;
	}
	*s = (struct sotto_service){ .answer = answer, .arg = arg, .base = base, .fd = listen_at(path) };
	if (s->fd >= 0)
		s->accepting = event_new(base, s->fd, EV_READ | EV_PERSIST, on_accept, s);
	if (s->accepting != NULL && event_add(s->accepting, NULL) == 0)
		return s;
	(void)snprintf(err, len, "%s: cannot listen there: %s", path, strerror(errno));
	sotto_service_close(s);
	return NULL;
}

void sotto_service_close(struct sotto_service *s)
{
	struct client *next;

	if (s == NULL)
		return;
	for (struct client *c = s->all; c != NULL; c = next) {
		next = c->next;
		drop(c);
	}
	if (s->accepting != NULL)
		event_free(s->accepting);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
