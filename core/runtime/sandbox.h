/* SPDX-License-Identifier: ISC */
/*
 * The sandbox of a process that reads octets from the network: a seccomp filter made by libseccomp when Sotto is built
 * (make-sandbox.c) and loaded with prctl(2), because a mail server's unit may forbid seccomp(2) itself. What is not allowed fails with
 * EPERM; nothing is ever killed for a call.
 */
#ifndef SOTTO_RUNTIME_SANDBOX_H
#define SOTTO_RUNTIME_SANDBOX_H

#include "core/crypto/memory.h"

enum sotto_sandbox {
	SOTTO_SANDBOX_FORKING,		/* as SERVING, and fork(3), for children that go on to SETTLED; connections may be handed over */
	SOTTO_SANDBOX_SERVING,		/* a daemon's: connections are taken and made, files of ours read and written */
	SOTTO_SANDBOX_CONNECTING,	/* connections may still be made (redial, DNS), files of ours read and written */
	SOTTO_SANDBOX_SETTLED		/* no new socket any more */
};

/*
 * They can be entered one after the other, never back: from SETTLED, and from a filter of somebody else's that forbids it, every
 * call is -EPERM. Also sets no_new_privs. 0, or -errno: no filter is in force (the second time: the first one still is); -EINVAL
 * where the kernel has no seccomp. Never entered in builds under sanitizers or under valgrind, which need more than we do: -ENOSYS.
 *
 * It holds the calling thread alone (no program of ours has another), and its children have it too; only FORKING may fork or be passed
 * descriptors. None may listen, only SERVING and FORKING may accept. A library cannot be loaded any more, nor signals sent to other processes.
 */
SOTTO_CHECKED int sotto_sandbox_enter(enum sotto_sandbox which);

#endif
