/* SPDX-License-Identifier: ISC */
/*
 * Loads the filters that make-sandbox.c made (sandbox.h). Called by the programs that read octets from the network, once they have
 * opened what they need. Decides nothing: what is allowed stands in make-sandbox.c.
 */
#include "core/runtime/sandbox.h"

#include <errno.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#ifdef SANITIZED

int sotto_sandbox_enter(enum sotto_sandbox which)
{
	(void)which;
	return -ENOSYS;
}

#else

#include <link.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox-filters.h"

#define STEPS(filter) (sizeof(filter) / sizeof(*(filter)))
#define MOST STEPS(sandbox_forking)	/* each stage allows what the next one does, and more */

_Static_assert(STEPS(sandbox_serving) <= MOST && STEPS(sandbox_connecting) <= MOST && STEPS(sandbox_settled) <= MOST, "the largest filter fits");

static int is_valgrinds(struct dl_phdr_info *object, size_t len, void *arg)
{
	(void)len;
	(void)arg;
	return object->dlpi_name != NULL && strstr(object->dlpi_name, "/vgpreload_") != NULL;
}

/* valgrind loads a library of its own into what it runs; a filter would hold valgrind itself. */
static bool under_valgrind(void)
{
	return dl_iterate_phdr(is_valgrinds, NULL) != 0;
}

/* A process may send signals to itself alone, and its id is known only now. */
static void put_in_self(struct sock_filter *filter, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (filter[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && filter[i].k == SANDBOX_SELF)
			filter[i].k = (unsigned)getpid();
}

static int load(const struct sock_filter *filter, size_t n)
{
	struct sock_filter own[MOST];
	struct sock_fprog program = { .len = (unsigned short)n, .filter = own };

	memcpy(own, filter, n * sizeof(*filter));
	put_in_self(own, n);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
		return -errno;
	return 0;
}

int sotto_sandbox_enter(enum sotto_sandbox which)
{
	if (under_valgrind())
		return -ENOSYS;
	switch (which) {
	case SOTTO_SANDBOX_FORKING:
		return load(sandbox_forking, STEPS(sandbox_forking));
	case SOTTO_SANDBOX_SERVING:
		return load(sandbox_serving, STEPS(sandbox_serving));
	case SOTTO_SANDBOX_CONNECTING:
		return load(sandbox_connecting, STEPS(sandbox_connecting));
	case SOTTO_SANDBOX_SETTLED:
		return load(sandbox_settled, STEPS(sandbox_settled));
	default:
		return -EINVAL;
	}
}

#endif
