/* SPDX-License-Identifier: ISC */
/*
 * What any socketmap server costs: one that answers NOTFOUND to whatever it is asked, poll(2), recv(2) and send(2), nothing else.
 * Says "ready" once it listens, and ends with its standard input.
 *
 *      notfound SOCKET
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define CLIENTS 64

static const char answer[] = "9:NOTFOUND ,";
static struct pollfd at[2 + CLIENTS];	/* standard input, the listener, clients */
static nfds_t n = 2;

static void take_one(void)
{
	int fd = accept(at[1].fd, NULL, NULL);

	MUST(fd >= 0 && n < 2 + CLIENTS);
	at[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

/* A request is one write of the client's, and ends with the only comma in it. */
static void answer_one(nfds_t i)
{
	char octets[4096];
	ssize_t got = recv(at[i].fd, octets, sizeof(octets), 0);

	if (got <= 0) {
		close(at[i].fd);
		at[i] = at[--n];
		return;
	}
	for (ssize_t k = 0; k < got; k++)
		if (octets[k] == ',')
			MUST(send(at[i].fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(answer) - 1);
}

int main(int argc, char **argv)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };

	MUST(argc == 2 && strlen(argv[1]) < sizeof(own.sun_path));
	memcpy(own.sun_path, argv[1], strlen(argv[1]));
	at[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	at[1] = (struct pollfd){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), .events = POLLIN };
	MUST(bind(at[1].fd, (struct sockaddr *)&own, sizeof(own)) == 0 && listen(at[1].fd, 64) == 0);
	puts("ready");
	(void)fflush(stdout);
	while (at[0].revents == 0) {
		MUST(poll(at, n, -1) > 0);
		for (nfds_t i = n; i-- > 2;)
			if (at[i].revents != 0)
				answer_one(i);
		if (at[1].revents != 0)
			take_one();
	}
	return 0;
}
