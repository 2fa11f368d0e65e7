/* SPDX-License-Identifier: ISC */
/* Opens filter-sotto's listening sockets (listeners.h). Called by its main; takes no connection. */
#include "plugins/opensmtpd/listeners.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/hop.h"
#include "core/runtime/log.h"

void sotto_listeners_default(struct sotto_listeners *l)
{
	if (l->n == 0 && (sotto_listeners_add(l, "0.0.0.0:25") != 0 || sotto_listeners_add(l, "[::]:25") != 0))
		abort();	/* both are addresses */
}

static bool read_port(uint16_t *out, const char *text)
{
	unsigned port = 0;

	for (; *text >= '0' && *text <= '9' && port < 65536; text++)
		port = port * 10 + (unsigned)(*text - '0');
	*out = (uint16_t)port;
	return *text == '\0' && port > 0 && port < 65536;
}

int sotto_listeners_address(struct sockaddr_storage *out, socklen_t *len, const char *text)
{
	char address[SOTTO_ADDR_TEXT];
	const char *colon = strrchr(text, ':');
	bool six = text[0] == '[' && colon != NULL && colon > text + 2 && colon[-1] == ']';
	size_t n = colon == NULL ? 0 : (size_t)(colon - text) - (six ? 2 : 0);
	uint16_t port;

	if (n == 0 || n >= sizeof(address) || !read_port(&port, colon + 1))
		return -1;
	memcpy(address, text + (six ? 1 : 0), n);
	address[n] = '\0';
	if (sotto_addr_read(out, address, port) != 0 || six != (out->ss_family == AF_INET6))
		return -1;
	*len = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	return 0;
}

int sotto_listeners_add(struct sotto_listeners *l, const char *text)
{
	struct sotto_listener *one = &l->at[l->n];

	if (l->n == SOTTO_LISTENERS_MAX || sotto_listeners_address(&one->address, &one->len, text) != 0)
		return -1;
	one->text = text;
	one->fd = -1;
	l->n++;
	return 0;
}

/* A descriptor, or -1 with errno. An address that is not there yet may be bound to all the same (smtpd may start before the network). */
static int bind_to(const struct sotto_listener *one)
{
	int fd = socket(one->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, error;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (one->address.ss_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
	    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) == 0 && bind(fd, (const struct sockaddr *)&one->address, one->len) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static bool open_one(struct sotto_listener *one, bool tell)
{
	int fd = bind_to(one);

	if (fd >= 0 && listen(fd, SOMAXCONN) == 0) {
		one->fd = fd;
		return true;
	}
	if (tell)
		sotto_log(LOG_ERR, "cannot listen on %s: %s; trying again%s", one->text, strerror(errno),
			  errno == EACCES ? " (the file needs the capability cap_net_bind_service; see opensmtpd-sotto(7))" : "");
	if (fd >= 0)
		close(fd);
	return false;
}

bool sotto_listeners_open(struct sotto_listeners *l)
{
	bool all = true;
	char err[512];

	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].fd < 0 && !open_one(&l->at[i], !l->told))
			all = false;
	if (l->hop_port != 0 && l->hop < 0) {
		l->hop = sotto_hop_listen(l->hop_port, err, sizeof(err));
		all = all && l->hop >= 0;
		if (l->hop < 0 && !l->told)
			sotto_log(LOG_ERR, "%s; trying again", err);
	}
	if (all && l->told)
		sotto_log(LOG_NOTICE, "listening on all that was to be listened on");
	l->told = !all;
	return all;
}

void sotto_listeners_end(const struct sotto_listeners *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->at[i].fd >= 0)
			(void)shutdown(l->at[i].fd, SHUT_RDWR);
	if (l->hop >= 0)
		(void)shutdown(l->hop, SHUT_RDWR);
}

int sotto_listeners_check(const struct sotto_listeners *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		int fd = bind_to(&l->at[i]);

		if (fd >= 0) {
			close(fd);
		} else if (errno != EADDRINUSE) {	/* smtpd itself has it still: we could, as the kernel looks at rights first */
			(void)fprintf(stderr, "filter-sotto: cannot listen on %s: %s\n", l->at[i].text, strerror(errno));
			return -1;
		}
	}
	return 0;
}
