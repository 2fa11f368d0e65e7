/* SPDX-License-Identifier: ISC */
/*
 * SMTP sessions that only greet: connect, EHLO, QUIT, each command after the reply to what was before it; so many of them, so many at
 * once. Says how many there were a second, from the first connection to the end of the last.
 *
 *      sessions ADDRESS COUNT AT_ONCE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define AT_ONCE 64
#define PATIENCE_MS 60000

struct session {
	unsigned step;		/* of steps: what has been answered */
	size_t have;
	char octets[4096];
};

static const struct { const char *code, *then; } steps[] = {
	{ "220 ", "EHLO mx.c.example\r\n" }, { "250 ", "QUIT\r\n" }, { "221 ", NULL },
};
static struct sockaddr_in to = { .sin_family = AF_INET };
static struct session sessions[AT_ONCE];
static struct pollfd at[AT_ONCE];
static unsigned begun, ended;

static void begin(unsigned i)
{
	memset(&sessions[i], 0, sizeof(sessions[i]));
	at[i] = (struct pollfd){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .events = POLLIN };
	MUST(at[i].fd >= 0);
	MUST(connect(at[i].fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	begun++;
}

/* The last line of a reply is here. */
static const char *last_line(const struct session *s)
{
	const char *line = s->octets, *end;

	while ((end = strchr(line, '\n')) != NULL) {
		if (end - line > 3 && line[3] == ' ')
			return line;
		line = end + 1;
	}
	return NULL;
}

/* False at the end. */
static bool hear(struct session *s, int fd)
{
	ssize_t n = recv(fd, s->octets + s->have, sizeof(s->octets) - 1 - s->have, 0);
	const char *line;

	if (n == 0) {
		MUST(steps[s->step].then == NULL && s->have > 0);	/* it has said goodbye, and closes */
		return false;
	}
	MUST(n > 0);
	s->have += (size_t)n;
	s->octets[s->have] = '\0';
	line = last_line(s);
	if (line == NULL)
		return true;
	MUST(strncmp(line, steps[s->step].code, 4) == 0);
	if (steps[s->step].then != NULL) {
		bench_put(fd, steps[s->step++].then);
		s->have = 0;
	}
	return true;
}

int main(int argc, char **argv)
{
	unsigned count = bench_number(argc, argv, 2, 100), at_once = bench_number(argc, argv, 3, 1);
	double from = bench_wall();

	MUST(argc == 4 && at_once > 0 && at_once <= AT_ONCE && count >= at_once);
	to.sin_port = htons(25);
	MUST(inet_pton(AF_INET, argv[1], &to.sin_addr) == 1);
	for (unsigned i = 0; i < at_once; i++)
		begin(i);
	while (ended < count) {
		MUST(poll(at, at_once, PATIENCE_MS) > 0);
		for (unsigned i = 0; i < at_once; i++) {
			if (at[i].fd < 0 || at[i].revents == 0 || hear(&sessions[i], at[i].fd))
				continue;
			close(at[i].fd);
			at[i].fd = -1;
			ended++;
			if (begun < count)
				begin(i);
		}
	}
	bench_say("per_second", (double)count / (bench_wall() - from));
	return 0;
}
