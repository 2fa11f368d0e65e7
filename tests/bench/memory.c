/* SPDX-License-Identifier: ISC */
/*
 * What a session holds while it is open: private memory of its process, and the kernel's socket buffers, with many open at once, in a
 * network of its own so that nobody else's sockets are counted. Sessions come in pairs, back to back, as they do between two hosts, on
 * loopback TCP throughout. Once after a small envelope, when most sessions are idle, and once after a megabyte each way.
 *
 *      memory [SESSIONS]
 */
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define BULK 1048576

struct pair {
	int client, server;
	pid_t pid[2];
};

static void network_of_its_own(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	MUST(unshare(CLONE_NEWNET) == 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	MUST(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	close(fd);
}

/* KiB that are this process's alone. */
static double private_kib(pid_t pid)
{
	char path[64], line[256];
	double sum = 0, n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	MUST(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Private_Dirty: %lf", &n) == 1 || sscanf(line, "Private_Clean: %lf", &n) == 1)
			sum += n;
	(void)fclose(f);
	return sum;
}

/* KiB of socket buffers, of TCP. */
static double kernel_kib(void)
{
	char line[256];
	double pages = -1;
	FILE *f = fopen("/proc/net/sockstat", "r");

	MUST(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL) {
		const char *mem = strstr(line, " mem ");

		if (strncmp(line, "TCP:", 4) == 0 && mem != NULL)
			pages = strtod(mem + 5, NULL);
	}
	(void)fclose(f);
	MUST(pages >= 0);
	return pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

/* One octet stream through a pair, written and read in turns: neither side ever has much to hold. */
static void carry(int from, int to)
{
	static char block[16384];
	size_t sent = 0, got = 0;

	while (got < BULK) {
		struct pollfd p = { .fd = to, .events = POLLIN };
		ssize_t n = sent < BULK ? send(from, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

		sent += n > 0 ? (size_t)n : 0;
		MUST(poll(&p, 1, n > 0 ? 0 : 60000) >= 0);
		n = recv(to, block, sizeof(block), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	MUST(got == sent);
}

static void start(struct pair *p, const struct bench_folder *accepting, const struct bench_folder *connecting)
{
	int wire[2], client[2], server[2];

	bench_tcp_pair(wire);
	bench_tcp_pair(client);
	bench_tcp_pair(server);
	p->pid[0] = bench_session(connecting, "connect", wire[0], client[1], -1);
	p->pid[1] = bench_session(accepting, "accept", wire[1], server[1], -1);
	p->client = client[0];
	p->server = server[0];
	close(wire[0]);
	close(wire[1]);
	close(client[1]);
	close(server[1]);
}

static void look(const struct pair *pairs, unsigned n, const char *kind, const char *when)
{
	double *kib = calloc(2 * (size_t)n, sizeof(double)), most;
	char name[64];

	for (unsigned i = 0; i < 2 * n; i++)
		kib[i] = private_kib(pairs[i / 2].pid[i % 2]);
	(void)snprintf(name, sizeof(name), "memory.%s.%s.private_kib", kind, when);
	bench_say(name, bench_median(kib, 2 * (size_t)n));
	most = kib[2 * n - 1];
	(void)snprintf(name, sizeof(name), "memory.%s.%s.most_kib", kind, when);
	bench_say(name, most);
	(void)snprintf(name, sizeof(name), "memory.%s.%s.kernel_kib", kind, when);
	bench_say(name, kernel_kib() / (2.0 * n));
	free(kib);
}

/* As many sessions, all open at once. `accepting` decides whether they can be sealed. */
static void measure(unsigned n, const char *kind, const struct bench_folder *accepting, const struct bench_folder *connecting)
{
	struct pair *pairs = calloc(n, sizeof(*pairs));

	for (unsigned i = 0; i < n; i++) {
		start(&pairs[i], accepting, connecting);
		bench_greet(pairs[i].client, pairs[i].server);
	}
	look(pairs, n, kind, "small");
	for (unsigned i = 0; i < n; i++) {
		carry(pairs[i].client, pairs[i].server);
		carry(pairs[i].server, pairs[i].client);
	}
	look(pairs, n, kind, "bulk");
	for (unsigned i = 0; i < n; i++) {
		close(pairs[i].server);
		close(pairs[i].client);
	}
	for (unsigned i = 0; i < 2 * n; i++)
		(void)bench_end(pairs[i / 2].pid[i % 2]);
	free(pairs);
}

int main(int argc, char **argv)
{
	unsigned sessions = bench_number(argc, argv, 1, 500);
	struct rlimit files = { 65536, 65536 };
	struct bench_folder on, off;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	network_of_its_own();
	bench_folder_begin(&on, "opportunistic");
	bench_folder_begin(&off, "off");
	measure(sessions / 2, "sealed", &on, &on);
	measure(sessions / 2, "opaque", &off, &on);
	bench_folder_end(&on);
	bench_folder_end(&off);
	return 0;
}
