/* SPDX-License-Identifier: ISC */
/* Puts what is known of a session into words, for account.c. No file, no clock. */
#include "core/runtime/account-text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/addr.h"

#define NAME_MAX_SHOWN 255	/* a domain's greatest length, and a little */

struct text {
	char *out;
	size_t len, at;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	if (t->at + 1 >= t->len)
		return;
	va_start(ap, format);
	n = vsnprintf(t->out + t->at, t->len - t->at, format, ap);
	va_end(ap);
	if (n > 0)
		t->at += (size_t)n < t->len - t->at ? (size_t)n : t->len - t->at - 1;
}

/* Names come from the other side (EHLO, DNS): one word of printable ASCII, without what could be taken for our own syntax. */
static void add_name(struct text *t, const char *name)
{
	for (size_t n = 0; name != NULL && *name != '\0' && n < NAME_MAX_SHOWN; name++, n++)
		add(t, "%c", *name > 0x20 && *name < 0x7f && strchr("[]\"=\\", *name) == NULL ? *name : '?');
}

void sotto_account_peer(char *out, size_t len, const struct sotto_account *a)
{
	struct text t = { out, len, 0 };
	char address[SOTTO_ADDR_TEXT];

	out[0] = '\0';
	add_name(&t, a->host);
	if (a->peer_len > 0) {
		sotto_addr_write(address, &a->peer);
		add(&t, "[%s]:%u", address, (unsigned)sotto_addr_port(&a->peer));
	} else if (t.at == 0) {
		add(&t, "unknown");
	}
}

static const char *const outcomes[] = {
	[SOTTO_OUTCOME_OPEN] = "none", [SOTTO_OUTCOME_CLEAR] = "clear",
	[SOTTO_OUTCOME_SEALED] = "sealed", [SOTTO_OUTCOME_REFUSED] = "refused",
};

static const char *const identities[] = {
	[SOTTO_IDENTITY_UNSEEN] = "unseen", [SOTTO_IDENTITY_NONE] = "none", [SOTTO_IDENTITY_FIRST] = "first",
	[SOTTO_IDENTITY_KNOWN] = "known", [SOTTO_IDENTITY_CHANGED] = "changed", [SOTTO_IDENTITY_ABSENT] = "absent",
};

static void add_sealed(struct text *t, const struct sotto_account *a, const struct sotto_report *r)
{
	if (r->version == 0)
		return;
	add(t, " version=%u id=", r->version);
	for (unsigned i = 0; i < 8; i++)
		add(t, "%02x", r->session_id[i]);
	add(t, " exchange=%" PRIu64 "ms", r->exchange_ms);
	if (a->role == SOTTO_CONNECT)
		add(t, " identity=%s", identities[r->identity]);
}

bool sotto_account_native(const struct sotto_account *a, const struct sotto_report *r)
{
	return a->native && !a->required && r->outcome == SOTTO_OUTCOME_REFUSED && r->version == 0;
}

void sotto_account_line(char *out, size_t len, const struct sotto_account *a, const struct sotto_relay_end *end)
{
	const struct sotto_report *r = end->report;
	char peer[SOTTO_ACCOUNT_PEER];
	struct text t = { out, len, 0 };

	sotto_account_peer(peer, sizeof(peer), a);
	out[0] = '\0';
	add(&t, "%s peer=%s outcome=%s", a->role == SOTTO_ACCEPT ? "accept" : "connect", peer,
	    sotto_account_native(a, r) ? "native" : outcomes[r->outcome]);
	if (r->cause != SOTTO_CAUSE_NONE)
		add(&t, " cause=\"%s\"", a->avoided && (r->cause == SOTTO_CAUSE_OFF || r->cause == SOTTO_CAUSE_OBSERVED) ? "avoided after failures" : sotto_cause_text(r->cause));
	if (r->refusal != 0)
		add(&t, " refusal=%u", r->refusal);
	add_sealed(&t, a, r);
	add(&t, " sent=%" PRIu64 " received=%" PRIu64 " duration=%" PRIu64 "ms", end->sent, end->received, end->duration_ms);
	if (a->domain != NULL && a->domain[0] != '\0') {
		add(&t, " domain=");
		add_name(&t, a->domain);
	}
	if (r->ehlo_name[0] != '\0' && a->role == SOTTO_ACCEPT) {
		add(&t, " ehlo=");
		add_name(&t, r->ehlo_name);
	}
	if (!end->orderly && !sotto_account_native(a, r))
		add(&t, " end=%s", r->lost ? "lost" : "cut");
}
