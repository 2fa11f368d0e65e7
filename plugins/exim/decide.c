/* SPDX-License-Identifier: ISC */
/*
 * decide.c - the lists, whom to avoid, and the connections that are none of our business. Called by the dlfuncs; changes
 * nothing and asks nobody but the file system. The state is the session's business: its disk may hang, and Exim's process would
 * with it. Of who is avoided, the session leaves a copy under /run, which is memory.
 */
#include "plugins/exim/decide.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/runtime/names.h"
#include "core/runtime/state.h"
#include "core/runtime/addr.h"
#include "plugins/exim/conf.h"
#include "plugins/exim/paths.h"

bool sotto_listed(const char *file, const struct sotto_peer *peer, char *err, size_t len)
{
	struct sotto_who who = { .domain = peer->domain, .host = peer->host,
				 .addr = (const struct sockaddr *)peer->addr };
	char path[sizeof(SOTTO_CONF_DIR) + 32], wrong[256] = "";
	int rc;

	(void)snprintf(path, sizeof(path), "%s/%s", SOTTO_CONF_DIR, file);
	if (!sotto_list_has_entries(path))
		return false;
	rc = sotto_names_match(path, &who, wrong, sizeof(wrong));
	if (wrong[0] != '\0' && len > 0)
		(void)snprintf(err, len, "%s", wrong);
	else if (rc < 0 && len > 0)
		(void)snprintf(err, len, "%s cannot be read: %s", path, strerror(-rc));
	return rc == 1;
}

bool sotto_on_loopback(const struct sotto_found *found)
{
	return sotto_addr_loopback(&found->local) && sotto_addr_loopback(&found->peer);
}

/* Avoidance is about hosts that we connect to (PROTOCOL.md 8); one that connects to us makes up its own mind. */
static bool avoided(const struct sotto_peer *peer)
{
	return peer->outbound &&
	       sotto_state_avoided(SOTTO_RUN_DIR, (const struct sockaddr *)peer->addr, (int64_t)time(NULL)) == 1;
}

enum sotto_verdict sotto_decide(const struct sotto_peer *peer, char *err, size_t len)
{
	if (peer->required || sotto_listed("require", peer, err, len))
		return SOTTO_MUST;
	if (sotto_listed("exclude", peer, err, len) || avoided(peer))
		return SOTTO_LEAVE;
	return SOTTO_SEAL;
}
