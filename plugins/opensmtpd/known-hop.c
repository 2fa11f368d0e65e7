/* SPDX-License-Identifier: ISC */
/*
 * Which domain an address of the hop means (known.h). Called by the worker's sessions, and by known.c where a domain wants one. The disk says so;
 * where it says nothing, required domains are looked for in memory and in the file require.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/hop.h"
#include "core/runtime/names.h"
#include "core/runtime/state-name.h"
#include "plugins/opensmtpd/known.h"
#include "plugins/opensmtpd/worker.h"

#define CLAIMS 256

/* That could not be written: for as long as this process lives, the latest ones. */
static struct {
	unsigned next;
	char domain[CLAIMS][SOTTO_FILE_NAME];
} claims;

/*
 * Of required domains alone: the table sends nobody else's mail to an address that it has no file for. Nobody knows whose that address is on
 * the disk; a domain that a stranger chooses must not get the mail of the one whose it is.
 */
static void keep_claim(const struct sotto_worker *w, const char *domain)
{
	if (!sotto_known_listed(w, "require", domain))
		return;
	for (unsigned i = 0; i < CLAIMS; i++)
		if (strcmp(claims.domain[i], domain) == 0)
			return;
	(void)snprintf(claims.domain[claims.next++ % CLAIMS], SOTTO_FILE_NAME, "%s", domain);
}

int sotto_known_own(const struct sotto_worker *w, const char *domain, struct in_addr *hop)
{
	int rc = sotto_hop_claim(w->hop_dir, domain, hop);

	if (rc != 0 && rc != -EADDRINUSE && rc != -EINVAL)
		keep_claim(w, domain);
	return rc;
}

/* ---- without the disk ---- */

/* Domains that have an address, of those that are required. */
struct owners {
	struct in_addr address;
	unsigned n;
	char domain[SOTTO_FILE_NAME];	/* the last one */
};

static void consider(void *arg, const char *name)
{
	struct owners *o = arg;
	char domain[SOTTO_FILE_NAME];

	if (sotto_name_of_domain(domain, name) != 0 || sotto_hop_address(domain).s_addr != o->address.s_addr || strcmp(o->domain, domain) == 0)
		return;
	memcpy(o->domain, domain, sizeof(domain));
	o->n++;
}

/*
 * A worker that has taken the place of another one has not seen the recipients, and a disk that hangs does not say whose the address is. No mail
 * but that of the domain itself is sent there without a file, so that one whose hash fits is it; where there are two, it is neither.
 */
static bool find_required(const struct sotto_worker *w, struct in_addr address, char *domain, size_t len)
{
	struct owners o = { .address = address };
	char path[SOTTO_LIST_PATH];

	for (unsigned i = 0; i < CLAIMS; i++)
		consider(&o, claims.domain[i]);
	sotto_known_list(path, w, "require");
	sotto_names_each(path, consider, &o);
	if (o.n != 1)
		return false;
	sotto_known_claim(w, o.domain);		/* the disk may be well again */
	return snprintf(domain, len, "%s", o.domain) < (int)len;
}

bool sotto_known_hop(const struct sotto_worker *w, struct in_addr address, char *domain, size_t len)
{
	return sotto_hop_domain(w->hop_dir, address, domain, len) == 0 || find_required(w, address, domain, len);
}
