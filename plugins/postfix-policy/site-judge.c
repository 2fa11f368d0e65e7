/* SPDX-License-Identifier: ISC */
/*
 * What a view of Postfix's configuration says of a domain, for site.c. From memory: a table that has not answered yet makes it UNKNOWN.
 * All tables that count are asked at once, not one after the other.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/runtime/mx.h"
#include "plugins/postfix-policy/site-view.h"
#include "plugins/postfix-policy/site-words.h"

/* Entries of transport(5) that change nothing for a domain that would go by smtp to its MX anyway. */
static bool changes_nothing(const char *value)
{
	return strcmp(value, ":") == 0 || strcmp(value, "smtp:") == 0 || strcmp(value, "smtp") == 0;
}

/* transport(5): the domain, its parents, and `*`; the first that is there counts. */
static enum sotto_site_answer transport(struct sotto_site_view *v, const char *domain)
{
	enum sotto_site_told told;
	const char *value;
	bool unknown = false;

	for (const char *key = domain; v->transport >= 0 && key != NULL && key[0] != 0; key = sotto_site_parent(key)) {
		told = sotto_site_maps_ask(v->maps, v->transport, key + (key != domain && v->transport_parents), &value);
		if (told == SITE_TOLD_FAILED)
			return SOTTO_SITE_NATIVE;
		if (told == SITE_TOLD_FOUND && !unknown)
			return changes_nothing(value) ? SOTTO_SITE_MAY : SOTTO_SITE_NATIVE;
		unknown = unknown || told == SITE_TOLD_UNKNOWN;
	}
	told = v->wildcard >= 0 ? sotto_site_maps_ask(v->maps, v->wildcard, "*", &value) : SITE_TOLD_NOT;
	if (unknown || told == SITE_TOLD_UNKNOWN)
		return SOTTO_SITE_UNKNOWN;
	return told == SITE_TOLD_NOT || (told == SITE_TOLD_FOUND && changes_nothing(value)) ? SOTTO_SITE_MAY : SOTTO_SITE_NATIVE;
}

enum sotto_site_answer sotto_site_view_transport(struct sotto_site_view *v, const char *domain)
{
	enum sotto_site_answer answer = SOTTO_SITE_MAY, route;

	for (size_t i = 0; i < SITE_LISTS; i++) {
		enum sotto_site_told told = sotto_site_list_has(&v->list[i], v->maps, domain);

		if (told == SITE_TOLD_FOUND || told == SITE_TOLD_FAILED)
			return SOTTO_SITE_NATIVE;
		if (told == SITE_TOLD_UNKNOWN)
			answer = SOTTO_SITE_UNKNOWN;
	}
	route = transport(v, domain);
	return route == SOTTO_SITE_MAY ? answer : route;
}

/* ---- a connection ---------------------------------------------------------------------------------------- */

/* The worse of two, NATIVE before UNKNOWN before MAY. */
static void worse(enum sotto_site_answer *all, enum sotto_site_answer one)
{
	if (one == SOTTO_SITE_NATIVE || (one == SOTTO_SITE_UNKNOWN && *all == SOTTO_SITE_MAY))
		*all = one;
}

static enum sotto_site_answer tls_policy(struct sotto_site_view *v, const char *domain, const char **why)
{
	const char *value;
	bool unknown = false;

	for (const char *key = domain; v->tls >= 0 && key != NULL; key = sotto_site_parent(key)) {
		enum sotto_site_told told = sotto_site_maps_ask(v->maps, v->tls, key, &value);

		if (told == SITE_TOLD_FAILED || (told == SITE_TOLD_FOUND && !unknown)) {
			if (told == SITE_TOLD_FOUND && !sotto_site_tls_against(sotto_site_conf_tls(&v->conf), value))
				return SOTTO_SITE_MAY;
			*why = "smtp_tls_policy_maps has a policy of its own for it";
			return SOTTO_SITE_NATIVE;
		}
		unknown = unknown || told == SITE_TOLD_UNKNOWN;
	}
	return unknown ? SOTTO_SITE_UNKNOWN : SOTTO_SITE_MAY;
}

/* A table that has to be silent about a key. */
static enum sotto_site_answer silent(struct sotto_site_view *v, int source, const char *key, const char *sentence, const char **why)
{
	const char *value;
	enum sotto_site_told told = source >= 0 ? sotto_site_maps_ask(v->maps, source, key, &value) : SITE_TOLD_NOT;

	if (told == SITE_TOLD_FOUND || told == SITE_TOLD_FAILED)
		*why = sentence;
	return told == SITE_TOLD_NOT ? SOTTO_SITE_MAY : told == SITE_TOLD_UNKNOWN ? SOTTO_SITE_UNKNOWN : SOTTO_SITE_NATIVE;
}

static void text_of(const struct sockaddr_storage *sa, char out[INET6_ADDRSTRLEN])
{
	out[0] = 0;
	if (sa->ss_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, out, INET6_ADDRSTRLEN);
	else
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out, INET6_ADDRSTRLEN);
}

#define SASL "smtp_sasl_password_maps has a password for it"

static enum sotto_site_answer peers(struct sotto_site_view *v, const struct sotto_mx_answer *mx, const char **why)
{
	enum sotto_site_answer all = SOTTO_SITE_MAY;
	char address[INET6_ADDRSTRLEN];

	if (mx->status != 0) {
		*why = "its MX hosts are not known, and tables by host or address are in use";
		return SOTTO_SITE_NATIVE;
	}
	for (size_t i = 0; i < mx->n && all != SOTTO_SITE_NATIVE; i++) {
		text_of(&mx->at[i].to, address);
		if (mx->at[i].host[0] != 0)
			worse(&all, silent(v, v->sasl, mx->at[i].host, SASL, why));
		if (all != SOTTO_SITE_NATIVE)
			worse(&all, silent(v, v->discard, address, "smtp_discard_ehlo_keyword_address_maps has its host", why));
		if (all != SOTTO_SITE_NATIVE)
			worse(&all, silent(v, v->pix, address, "smtp_pix_workaround_maps has its host", why));
	}
	return all;
}

bool sotto_site_view_needs_mx(const struct sotto_site_view *v)
{
	return v->sasl >= 0 || v->discard >= 0 || v->pix >= 0;
}

enum sotto_site_answer sotto_site_view_policy(struct sotto_site_view *v, const char *domain, const struct sotto_mx_answer *mx,
					      const char **why)
{
	enum sotto_site_answer all = tls_policy(v, domain, why);

	if (all != SOTTO_SITE_NATIVE)
		worse(&all, silent(v, v->sasl, domain, SASL, why));
	if (all != SOTTO_SITE_NATIVE && sotto_site_view_needs_mx(v))
		worse(&all, mx != NULL ? peers(v, mx, why) : SOTTO_SITE_UNKNOWN);
	return all;
}
