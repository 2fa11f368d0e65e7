/* SPDX-License-Identifier: ISC */
/*
 * Octets a second through two relays, as a message goes: our mail server, a loopback TCP pair as the adapter for Exim makes it, one
 * relay, loopback TCP for the wire, the other relay, such a pair, their mail server. In the same place and in turns: two plain relays;
 * two sotto-sessions of which one offers nothing, so that both pass octets through; two sotto-sessions, sealed.
 *
 * Three figures of each. Octets a second on the clock: depends on how many cores the four of them (two relays, two ends) get. Octets a
 * second of CPU of the slower of both relays: what a pair does where each has a core. Octets a second of all CPU together, both ends
 * included: what a machine does whose cores are all busy.
 *
 * What the AEAD alone allows is the slower of seal and open, as octets a second of CPU: the two work at the same time, each in its own
 * process. So it is the second figure that is held against it.
 *
 *      relay [ROUNDS [MIB]]
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/aead.h"
#include "tests/bench/bench.h"

enum kind { PLAIN, PASS, SEALED, KINDS };
static const char *const kind_names[] = { "plain", "pass", "sealed" };

struct way {
	int client, server;	/* what our mail server and theirs hold */
	pid_t relay[2];		/* beside the client, beside the server */
};

static size_t octets;		/* to be carried each time */

static pid_t start_plain(int net, int mta)
{
	static const char *const words[] = { "build/bench/plain-relay", NULL };

	return bench_start((const int[]){ net, mta, -1 }, words);
}

/* f[0]: as installed; f[1]: mode = off */
static void start(struct way *w, const struct bench_folder f[2], enum kind kind)
{
	int wire[2], client[2], server[2];

	bench_tcp_pair(wire);
	bench_tcp_pair(client);
	bench_tcp_pair(server);
	if (kind == PLAIN) {
		w->relay[0] = start_plain(wire[0], client[1]);
		w->relay[1] = start_plain(wire[1], server[1]);
	} else {
		w->relay[0] = bench_session(&f[0], "connect", wire[0], client[1], -1);
		w->relay[1] = bench_session(&f[kind == PASS], "accept", wire[1], server[1], -1);
	}
	w->client = client[0];
	w->server = server[0];
	close(wire[0]);
	close(wire[1]);
	close(client[1]);
	close(server[1]);
}

static void *pour(void *arg)
{
	static const char block[65536] = { 'x' };
	int fd = *(const int *)arg;

	for (size_t left = octets; left > 0;) {
		ssize_t n = send(fd, block, left < sizeof(block) ? left : sizeof(block), MSG_NOSIGNAL);

		MUST(n > 0);
		left -= (size_t)n;
	}
	MUST(shutdown(fd, SHUT_WR) == 0);
	return NULL;
}

static void drain(int fd)
{
	static char block[262144];
	size_t got = 0;
	ssize_t n;

	while ((n = recv(fd, block, sizeof(block), 0)) > 0)
		got += (size_t)n;
	MUST(n == 0 && got == octets);
}

struct figures {
	double clock, cpu, all;
};

static struct figures measure(const struct bench_folder f[2], enum kind kind)
{
	struct way w;
	struct figures got;
	pthread_t pouring;
	double from, ends, used[2];

	start(&w, f, kind);
	bench_greet(w.client, w.server);
	ends = bench_process_cpu();
	from = bench_wall();
	MUST(pthread_create(&pouring, NULL, pour, &w.client) == 0);
	drain(w.server);
	got.clock = (double)octets / (bench_wall() - from);
	MUST(pthread_join(pouring, NULL) == 0);
	ends = bench_process_cpu() - ends;
	close(w.server);
	close(w.client);
	for (unsigned i = 0; i < 2; i++)
		used[i] = bench_end(w.relay[i]);
	got.cpu = (double)octets / (used[0] > used[1] ? used[0] : used[1]);
	got.all = (double)octets / (used[0] + used[1] + ends);
	return got;
}

static void say(const char *kind, const char *figure, double *figures, unsigned n)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "relay.%s.%s", kind, figure);
	bench_say(name, bench_median(figures, n));
}

int main(int argc, char **argv)
{
	unsigned rounds = bench_number(argc, argv, 1, 5);
	double *clock[KINDS], *cpu[KINDS], *all[KINDS];
	double *seal = calloc(rounds, sizeof(double)), *open = calloc(rounds, sizeof(double)), *of_aead = calloc(rounds, sizeof(double));
	struct bench_folder f[2];

	octets = (size_t)bench_number(argc, argv, 2, 256) << 20;
	bench_folder_begin(&f[0], "opportunistic");
	bench_folder_begin(&f[1], "off");
	for (unsigned kind = 0; kind < KINDS; kind++) {
		clock[kind] = calloc(rounds, sizeof(double));
		cpu[kind] = calloc(rounds, sizeof(double));
		all[kind] = calloc(rounds, sizeof(double));
	}
	for (unsigned round = 0; round < rounds; round++) {
		struct bench_aead aead = bench_aead();

		seal[round] = aead.seal;
		open[round] = aead.open;
		for (unsigned kind = 0; kind < KINDS; kind++) {
			struct figures got = measure(f, (enum kind)kind);

			clock[kind][round] = got.clock;
			cpu[kind][round] = got.cpu;
			all[kind][round] = got.all;
			if (kind == SEALED)
				of_aead[round] = got.cpu / (aead.seal < aead.open ? aead.seal : aead.open);
		}
	}
	for (unsigned kind = 0; kind < KINDS; kind++) {
		say(kind_names[kind], "clock_octets_s", clock[kind], rounds);
		say(kind_names[kind], "cpu_octets_s", cpu[kind], rounds);
		say(kind_names[kind], "all_octets_s", all[kind], rounds);
	}
	bench_say("aead.seal_octets_s", bench_median(seal, rounds));
	bench_say("relay.sealed.of_aead", bench_median(of_aead, rounds));
	bench_say("aead.open_octets_s", bench_median(open, rounds));
	bench_folder_end(&f[0]);
	bench_folder_end(&f[1]);
	return 0;
}
