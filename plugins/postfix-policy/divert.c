/* SPDX-License-Identifier: ISC */
/* Decides for sotto-policyd (divert.h). Called for each lookup of Postfix's, and by hop-service.c; changes nothing but claims. */
#include "plugins/postfix-policy/divert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "core/runtime/hop.h"
#include "core/runtime/log.h"

/* Postfix shows it in its log: the name is a sentence. RFC 6761, 6.4: it never is one of a host. */
#define UNMEETABLE "secure match=encryption-by-sotto-is-required.invalid"
#define CLAIM_AGAIN 1800	/* seconds; hop.h: now and then */

static size_t not_found(char reply[SOTTO_SOCKETMAP_REPLY])
{
	return sotto_socketmap_write(reply, "NOTFOUND", "");
}

/* Where encryption is required, whatever goes wrong keeps the mail; everybody else's goes on without us. */
static size_t without_us(const struct sotto_domain *d, const char *why, char reply[SOTTO_SOCKETMAP_REPLY])
{
	char text[512];

	if (!d->required)
		return not_found(reply);
	(void)snprintf(text, sizeof(text), "encryption (XSOTTO) is required for %.253s, and not possible now: %s", d->name, why);
	return sotto_socketmap_write(reply, "TEMP", text);
}

static bool claim(const struct sotto_policyd *p, struct sotto_domain *d, int64_t now)
{
	int r;

	if (d->claimed != 0 && now >= d->claimed && now - d->claimed < CLAIM_AGAIN)
		return true;
	r = sotto_hop_claim(p->hop_dir, d->name, &d->address);
	if (r == 0)
		d->claimed = now;
	else if (r != -EADDRINUSE)
		sotto_log_limited(p->run, ".hop-limit", LOG_ERR, "%s: %s; mail goes natively until that is mended", p->hop_dir, strerror(-r));
	return r == 0;
}

/* "mode = off" means all of it; a broken file means nothing, and require still holds. */
static bool is_off(const struct sotto_policyd *p, const struct sotto_domain *d)
{
	if (p->conf.mode == SOTTO_MODE_OFF && !(p->conf_broken && d->required))
		return true;
	return d->excluded && !d->required;
}

/* Whether the hop has anything to bring. To observe, a domain is looked at when nothing is known of it, and left alone then. */
static bool is_worth_it(const struct sotto_policyd *p, const struct sotto_domain *d, int64_t now)
{
	enum sotto_domain_offer offer = sotto_domain_state_now(&d->state, now);

	if (d->required)
		return true;
	return p->conf.mode == SOTTO_MODE_OBSERVE ? offer == SOTTO_DOMAIN_UNKNOWN : offer != SOTTO_DOMAIN_NO;
}

static size_t hop(const struct sotto_policyd *p, const struct sotto_domain *d, char reply[SOTTO_SOCKETMAP_REPLY])
{
	char text[SOTTO_DOMAIN_TEXT + 64], address[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &d->address, address, sizeof(address));
	(void)snprintf(text, sizeof(text), ":[%s]:%u%s%s", address, (unsigned)p->port, d->required ? "" : ", ", d->required ? "" : d->name);
	return sotto_socketmap_write(reply, "OK", text);
}

size_t sotto_divert_transport(const struct sotto_policyd *p, const char *key, size_t len, int64_t now, char reply[SOTTO_SOCKETMAP_REPLY])
{
	const char *at = memrchr(key, '@', len);
	struct sotto_domain *d = at == NULL ? NULL : sotto_domains_get(p->domains, at + 1, len - (size_t)(at + 1 - key));
	enum sotto_site_answer answer;

	if (d == NULL || is_off(p, d))
		return not_found(reply);
	if (!sotto_site_facts(p->site)->usable)
		return without_us(d, sotto_site_facts(p->site)->why, reply);
	answer = sotto_site_transport(p->site, d->name);
	/* a domain of this host, or one that the administrator has given a way of its own: that is their word */
	if (answer == SOTTO_SITE_NATIVE || !is_worth_it(p, d, now))
		return not_found(reply);
	/* it will be known in a moment; the hop looks again, and nothing falls through it where encryption is required */
	if (answer == SOTTO_SITE_UNKNOWN && !d->required)
		return not_found(reply);
	return claim(p, d, now) ? hop(p, d, reply) : without_us(d, "no loopback address for it", reply);
}

/* [127.x.y.z]:PORT; false: another key. */
static bool read_hop(struct in_addr *out, const char *key, size_t len)
{
	char text[INET_ADDRSTRLEN];
	const char *end = len > 1 && key[0] == '[' ? memchr(key, ']', len) : NULL;
	size_t n = end == NULL ? 0 : (size_t)(end - key) - 1;
	struct sockaddr_in a = { .sin_family = AF_INET };

	if (n == 0 || n >= sizeof(text))
		return false;
	memcpy(text, key + 1, n);
	text[n] = '\0';
	if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
		return false;
	*out = a.sin_addr;
	return sotto_hop_is((const struct sockaddr *)&a);
}

size_t sotto_divert_tls(const struct sotto_policyd *p, const char *key, size_t len, int64_t now, char reply[SOTTO_SOCKETMAP_REPLY])
{
	struct in_addr address;
	const struct sotto_domain *d = read_hop(&address, key, len) ? sotto_domains_at(p->domains, address) : NULL;

	if (d != NULL)
		return d->tls ? sotto_socketmap_write(reply, "OK", "encrypt") : not_found(reply);
	d = sotto_domains_find(p->domains, key, len);
	return d != NULL && !is_off(p, d) && sotto_domains_refused(p->domains, d, now) ? sotto_socketmap_write(reply, "OK", UNMEETABLE) : not_found(reply);
}

enum sotto_divert_hop sotto_divert_hop(const struct sotto_policyd *p, const struct sotto_domain *d, int64_t now)
{
	if (is_off(p, d) || !sotto_site_facts(p->site)->usable || sotto_site_transport(p->site, d->name) == SOTTO_SITE_NATIVE)
		return SOTTO_HOP_OFF;
	return is_worth_it(p, d, now) ? SOTTO_HOP_TAKE : SOTTO_HOP_NATIVE;
}
