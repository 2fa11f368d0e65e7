/* SPDX-License-Identifier: ISC */
/*
 * Which domain an address of the hop means (known.h). Called by the worker's sessions, and by known.c where a domain wants one. The disk says so;
 * where it says nothing, required domains are looked for in memory and in the file require.
 *
 * On the disk are the claim, by which the first domain has an address (hop.h), and the route under that address, by which table-sotto sees that it
 * is somebody's (route.h). They are pruned apart: whichever is left makes the other one again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/hop.h"
#include "core/runtime/names.h"
#include "core/runtime/state-name.h"
#include "plugins/opensmtpd/known.h"
#include "plugins/opensmtpd/route.h"
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

/* ---- by the disk ---- */

static bool find_route(const struct sotto_worker *w, struct in_addr address, struct sotto_route *r)
{
	char text[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &address, text, sizeof(text));
	return sotto_route_load(w->state, text, r) == 0 && sotto_hop_address(r->domain).s_addr == address.s_addr;
}

int sotto_known_own(const struct sotto_worker *w, const char *domain, struct in_addr *hop)
{
	char holder[SOTTO_FILE_NAME];
	struct sotto_route r;
	int rc;

	*hop = sotto_hop_address(domain);
	if (find_route(w, *hop, &r) && strcmp(r.domain, domain) != 0)
		return -EADDRINUSE;	/* also where its claim is gone: its mail goes on to that address */
	rc = sotto_hop_claim(w->hop_dir, domain, hop);
	if (rc == -EADDRINUSE && sotto_hop_domain(w->hop_dir, *hop, holder, sizeof(holder)) == 0)
		sotto_known_show(w, holder);	/* so that table-sotto sends no mail of ours there */
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

static struct owners required_at(const struct sotto_worker *w, struct in_addr address)
{
	struct owners o = { .address = address };
	char path[SOTTO_LIST_PATH];

	for (unsigned i = 0; i < CLAIMS; i++)
		if (sotto_hop_address(claims.domain[i]).s_addr == address.s_addr && sotto_known_listed(w, "require", claims.domain[i]))
			consider(&o, claims.domain[i]);
	sotto_known_list(path, w, "require");
	sotto_names_each(path, consider, &o);
	return o;
}

/*
 * A worker that has taken the place of another one has not seen the recipients, and a disk that hangs does not say whose the address is. No mail
 * but that of the domain itself is sent there without a file, so that one whose hash fits is it; where there are two, it is neither.
 */
static bool find_required(const struct sotto_worker *w, struct in_addr address, char *domain, size_t len)
{
	struct owners o = required_at(w, address);

	if (o.n != 1)
		return false;
	sotto_known_show(w, o.domain);		/* the disk may be well again */
	return snprintf(domain, len, "%s", o.domain) < (int)len;
}

/* ---- either ---- */

/*
 * It is the domain's, and no route under it says so: then table-sotto may have sent mail there of another one, which is required, has the same
 * address, and no route. The domain's own it sends there by the route of its name, or because it is required.
 */
static bool is_its_own(const struct sotto_worker *w, struct in_addr address, const char *domain)
{
	struct owners o = required_at(w, address);
	struct sotto_route r;
	bool sent = sotto_route_load(w->state, domain, &r) == 0 || sotto_known_listed(w, "require", domain);

	sotto_known_show(w, domain);
	return sent && (o.n == 0 || (o.n == 1 && strcmp(o.domain, domain) == 0));
}

bool sotto_known_hop(const struct sotto_worker *w, struct in_addr address, char *domain, size_t len)
{
	bool claimed = sotto_hop_domain(w->hop_dir, address, domain, len) == 0;
	struct sotto_route r;

	if (!find_route(w, address, &r))
		return claimed ? is_its_own(w, address, domain) : find_required(w, address, domain, len);
	if (claimed)
		return true;
	return sotto_known_own(w, r.domain, &address) != -EADDRINUSE && snprintf(domain, len, "%s", r.domain) < (int)len;
}
