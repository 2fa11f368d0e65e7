/* SPDX-License-Identifier: ISC */
/* For a child between fork and execve. System calls only: it may share its memory with a mail server's process (vfork). */
#ifndef SOTTO_RUNTIME_DEFAULT_SIGNALS_H
#define SOTTO_RUNTIME_DEFAULT_SIGNALS_H

#include <signal.h>
#include <string.h>

/* Signals are as if nobody had touched them. Handlers go first: one of the parent's must not run here when the mask is lifted. */
static inline void sotto_default_signals(void)
{
	struct sigaction as_usual;
	sigset_t none;

	memset(&as_usual, 0, sizeof(as_usual));
	as_usual.sa_handler = SIG_DFL;
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &as_usual, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

#endif
