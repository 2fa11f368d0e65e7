/* SPDX-License-Identifier: ISC */
/* Tells smtpd's connections from others' (smtpd-user.h). Called by the worker and by passing.c. */
#include "plugins/opensmtpd/smtpd-user.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <syslog.h>

#include "core/runtime/hop.h"
#include "core/runtime/log.h"

static uid_t uids[2];
static unsigned n_uids;
static bool known;

/* Debian's name for it, and everybody else's. */
void sotto_smtpd_user_know(void)
{
	static const char *const names[] = { "opensmtpd", "_smtpd" };

	for (unsigned i = 0; !known && i < 2; i++) {
		const struct passwd *user = getpwnam(names[i]);

		if (user != NULL)
			uids[n_uids++] = user->pw_uid;
	}
	known = true;
}

static bool is_smtpd(uid_t uid)
{
	sotto_smtpd_user_know();
	for (unsigned i = 0; i < n_uids; i++)
		if (uids[i] == uid)
			return true;
	return uid == 0;
}

bool sotto_smtpd_user(int fd, const char *state)
{
	uid_t uid = 0;
	int r = sotto_hop_uid(fd, &uid);

	if (r == 0 && is_smtpd(uid))
		return true;
	if (r == 0)
		sotto_log_limited(state, "uid-limit", LOG_WARNING, "a program of user %u connected to the loopback hop; it is smtpd's alone", (unsigned)uid);
	else if (r != -ENOTCONN)
		sotto_log_limited(state, "uid-limit", LOG_ERR, "the kernel does not say who connects to the loopback hop: %s (is its module tcp_diag "
				  "there?)", strerror(-r));
	return false;
}
