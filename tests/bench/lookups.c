/* SPDX-License-Identifier: ISC */
/*
 * Lookups as Postfix makes them, at a rate that does not depend on how fast they are answered: one every 1/RATE s, down four
 * connections in turn, to one socketmap server after the other, so many milliseconds each, round by round. A lookup's time is from
 * when it is sent to when its answer is here. One in ten is for a domain that nobody ever asked for; the others are for DOMAINS domains.
 *
 *      lookups RATE ROUNDS MS DOMAINS FIRST NAME=SOCKET...
 *
 * Domains are d1.down.example and so on; those that are new begin with the number FIRST. Says "ready" when each connection has had an
 * answer, and goes on when it is told a line. Prints, for each NAME, the median over the rounds of the rounds' 50th and 99th percentiles
 * (us), the longest of all, and which part of all answers was OK, and was left out because the machine stood still meanwhile (pulse.h).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "tests/bench/bench.h"
#include "tests/bench/pulse.h"

#define CONNECTIONS 4
#define WAITING 4096	/* lookups of one connection that have no answer yet */
#define SERVERS 8
#define ROUNDS 1000
#define WARM_MS 100
#define PATIENCE 60.0	/* seconds for the last answers */

struct connection {
	int fd;
	double sent[WAITING];	/* when: those from `answered` to `asked`, modulo WAITING */
	unsigned asked, answered;
	size_t have;
	char octets[8192];
};

struct server {
	const char *name;
	struct connection c[CONNECTIONS];
	double p50[ROUNDS], p99[ROUNDS], longest;
	unsigned ok, answers, left_out;
};

static struct server servers[SERVERS];
static struct lookup { double from, to; } *lookups;	/* of one round */
static double *times;
static unsigned n_lookups, room, domains, fresh;

static int dial(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0 && strlen(path) < sizeof(to.sun_path));
	memcpy(to.sun_path, path, strlen(path));
	MUST(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

static void ask(struct connection *c, unsigned number)
{
	char key[128], request[160];
	int n;

	if (number % 10 == 0)
		n = snprintf(key, sizeof(key), "transport bert@d%u.down.example", fresh++);
	else
		n = snprintf(key, sizeof(key), "transport bert@d%u.down.example", 1 + number % domains);
	n = snprintf(request, sizeof(request), "%d:%s,", n, key);
	MUST(c->asked - c->answered < WAITING);
	c->sent[c->asked++ % WAITING] = bench_wall();
	MUST(send(c->fd, request, (size_t)n, MSG_NOSIGNAL) == n);
}

/* Octets of the answer that begins the n that are here; 0: it is not here in full. */
static size_t whole(const char *octets, size_t n)
{
	const char *colon = memchr(octets, ':', n);
	size_t all = colon == NULL ? 0 : (size_t)(colon - octets) + 2 + strtoul(octets, NULL, 10);

	return all <= n ? all : 0;
}

static void hear(struct server *s, struct connection *c)
{
	ssize_t got = recv(c->fd, c->octets + c->have, sizeof(c->octets) - 1 - c->have, MSG_DONTWAIT);
	double now = bench_wall();
	size_t n, at = 0;

	if (got < 0 && errno == EAGAIN)
		return;
	MUST(got > 0);
	c->have += (size_t)got;
	c->octets[c->have] = '\0';
	for (; (n = whole(c->octets + at, c->have - at)) > 0; at += n) {
		const char *said = strchr(c->octets + at, ':') + 1;

		MUST(c->answered != c->asked && n_lookups < room);
		MUST(strncmp(said, "OK ", 3) == 0 || strncmp(said, "NOTFOUND ", 9) == 0);
		lookups[n_lookups++] = (struct lookup){ c->sent[c->answered++ % WAITING], now };
		s->ok += said[0] == 'O';
		s->answers++;
	}
	c->have -= at;
	memmove(c->octets, c->octets + at, c->have);
}

/* Hears answers until then. */
static void hear_until(struct server *s, double then)
{
	struct pollfd p[CONNECTIONS];
	double left;

	for (unsigned i = 0; i < CONNECTIONS; i++)
		p[i] = (struct pollfd){ .fd = s->c[i].fd, .events = POLLIN };
	while ((left = then - bench_wall()) > 0) {
		struct timespec limit = { .tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9) };

		if (ppoll(p, CONNECTIONS, &limit, NULL) > 0)
			for (unsigned i = 0; i < CONNECTIONS; i++)
				if (p[i].revents != 0)
					hear(s, &s->c[i]);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Those that the machine itself did not hold up. */
static void note_round(struct server *s, unsigned round)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_lookups; i++) {
		if (pulse_missed(lookups[i].from, lookups[i].to)) {
			s->left_out++;
			continue;
		}
		times[n++] = lookups[i].to - lookups[i].from;
	}
	MUST(n > 0);
	qsort(times, n, sizeof(times[0]), by_size);
	s->p50[round] = times[n / 2];
	s->p99[round] = times[n * 99 / 100];
	s->longest = times[n - 1] > s->longest ? times[n - 1] : s->longest;
}

static void play(struct server *s, unsigned round, unsigned rate, unsigned ms)
{
	unsigned count = rate * ms / 1000;
	double begin = bench_wall();

	n_lookups = 0;
	pulse_forget();
	for (unsigned i = 0; i < count; i++) {
		hear_until(s, begin + (double)i / rate);
		ask(&s->c[i % CONNECTIONS], i + 1 + round * count);
	}
	for (double end = bench_wall() + PATIENCE; n_lookups < count;) {
		MUST(bench_wall() < end);
		hear_until(s, bench_wall() + 0.001);
	}
	note_round(s, round);
}

static void say(struct server *s, unsigned rounds)
{
	char name[128];

	(void)snprintf(name, sizeof(name), "%s.p50_us", s->name);
	bench_say(name, bench_median(s->p50, rounds) * 1e6);
	(void)snprintf(name, sizeof(name), "%s.p99_us", s->name);
	bench_say(name, bench_median(s->p99, rounds) * 1e6);
	(void)snprintf(name, sizeof(name), "%s.longest_us", s->name);
	bench_say(name, s->longest * 1e6);
	(void)snprintf(name, sizeof(name), "%s.ok", s->name);
	bench_say(name, (double)s->ok / s->answers);
	(void)snprintf(name, sizeof(name), "%s.left_out", s->name);
	bench_say(name, (double)s->left_out / s->answers);
}

static void begin(struct server *s, char *name_and_path)
{
	char *path = strchr(name_and_path, '=');

	MUST(path != NULL);
	*path++ = '\0';
	s->name = name_and_path;
	for (unsigned i = 0; i < CONNECTIONS; i++)
		s->c[i].fd = dial(path);
}

int main(int argc, char **argv)
{
	unsigned rate = bench_number(argc, argv, 1, 1000), rounds = bench_number(argc, argv, 2, 1), ms = bench_number(argc, argv, 3, 1000), n = 0;

	MUST(argc > 6 && argc - 6 <= SERVERS && rounds < ROUNDS);
	domains = bench_number(argc, argv, 4, 0);
	fresh = bench_number(argc, argv, 5, 0);
	room = rate * ms / 1000;
	times = calloc(room, sizeof(times[0]));
	lookups = calloc(room, sizeof(lookups[0]));
	MUST(times != NULL && lookups != NULL && domains > 0 && ms >= WARM_MS);
	for (; (int)n < argc - 6; n++)
		begin(&servers[n], argv[6 + n]);
	for (unsigned i = 0; i < n; i++)
		play(&servers[i], 0, rate, WARM_MS);
	bench_say("ready", n);
	MUST(getchar() == '\n');
	if (!pulse_begin())
		(void)fprintf(stderr, "lookups: this machine gives nobody SCHED_FIFO; what else it does is measured, too\n");
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < n; i++)
			play(&servers[i], round, rate, ms);
	for (unsigned i = 0; i < n; i++)
		say(&servers[i], rounds);
	return 0;
}
