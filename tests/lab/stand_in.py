# SPDX-License-Identifier: ISC
"""
Programs in the place of sotto-session, or of OpenSMTPD's worker, that misbehave. Not scripts: sotto-policyd executes what it opened at its start, by a
descriptor.
"""

import functools
import subprocess

SOURCE = r"""
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ready(char **argv)
{
	for (; *argv; argv++)
		if ((strcmp(*argv, "--ready") == 0 || strcmp(*argv, "--talk") == 0) && argv[1])
			return atoi(argv[1]);
	return -1;
}

static void await_connection(char **argv)
{
	struct pollfd polls[32];
	unsigned n = 0;

	for (; *argv && n < 32; argv++)
		if (strcmp(*argv, "--in") == 0 && argv[1])
			polls[n++] = (struct pollfd){ .fd = atoi(argv[1]), .events = POLLIN };
	poll(polls, n, -1);
}

int main(int argc, char **argv)
{
	int fd = ready(argv);
	char octet;

	(void)argc;
	(void)fd;
	(void)octet;
	(void)await_connection;
	BEHAVIOUR;
	return 0;
}
"""

BEHAVIOURS = {
    "ends-well": "return 0", "ends-badly": "return 1", "aborts": "abort()", "is-killed": "kill(getpid(), SIGKILL)", "hangs": "sleep(60)",
    "stops": "kill(getpid(), SIGSTOP)", "says-something-else": 'write(fd, "x", 1); sleep(60)',
    "crashes-when-told-to-go": 'write(fd, "!", 1); read(fd, &octet, 1); kill(getpid(), SIGSEGV)',
    # the worker's
    "crashes-once-ready": 'write(fd, "ready", 5); kill(getpid(), SIGSEGV)',
    "crashes-at-a-connection": 'write(fd, "ready", 5); await_connection(argv); kill(getpid(), SIGSEGV)',
    "stands-still-once-ready": 'write(fd, "ready", 5); pause()',
}


@functools.cache
def program(how):
    """The octets of such a program."""
    flags = ["-static", "-O1", "-w", f"-DBEHAVIOUR={BEHAVIOURS[how]}"]
    made = subprocess.run(["sh", "-c", 'out=$(mktemp) && gcc "$@" -x c - -o "$out" && cat "$out"; rm -f "$out"', "sh", *flags], input=SOURCE.encode(),
                          stdout=subprocess.PIPE, check=True)
    assert made.stdout
    return made.stdout
