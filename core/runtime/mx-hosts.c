/* SPDX-License-Identifier: ISC */
/*
 * Puts the hosts and addresses of an MX lookup in order, for mx.c. No descriptor (but through
 * own()), no heap.
 */
#include "core/runtime/mx-hosts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "core/crypto/random.h"

#define NO_CUT UINT32_MAX

/* Chance decides between equals. Without it, the order of the reply does. */
static uint32_t chance(uint32_t otherwise)
{
	uint32_t r;

	return sotto_random((uint8_t *)&r, sizeof r) == 0 ? r : otherwise;
}

static unsigned preference(const struct sotto_mx_host *host)
{
	return (unsigned)(host->rank >> 32);
}

void sotto_mx_hosts_add(struct sotto_mx_hosts *hosts, const char *name, unsigned pref)
{
	uint64_t rank = (uint64_t)pref << 32 | chance((uint32_t)hosts->n);
	size_t at = hosts->n;

	while (at > 0 && hosts->at[at - 1].rank > rank)
		at--;
	if (at == SOTTO_MX_HOSTS)
		return;
	if (hosts->n < SOTTO_MX_HOSTS)
		hosts->n++;
	memmove(hosts->at + at + 1, hosts->at + at, (hosts->n - 1 - at) * sizeof hosts->at[0]);
	hosts->at[at] = (struct sotto_mx_host){ .rank = rank };
	memcpy(hosts->at[at].name, name, strnlen(name, SOTTO_DNS_NAME - 1));
}

static union sotto_mx_sockaddr address4(const uint8_t octets[4])
{
	union sotto_mx_sockaddr to = { .storage = { .ss_family = AF_INET } };

	memcpy(&to.v4.sin_addr, octets, 4);
	return to;
}

static union sotto_mx_sockaddr address6(const uint8_t octets[16])
{
	union sotto_mx_sockaddr to = { .storage = { .ss_family = AF_INET6 } };

	memcpy(&to.v6.sin6_addr, octets, 16);
	return to;
}

static bool usable(const union sotto_mx_sockaddr *to)
{
	if (to->any.sa_family == AF_INET)	/* 224/4 and 240/4: nobody's address */
		return ntohl(to->v4.sin_addr.s_addr) < 0xe0000000;
	return !IN6_IS_ADDR_MULTICAST(&to->v6.sin6_addr) &&
	       !IN6_IS_ADDR_LINKLOCAL(&to->v6.sin6_addr);
}

/* The two families were asked about apart: their answers need not agree. */
static void note_alias(struct sotto_mx_host *host, bool six, const char name[SOTTO_DNS_NAME])
{
	if (strcmp(name, host->name) != 0)
		memcpy(host->alias_of[six], name, sizeof host->alias_of[six]);
}

void sotto_mx_host_add(struct sotto_mx_host *host, const struct sotto_dns_record *r)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct sotto_mx_place new = { 0 };
	struct sotto_mx_place *list;
	size_t *n, at;

	if (r->type == SOTTO_DNS_A)
		new.to = address4(r->address);
	else if (memcmp(r->address, mapped, sizeof mapped) == 0)
		new.to = address4(r->address + sizeof mapped);
	else
		new.to = address6(r->address);
	if (!usable(&new.to))
		return;
	note_alias(host, new.to.any.sa_family == AF_INET6, r->name);
	list = host->at[new.to.any.sa_family == AF_INET6];
	n = &host->n[new.to.any.sa_family == AF_INET6];
	new.rank = chance((uint32_t)*n);
	for (at = *n; at > 0 && list[at - 1].rank > new.rank; at--)
		;
	if (at == SOTTO_MX_HOST_KEPT)
		return;
	if (*n < SOTTO_MX_HOST_KEPT)
		++*n;
	memmove(list + at + 1, list + at, (*n - 1 - at) * sizeof list[0]);
	list[at] = new;
}

static bool is_own(const struct sotto_mx_host *host, bool (*own)(const struct sockaddr *))
{
	for (int family = 0; family < 2; family++)
		for (size_t i = 0; i < host->n[family]; i++)
			if (own(&host->at[family][i].to.any))
				return true;
	return false;
}

/* The preference from which on nobody is tried, because a host of that preference is ours. */
static uint32_t cut(const struct sotto_mx_hosts *hosts, bool (*own)(const struct sockaddr *))
{
	for (size_t i = 0; i < hosts->n; i++)
		if (is_own(&hosts->at[i], own))
			return preference(&hosts->at[i]);
	return NO_CUT;
}

static socklen_t octets(const union sotto_mx_sockaddr *to)
{
	return to->any.sa_family == AF_INET ? sizeof to->v4 : sizeof to->v6;
}

static bool listed(const struct sotto_mx_answer *answer, const union sotto_mx_sockaddr *to)
{
	for (size_t i = 0; i < answer->n; i++)
		if (answer->at[i].len == octets(to) &&
		    memcmp(&answer->at[i].to, to, octets(to)) == 0)
			return true;
	return false;
}

static bool put(struct sotto_mx_answer *answer, const struct sotto_mx_host *host,
		const union sotto_mx_sockaddr *to)
{
	struct sotto_mx_address *a = &answer->at[answer->n];

	if (answer->n == SOTTO_MX_ADDRESSES || listed(answer, to))
		return false;
	memcpy(a->host, host->name, sizeof a->host);
	memcpy(a->alias_of, host->alias_of[to->any.sa_family == AF_INET6], sizeof a->alias_of);
	a->preference = preference(host);
	a->to = to->storage;
	a->len = octets(to);
	answer->n++;
	return true;
}

/*
 * The families take turns, and chance says which begins: as Postfix does (smtp_address_preference =
 * any).
 */
static void put_host(struct sotto_mx_answer *answer, const struct sotto_mx_host *host)
{
	size_t next[2] = { 0, 0 }, used = 0;
	unsigned family = chance(1) & 1;

	while (used < SOTTO_MX_HOST_ADDRESSES && (next[0] < host->n[0] || next[1] < host->n[1])) {
		if (next[family] < host->n[family])
			used += put(answer, host, &host->at[family][next[family]++].to);
		family ^= 1;
	}
}

void sotto_mx_hosts_answer(const struct sotto_mx_hosts *hosts, bool (*own)(const struct sockaddr *),
			   struct sotto_mx_answer *answer)
{
	uint32_t end = cut(hosts, own);
	bool unsure = false;

	*answer = (struct sotto_mx_answer){ 0 };
	for (size_t i = 0; i < hosts->n && preference(&hosts->at[i]) < end; i++) {
		put_host(answer, &hosts->at[i]);
		unsure |= hosts->at[i].failed || hosts->at[i].waiting > 0;
	}
	if (answer->n == 0)
		answer->status = unsure ? SOTTO_MX_TEMPORARY :
			end != NO_CUT ? SOTTO_MX_SELF : SOTTO_MX_NO_ADDRESS;
}
