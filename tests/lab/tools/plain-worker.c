/* SPDX-License-Identifier: ISC */
/*
 * A plain relay in the place of sotto-worker: takes filter-sotto's listeners (keeper.h), passes octets between each connection and smtpd's inner
 * listener with a PROXY v2 header before them, and answers filter-sotto at once. Of XSOTTO it knows nothing. The lab kills it as it kills the worker.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/log.h"
#include "core/runtime/proxy.h"

#define BACKEND_PORT 10025
#define BACKEND "127.0.0.25"	/* smtpd.conf of the lab */
#define REQUEST_FIELDS 5	/* before SESSION|TOKEN: kind, version, time, side, phase */

struct relayed {
	struct bufferevent *ends[2];
	bool over;
};

static struct event_base *base;

static struct bufferevent *other(const struct relayed *r, const struct bufferevent *one)
{
	return r->ends[r->ends[0] == one ? 1 : 0];
}

static void end(struct relayed *r)
{
	bufferevent_free(r->ends[0]);
	bufferevent_free(r->ends[1]);
	free(r);
}

static void on_read(struct bufferevent *one, void *arg)
{
	(void)bufferevent_write_buffer(other(arg, one), bufferevent_get_input(one));
}

static void on_written(struct bufferevent *one, void *arg)
{
	struct relayed *r = arg;

	(void)one;
	if (r->over)
		end(r);
}

/* What has come still goes to the other side. */
static void on_event(struct bufferevent *one, short what, void *arg)
{
	struct relayed *r = arg;

	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
		return;
	if (r->over || evbuffer_get_length(bufferevent_get_output(other(r, one))) == 0) {
		end(r);
		return;
	}
	r->over = true;
	(void)bufferevent_disable(one, EV_READ | EV_WRITE);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int from_len, void *arg)
{
	struct sockaddr_in backend = { .sin_family = AF_INET, .sin_port = htons(BACKEND_PORT), .sin_addr.s_addr = inet_addr(BACKEND) };
	struct sockaddr_storage peer = { 0 }, local = { 0 };
	socklen_t len = sizeof(local);
	uint8_t header[SOTTO_PROXY_MAX];
	struct relayed *r = calloc(1, sizeof(*r));

	(void)listener;
	(void)arg;
	memcpy(&peer, from, (size_t)from_len);
	if (r == NULL || getsockname(fd, (struct sockaddr *)&local, &len) != 0)
		abort();
	sotto_addr_plain(&peer);
	sotto_addr_plain(&local);
	r->ends[0] = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	r->ends[1] = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	for (int i = 0; i < 2; i++) {
		if (r->ends[i] == NULL)
			abort();
		bufferevent_setcb(r->ends[i], on_read, on_written, on_event, r);
		(void)bufferevent_enable(r->ends[i], EV_READ | EV_WRITE);
	}
	(void)bufferevent_write(r->ends[1], header, sotto_proxy_header(header, &peer, &local));
	if (bufferevent_socket_connect(r->ends[1], (struct sockaddr *)&backend, sizeof(backend)) != 0)
		abort();
}

/* filter|…|SESSION|TOKEN|…: "SESSION|TOKEN", which lets it go on. */
static void on_told(evutil_socket_t fd, short what, void *arg)
{
	char line[4096], *at = line;
	ssize_t n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
	size_t len;

	(void)what;
	(void)arg;
	if (n == 0)
		_exit(0);
	if (n < 0)
		return;
	line[n] = '\0';
	if (strncmp(line, "filter|", 7) != 0)
		return;
	for (int i = 0; i < REQUEST_FIELDS && at != NULL; i++)
		at = (at = strchr(at, '|')) != NULL ? at + 1 : NULL;
	if (at == NULL || (len = strcspn(at, "|")) == strlen(at))
		return;
	len += 1 + strcspn(at + len + 1, "|");
	(void)send(fd, at, len, MSG_NOSIGNAL);
}

/* --talk N --in N…; what else there is is the worker's. */
int main(int argc, char **argv)
{
	int talk = -1;

	(void)signal(SIGPIPE, SIG_IGN);
	sotto_log_open("sotto-session", false);
	base = event_base_new();
	if (base == NULL)
		return 1;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--talk") == 0)
			talk = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--in") == 0 && evconnlistener_new(base, on_accept, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, atoi(argv[i + 1])) == NULL)
			return 1;
	}
	if (event_add(event_new(base, talk, EV_READ | EV_PERSIST, on_told, NULL), NULL) != 0 || send(talk, "ready", 5, MSG_NOSIGNAL) != 5)
		return 1;
	sotto_log(LOG_INFO, "connections are taken: by a plain relay");
	return event_base_dispatch(base);
}
