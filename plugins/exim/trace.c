/* SPDX-License-Identifier: ISC */
/*
 * trace.c - reads what sotto-session wrote about the live session. Called by sotto_trace and by local_scan.
 *
 * A file alone is not believed: as long as this process holds a descriptor that leads to the peer itself, there is no
 * session of ours in between, whatever a file left behind by another one says.
 */
#include "plugins/exim/trace.h"

#include <stdint.h>
#include <stdio.h>

#include "core/runtime/live.h"
#include "core/runtime/addr.h"
#include "plugins/exim/find.h"
#include "plugins/exim/paths.h"

void sotto_trace_text(char *out, size_t len, const char *address, int port, const char *by)
{
	struct sockaddr_storage peer;
	struct sotto_found found;
	struct sotto_live live;
	char text[SOTTO_ADDR_TEXT];

	out[0] = '\0';
	if (address == NULL || by == NULL || port <= 0 || port > UINT16_MAX ||
	    sotto_addr_read(&peer, address, (uint16_t)port) != 0 || sotto_find(&found, &peer) != 0)
		return;
	if (sotto_live_read(SOTTO_RUN_DIR, (const struct sockaddr *)&peer, &live) != 0 || !live.sealed)
		return;
	sotto_addr_write(text, &peer);
	(void)snprintf(out, len, "sealed v=%u id=%s peer=[%s] by=%s", (unsigned)live.version, live.id, text, by);
}
