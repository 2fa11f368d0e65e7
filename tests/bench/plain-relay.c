/* SPDX-License-Identifier: ISC */
/*
 * What any relay costs: octets from descriptor 3 to descriptor 4 and back, read(2) and write(2), 64 KiB at a time, until both are at
 * their end. relay.c puts two of them where it puts two sotto-sessions.
 */
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

static char octets[65536];

static bool pass(int from, int to)
{
	ssize_t n = read(from, octets, sizeof(octets));

	for (ssize_t done = 0; done < n;) {
		ssize_t m = write(to, octets + done, (size_t)(n - done));

		if (m <= 0)
			return false;
		done += m;
	}
	if (n <= 0)
		(void)shutdown(to, SHUT_WR);
	return n > 0;
}

int main(void)
{
	struct pollfd p[2] = { { .fd = 3, .events = POLLIN }, { .fd = 4, .events = POLLIN } };

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0)
			return 1;
		for (int i = 0; i < 2; i++)
			if (p[i].fd >= 0 && p[i].revents != 0 && !pass(3 + i, 4 - i))
				p[i].fd = -1;
	}
	return 0;
}
