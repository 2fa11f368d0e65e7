/* SPDX-License-Identifier: ISC */
/* Tells systemd how sotto-policyd is (notify.h). */
#include "plugins/postfix-policy/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int to_systemd = -1;	/* kept: who is out of descriptors is alive all the same, and would be killed if it did not say so */

void sotto_notify_open(void)
{
	if (to_systemd < 0 && getenv("NOTIFY_SOCKET") != NULL)
		to_systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = path == NULL ? 0 : strlen(path);

	sotto_notify_open();
	if (n < 2 || n >= sizeof(a.sun_path) || to_systemd < 0)
		return;
	memcpy(a.sun_path, path, n);
	if (path[0] == '@')
		a.sun_path[0] = '\0';
	(void)!sendto(to_systemd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&a,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

void sotto_notify_ready(void)
{
	notify("READY=1");
}

void sotto_notify_reloading(void)
{
	char text[64];
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify(text);
}

void sotto_notify_stopping(void)
{
	notify("STOPPING=1");
}

void sotto_notify_alive(void)
{
	notify("WATCHDOG=1");
}

/* A number from 1 to most; 0 where there is none. */
static unsigned long read_number(const char *name, unsigned long most)
{
	const char *text = getenv(name);
	char *end = NULL;
	unsigned long n;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return 0;
	n = strtoul(text, &end, 10);
	return *end == '\0' && n <= most ? n : 0;
}

uint32_t sotto_notify_alive_ms(void)
{
	unsigned long us = read_number("WATCHDOG_USEC", 3600000000), ms = us / 2000;

	if (getenv("WATCHDOG_PID") != NULL && read_number("WATCHDOG_PID", INT32_MAX) != (unsigned long)getpid())
		return 0;
	return us > 0 && ms == 0 ? 1 : (uint32_t)ms;
}
