/* SPDX-License-Identifier: ISC */
/* What follows from Postfix's parameters for the hop as a whole, for site.c: one rule after the other, the first that speaks against it counts. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "plugins/postfix-policy/site-conf.h"
#include "plugins/postfix-policy/site-words.h"

#define AS_BEFORE "; mail goes out as before, without Sotto"

static const char *get(const struct sotto_site_conf *c, enum sotto_site_param p)
{
	return sotto_site_conf_get(c, p);
}

static bool is_yes(const struct sotto_site_conf *c, enum sotto_site_param p)
{
	return sotto_site_words_have(get(c, p), "yes");
}

static void against(struct sotto_site_facts *f, const char *what, const char *value)
{
	if (f->why[0] == 0)
		(void)snprintf(f->why, sizeof(f->why), "%s%s%.80s" AS_BEFORE, what, *value != 0 ? " is " : "", value);
}

/* What has to be empty; and what sets it off from a Postfix that delivers by itself. */
static void must_be_empty(const struct sotto_site_conf *c, struct sotto_site_facts *f)
{
	static const enum sotto_site_param empty[] = {
		SITE_INSTANCES, SITE_INSTANCE_NAME, SITE_RELAYHOST, SITE_SENDER_RELAYHOST, SITE_SENDER_TRANSPORT, SITE_VERIFY_RELAYHOST,
		SITE_VERIFY_SENDER_RELAYHOST, SITE_VERIFY_SENDER_TRANSPORT, SITE_TLS_PER_SITE, SITE_DNS_FILTER, SITE_SRV,
	};

	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		if (!sotto_site_words_none(get(c, empty[i])))
			against(f, sotto_site_conf_name(empty[i]), get(c, empty[i]));
}

static void transports(const struct sotto_site_conf *c, struct sotto_site_facts *f)
{
	static const enum sotto_site_param smtp[] = { SITE_DEFAULT_TRANSPORT, SITE_VERIFY_DEFAULT_TRANSPORT };

	for (size_t i = 0; i < 2; i++)
		if (strcmp(get(c, smtp[i]), "smtp") != 0 && strcmp(get(c, smtp[i]), "smtp:") != 0)
			against(f, sotto_site_conf_name(smtp[i]), get(c, smtp[i]));
	if (!c->smtp)
		against(f, "smtp/unix in master.cf is not smtp(8)", "");
}

static void dns(const struct sotto_site_conf *c, struct sotto_site_facts *f)
{
	const char *support = get(c, SITE_DNS_SUPPORT), *port = get(c, SITE_PORT);

	if (!sotto_site_words_have(get(c, SITE_HOST_LOOKUP), "dns"))
		against(f, "smtp_host_lookup", get(c, SITE_HOST_LOOKUP));
	if (sotto_site_words_have(support, "disabled") || (sotto_site_words_none(support) && is_yes(c, SITE_DNS_OFF)))
		against(f, "the SMTP client uses no DNS (smtp_dns_support_level, disable_dns_lookups)", "");
	if (*port != 0 && strcmp(port, "smtp") != 0 && strcmp(port, "25") != 0)
		against(f, "smtp_tcp_port", port);
}

static void tls_and_sasl(const struct sotto_site_conf *c, struct sotto_site_facts *f)
{
	enum sotto_site_tls level = sotto_site_conf_tls(c);

	f->dane = level == SOTTO_SITE_TLS_DANE;
	if (level == SOTTO_SITE_TLS_STRONG)
		against(f, "smtp_tls_security_level demands TLS of every peer; it", *get(c, SITE_TLS_LEVEL) != 0 ? get(c, SITE_TLS_LEVEL) : "smtp_enforce_tls");
	if (is_yes(c, SITE_TLS_WRAPPER))
		against(f, "smtp_tls_wrappermode", "yes");
	if (is_yes(c, SITE_SASL_ENABLE) && is_yes(c, SITE_SASL_BY_SENDER))
		against(f, "smtp_sender_dependent_authentication", "yes");
}

static void protocols(const struct sotto_site_conf *c, struct sotto_site_facts *f)
{
	const char *words = get(c, SITE_INET_PROTOCOLS);
	bool all = sotto_site_words_have(words, "all");

	f->ipv4 = all || sotto_site_words_have(words, "ipv4");
	f->ipv6 = all || sotto_site_words_have(words, "ipv6");
	if (!f->ipv4)
		against(f, "IPv4 is off, and the loopback hop needs it: inet_protocols", words);
}

/* An address of this family, with or without brackets. False: it is none. */
static bool literal(const char *word, size_t len, int family, char out[46])
{
	struct in6_addr any;

	if (len >= 2 && word[0] == '[' && word[len - 1] == ']') {
		word++;
		len -= 2;
	}
	if (len >= 46)
		return false;
	memcpy(out, word, len);
	out[len] = 0;
	return inet_pton(family, out, &any) == 1;
}

/* Where inet_interfaces is a single address of a family, Postfix connects from it, but for loopback. */
static void only_interface(const struct sotto_site_conf *c, struct sotto_site_facts *f, int family, char out[46])
{
	const char *at = get(c, SITE_INET_INTERFACES), *word;
	unsigned ours = 0, names = 0, words = 0;
	char address[46], found[46] = "";
	size_t len;

	while ((word = sotto_site_word(&at, &len)) != NULL) {
		words++;
		if (literal(word, len, family, address)) {
			memcpy(found, address, sizeof(found));
			ours++;
		} else if (!literal(word, len, family == AF_INET ? AF_INET6 : AF_INET, address)) {
			names++;
		}
	}
	if (ours == 1 && names == 0 && strncmp(found, "127.", 4) != 0 && strcmp(found, "::1") != 0)
		memcpy(out, found, sizeof(found));
	if (words == 1 && names == 1 && !sotto_site_words_have(get(c, SITE_INET_INTERFACES), "all") &&
	    !sotto_site_words_have(get(c, SITE_INET_INTERFACES), "localhost") &&
	    !sotto_site_words_have(get(c, SITE_INET_INTERFACES), "loopback-only"))
		against(f, "inet_interfaces should be an address (Postfix connects from it), or set smtp_bind_address; it", get(c, SITE_INET_INTERFACES));
}

static void from(const struct sotto_site_conf *c, struct sotto_site_facts *f, enum sotto_site_param p, int family, char out[46])
{
	const char *at = get(c, p);
	size_t len;
	const char *word = sotto_site_word(&at, &len);

	out[0] = 0;
	if (word == NULL) {
		only_interface(c, f, family, out);
	} else if (!literal(word, len, family, out)) {
		out[0] = 0;
		against(f, sotto_site_conf_name(p), get(c, p));
	}
}

void sotto_site_conf_facts(const struct sotto_site_conf *c, struct sotto_site_facts *out)
{
	const char *owner = get(c, SITE_MAIL_OWNER);
	const struct passwd *pw = *owner != 0 ? getpwnam(owner) : NULL;

	memset(out, 0, sizeof(*out));
	out->mail_owner = pw != NULL ? pw->pw_uid : (uid_t)-1;
	(void)snprintf(out->myhostname, sizeof(out->myhostname), "%.255s", get(c, SITE_MYHOSTNAME));
	if (pw == NULL)
		against(out, "Postfix's mail_owner is no user here; it", owner);
	must_be_empty(c, out);
	transports(c, out);
	dns(c, out);
	tls_and_sasl(c, out);
	protocols(c, out);
	from(c, out, SITE_BIND, AF_INET, out->from4);
	from(c, out, SITE_BIND6, AF_INET6, out->from6);
	out->usable = out->why[0] == 0;
}
