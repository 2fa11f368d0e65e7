/* SPDX-License-Identifier: ISC */
/*
 * spawn.c - starts the session as a grandchild. Called by interpose.c; knows nothing of Exim.
 *
 * To copy Exim's process twice, only for both copies to be given up at once, was most of what a session cost. So both children
 * borrow its memory instead, as with vfork(2): Exim stands still until the session has executed its program, which is one
 * system call after the other, and none of them waits. They run on stacks of their own, and none of Exim's handlers runs in them.
 *
 * The child in the middle exists so that the session is not Exim's own child: Exim waits for any child of its own here and there, and
 * must not find one that it does not know. It ends at once. What is left to kill the session with, should it hang, is a
 * pidfd: a number could mean another process by then.
 */
#include "plugins/exim/spawn.h"
#include "core/runtime/deadline.h"
#include "core/runtime/default-signals.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>


#define ABOVE 16	/* out of the way of 0 to 5 */
#define STACK 65536	/* far more than a few calls need */

struct job {
	const char *const *argv;
	const char *state;
	int net, mta, ready, control;
};

/* Of what is never touched nothing is ever there: these cost Exim a page or two. */
static _Alignas(64) char helper_stack[STACK], session_stack[STACK];

/* ASan knows of one stack, and takes a function that does not return for a jump out of it. */
#define ON_ANOTHER_STACK __attribute__((no_sanitize_address))

/* ---- in the session-to-be: nothing but system calls ------------------------------------------------------ */

/* Kernels before 5.9, and filters that do not know close_range, leave no other way than one by one. */
static void close_all(unsigned first, unsigned last)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	for (unsigned fd = first; fd <= last && fd < 65536; fd++)
		close((int)fd);
}

/* First out of the way, then into place: net may well be 4, and mta 3. */
static int arrange(const struct job *j)
{
	int net = fcntl(j->net, F_DUPFD, ABOVE), mta = fcntl(j->mta, F_DUPFD, ABOVE);
	int ready = fcntl(j->ready, F_DUPFD, ABOVE), null = open("/dev/null", O_RDWR);

	if (net < 0 || mta < 0 || ready < 0 || null < 0)
		return -1;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	if (dup2(net, SOTTO_SPAWN_NET) < 0 || dup2(mta, SOTTO_SPAWN_MTA) < 0 || dup2(ready, SOTTO_SPAWN_READY) < 0)
		return -1;
	close_all(SOTTO_SPAWN_READY + 1, ~0U);
	return 0;
}

/*
 * What the session remembers belongs to one user. Exim is that user, but for root's own tests; nothing of ours is ever root. The
 * calls are the kernel's own: the C library's would tell threads that it thinks there are.
 */
static int not_as_root(const char *state)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(state, &st) != 0 || st.st_uid == 0)
		return -1;
	return syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setgid, st.st_gid) != 0 || syscall(SYS_setuid, st.st_uid) != 0 ? -1 : 0;
}

ON_ANOTHER_STACK static int become_session(void *arg)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = { path, NULL };
	const struct job *j = arg;

	sotto_default_signals();
	(void)umask(022);
	if (setsid() >= 0 && chdir("/") == 0 && arrange(j) == 0 && not_as_root(j->state) == 0)
		execve(j->argv[0], (char *const *)(const void *)j->argv, environment);
	_exit(127);
}

/* ---- in the child in the middle --------------------------------------------------------------------------- */

/* One octet, and a descriptor with it. */
static void hand_over(int control, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} with;
	char octet = '!';
	struct iovec io = { &octet, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };

	memset(&with, 0, sizeof(with));
	if (fd >= 0) {
		m.msg_control = with.space;
		m.msg_controllen = sizeof(with.space);
		with.align = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(&with.align), &fd, sizeof(fd));
	}
	(void)sendmsg(control, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The session is our child: until we end, its number is its own, even where it has ended already. */
ON_ANOTHER_STACK static int help(void *arg)
{
	const struct job *j = arg;
	pid_t session = clone(become_session, session_stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, arg);

	if (session >= 0)
		hand_over(j->control, (int)syscall(SYS_pidfd_open, session, 0));
	_exit(0);
}

/* ---- in Exim's process ----------------------------------------------------------------------------------- */

/* No signal tells of the helper's end, and no wait for any child finds it. It has ended when clone returns. */
static int run_helper(struct job *j)
{
	sigset_t all, before;
	pid_t pid;
	int keep;

	/* None of Exim's handlers must run in our children. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = clone(help, helper_stack + STACK, CLONE_VM | CLONE_VFORK, j);
	keep = errno;
	while (pid >= 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	errno = keep;
	return pid >= 0 ? 0 : -1;
}

/* What hand_over() sent. -1, EAGAIN: no session could be made; *pidfd is -1 where the kernel has no such thing. */
static int take_over(int control, int *pidfd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} with;
	char octet;
	struct iovec io = { &octet, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = with.space, .msg_controllen = sizeof(with.space) };
	const struct cmsghdr *c;

	*pidfd = -1;
	if (recvmsg(control, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) {
		errno = EAGAIN;
		return -1;
	}
	c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(pidfd, CMSG_DATA(c), sizeof(*pidfd));
	return 0;
}

static void shut(int pair[2])
{
	int keep = errno;

	close(pair[0]);
	close(pair[1]);
	errno = keep;
}

int sotto_spawn(struct sotto_spawn *s, const char *const argv[], const char *state, int net, int mta)
{
	int control[2], ready[2], rc;
	struct job j = { .argv = argv, .state = state, .net = net, .mta = mta };

	*s = (struct sotto_spawn){ .pidfd = -1, .ready = -1 };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ready) != 0) {
		shut(control);
		return -1;
	}
	j.control = control[1];
	j.ready = ready[1];
	rc = run_helper(&j);
	if (rc == 0)
		rc = take_over(control[0], &s->pidfd);
	shut(control);
	if (rc != 0) {
		shut(ready);
		return -1;
	}
	close(ready[1]);
	s->ready = ready[0];
	return 0;
}

int sotto_spawn_ready(const struct sotto_spawn *s, int64_t deadline)
{
	char octet = 0;
	ssize_t n;

	if (sotto_wait_fd(s->ready, POLLIN, deadline) != 0)
		return -1;
	n = recv(s->ready, &octet, 1, MSG_DONTWAIT);
	if (n == 1 && octet == '!')
		return 0;
	if (n >= 0)
		errno = ECHILD;
	return -1;
}

int sotto_spawn_go(const struct sotto_spawn *s)
{
	return send(s->ready, "!", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

void sotto_spawn_end(struct sotto_spawn *s, bool undo)
{
	int keep = errno;

	/* where there is no pidfd, the end of ready is all that tells the session */
	if (undo && s->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
	close(s->ready);
	if (s->pidfd >= 0)
		close(s->pidfd);
	*s = (struct sotto_spawn){ .pidfd = -1, .ready = -1 };
	errno = keep;
}
