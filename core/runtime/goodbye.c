/* SPDX-License-Identifier: ISC */
/* Ends a connection with a reply (goodbye.h). Called by sotto-session's main; reads for nobody. */
#include "core/runtime/goodbye.h"
#include "core/runtime/deadline.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GOODBYE_MS 5000		/* for the other end to read a last line, however much it says meanwhile */

void sotto_goodbye(int fd, const char *text)
{
	int64_t deadline = sotto_now_ms() + GOODBYE_MS;
	char scratch[1024];

	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	while (sotto_wait_fd(fd, POLLIN, deadline) == 0 && recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT) > 0)
		;
	(void)close(fd);
}
