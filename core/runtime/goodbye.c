/* SPDX-License-Identifier: ISC */
/* Ends a connection with a reply (goodbye.h). Called by sotto-session's main; reads for nobody. */
#include "core/runtime/goodbye.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GOODBYE_MS 5000		/* for the other end to read a last line, however much it says meanwhile */

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sotto_goodbye(int fd, const char *text)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end = now_ms() + GOODBYE_MS, left = GOODBYE_MS;
	char scratch[1024];

	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	while (left > 0 && poll(&p, 1, (int)left) > 0 && recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT) > 0)
		left = end - now_ms();
	(void)close(fd);
}
