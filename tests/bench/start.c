/* SPDX-License-Identifier: ISC */
/*
 * From fork to the ready octet: sotto-session as the adapter for Exim starts it, with its conf, its state and an identity key, and
 * the empty program beside it, in turns.
 *
 *      start [ROUNDS]
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum kind { EMPTY, ACCEPT, CONNECT, KINDS };
static const char *const figure_names[] = { "start.empty_us", "start.accept_us", "start.connect_us" };

/* Microseconds. The program is told nothing: it ends at the end of its descriptor, having touched no other. */
static double time_one(const struct bench_folder *f, enum kind kind, int net, int mta)
{
	static const char *const empty[] = { "build/bench/empty", NULL };
	int ready[2];
	double from, to;
	char octet;
	pid_t pid;

	bench_unix_pair(ready);
	from = bench_wall();
	if (kind == EMPTY)
		pid = bench_start((const int[]){ net, mta, ready[1], -1 }, empty);
	else
		pid = bench_session(f, kind == ACCEPT ? "accept" : "connect", net, mta, ready[1]);
	close(ready[1]);
	MUST(recv(ready[0], &octet, 1, 0) == 1 && octet == '!');
	to = bench_wall();
	close(ready[0]);
	(void)bench_end(pid);
	return (to - from) * 1e6;
}

int main(int argc, char **argv)
{
	unsigned rounds = bench_number(argc, argv, 1, 200);
	double *figures[KINDS];
	struct bench_folder f;
	int net[2], mta[2];

	bench_folder_begin(&f, "opportunistic");
	bench_tcp_pair(net);
	bench_unix_pair(mta);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		figures[kind] = calloc(rounds, sizeof(double));
		(void)time_one(&f, (enum kind)kind, net[1], mta[1]);
	}
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned kind = 0; kind < KINDS; kind++)
			figures[kind][round] = time_one(&f, (enum kind)kind, net[1], mta[1]);
	for (unsigned kind = 0; kind < KINDS; kind++)
		bench_say(figure_names[kind], bench_median(figures[kind], rounds));
	bench_folder_end(&f);
	return 0;
}
