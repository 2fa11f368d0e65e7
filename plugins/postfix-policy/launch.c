/* SPDX-License-Identifier: ISC */
/* Forks and executes (launch.h). Called by sessions.c and site-child.c. */
#include "plugins/postfix-policy/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

#include "core/runtime/default-signals.h"

static bool plumb(const struct sotto_launch *l)
{
	for (int i = 0; i < l->n; i++) {
		int fd = l->fds[i] >= 0 ? l->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		/* the number itself: it only must outlive execve */
		if (fd < 0 || (fd == i ? fcntl(fd, F_SETFD, 0) : dup2(fd, i)) < 0)
			return false;
	}
	/* what is ours is so already; the program may be executed by its descriptor, so that none can be closed here */
	(void)close_range((unsigned)l->n, ~0U, CLOSE_RANGE_CLOEXEC);
	return true;
}

static _Noreturn void execute(const struct sotto_launch *l)
{
	char *const *argv = (char *const *)(const void *)l->argv, *const *env = (char *const *)(const void *)l->env;

	if (l->session)
		(void)setsid();
	else
		(void)setpgid(0, 0);
	sotto_default_signals();
	if (plumb(l)) {
		(void)execve(l->path, argv, env);
		if (errno == ENOENT && l->otherwise != NULL)
			(void)execve(l->otherwise, argv, env);
	}
	_exit(SOTTO_LAUNCH_FAILED);
}

int sotto_launch(const struct sotto_launch *l, pid_t *pid)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, &before) != 0)
		return errno;
	*pid = fork();
	error = *pid < 0 ? errno : 0;
	if (*pid == 0)
		execute(l);
	/* whoever of both is first: it may be killed as a group right now */
	if (*pid > 0 && !l->session)
		(void)setpgid(*pid, *pid);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return error;
}
