/* SPDX-License-Identifier: ISC */
/* Writes trace headers (traces.h). Called by talk.c for each line of a message; the first of each costs the reading of a small file. */
#include "plugins/opensmtpd/traces.h"

#include <stdio.h>
#include <string.h>

#include "core/runtime/addr.h"
#include "core/runtime/live.h"
#include "plugins/opensmtpd/listeners.h"

static struct sotto_traced *place(struct sotto_traces *t, uint64_t session)
{
	return &t->at[(session ^ session >> 13 ^ session >> 32) % SOTTO_TRACES];
}

static struct sotto_traced *begin(struct sotto_traces *t, uint64_t session)
{
	struct sotto_traced *s = place(t, session);

	if (s->session != session)
		*s = (struct sotto_traced){ .session = session };
	return s;
}

/* NAME|pass|SOURCE|DESTINATION */
static void read_peer(struct sockaddr_storage *out, const char *rest)
{
	char source[64];
	const char *at = rest != NULL ? strchr(rest, '|') : NULL, *end;
	socklen_t len;

	memset(out, 0, sizeof(*out));
	at = at != NULL ? strchr(at + 1, '|') : NULL;
	end = at != NULL ? strchr(at + 1, '|') : NULL;
	if (end == NULL || end - at > (long)sizeof(source))
		return;
	memcpy(source, at + 1, (size_t)(end - at - 1));
	source[end - at - 1] = '\0';
	if (sotto_listeners_address(out, &len, source) != 0)
		memset(out, 0, sizeof(*out));
}

void sotto_traces_report(struct sotto_traces *t, const struct sotto_filter_line *l)
{
	if (sotto_filter_is(l, "link-connect"))
		read_peer(&begin(t, l->session)->peer, l->rest);
	else if (sotto_filter_is(l, "tx-begin"))
		begin(t, l->session)->in_message = false;
	else if (sotto_filter_is(l, "link-disconnect"))
		memset(begin(t, l->session), 0, sizeof(struct sotto_traced));
}

static size_t write_sealed(const struct sotto_traces *t, const struct sotto_traced *s, char out[SOTTO_TRACE])
{
	struct sotto_live live;
	char peer[SOTTO_ADDR_TEXT];
	int n;

	if (s->peer.ss_family == AF_UNSPEC || sotto_live_read(t->run, (const struct sockaddr *)&s->peer, &live) != 0 || !live.sealed)
		return 0;
	sotto_addr_write(peer, &s->peer);
	n = snprintf(out, SOTTO_TRACE, "X-Sotto: sealed v=%u id=%s peer=[%s] by=%.255s", live.version, live.id, peer, t->by);
	return n > 0 && n < SOTTO_TRACE ? (size_t)n : 0;
}

size_t sotto_traces_line(struct sotto_traces *t, uint64_t session, const char *line, char out[SOTTO_TRACE])
{
	struct sotto_traced *s = begin(t, session);
	size_t n = s->in_message ? 0 : write_sealed(t, s, out);

	s->in_message = strcmp(line, ".") != 0;
	return n;
}
