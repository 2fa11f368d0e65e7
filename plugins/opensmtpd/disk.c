/* SPDX-License-Identifier: ISC */
/* Tries the state's disk (disk.h). Called by worker.c and whoever begins something. Two descriptors, one process, no heap. */
#include "plugins/opensmtpd/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/log.h"

#define NOWHERE "/dev/null/no-state"	/* ENOTDIR, whatever is done there, and no disk */
#define TRIED ".tried"
#define TELL_MS 60000	/* between two lines of a disk that comes and goes */

/* A file is written, as the journal of a disk may hang that is read from memory. What goes wrong is none of our business here. */
static void try_it(const char *path)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (folder < 0)
		return;
	fd = openat(folder, TRIED, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd >= 0) {
		(void)!write(fd, "\n", 1);
		close(fd);
	}
	close(folder);
}

_Noreturn static void try_for(int talk, const char *path)
{
	char octet;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGTERM, SIG_IGN);		/* it ends with the worker */
	while (recv(talk, &octet, 1, 0) == 1) {
		try_it(path);
		if (send(talk, &octet, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

void sotto_disk_begin(struct sotto_disk *d, const char *path)
{
	int pair[2];
	pid_t pid;

	*d = (struct sotto_disk){ .talk = -1 };
	(void)snprintf(d->path, sizeof(d->path), "%s", path);
	memcpy(d->state, d->path, sizeof(d->state));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	pid = fork();
	if (pid == 0) {
		/* listeners above all: nobody else may hold them when the worker is gone */
		for (int fd = 3; fd < 256; fd++)
			if (fd != pair[1])
				close(fd);
		try_for(pair[1], path);
	}
	close(pair[1]);
	if (pid > 0)
		d->talk = pair[0];
	else
		close(pair[0]);
}

/* True: it has answered by then. False where the process is gone as well: that says nothing of the disk. */
static bool answers(struct sotto_disk *d, int64_t deadline)
{
	char octet;
	ssize_t n;

	if (!d->asked && send(d->talk, "?", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		n = 0;
	else if (d->asked = true, sotto_wait_fd(d->talk, POLLIN, deadline) != 0)
		return false;
	else
		n = recv(d->talk, &octet, 1, MSG_DONTWAIT);
	if (n <= 0) {
		close(d->talk);
		d->talk = -1;
	}
	d->asked = false;
	return true;
}

bool sotto_disk_look(struct sotto_disk *d)
{
	int64_t now = sotto_now_ms();
	bool hung = d->hangs;

	if (d->talk < 0 || (!hung && d->tried != 0 && now - d->tried < SOTTO_DISK_BELIEVED_MS))
		return false;
	d->hangs = !answers(d, hung ? now : now + SOTTO_DISK_MS);
	d->tried = sotto_now_ms();
	if (d->hangs == hung)
		return false;
	(void)snprintf(d->state, sizeof(d->state), "%s", d->hangs ? NOWHERE : d->path);
	if (d->hangs)
		d->tells = d->told == 0 || d->tried - d->told >= TELL_MS;
	if (!d->tells)
		return true;
	d->told = d->tried;
	sotto_log(d->hangs ? LOG_ERR : LOG_NOTICE, d->hangs ? "%s: the disk does not answer; going on without what is known of others" :
		  "%s: the disk answers again", d->path);
	return true;
}
