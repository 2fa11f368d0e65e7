/* SPDX-License-Identifier: ISC */
/*
 * What `postconf -x NAME…`, `postconf -xP` and `postconf -M` say, and what follows from it for the hop as a whole. Pure, but for
 * getpwnam(3) in sotto_site_conf_facts.
 */
#ifndef SOTTO_POSTFIX_SITE_CONF_H
#define SOTTO_POSTFIX_SITE_CONF_H

#include "plugins/postfix-policy/site.h"
#include "plugins/postfix-policy/site-tls.h"

enum sotto_site_param {
	SITE_MYHOSTNAME, SITE_MAIL_OWNER, SITE_CONFIG_DIRECTORY, SITE_COMMAND_DIRECTORY, SITE_INSTANCES, SITE_INSTANCE_NAME,
	/* what decides where mail goes: rewrite/unix */
	SITE_MYDESTINATION, SITE_ALIAS_DOMAINS, SITE_MAILBOX_DOMAINS, SITE_RELAY_DOMAINS, SITE_PARENT_MATCHES, SITE_TRANSPORT_MAPS,
	SITE_DEFAULT_TRANSPORT, SITE_VERIFY_DEFAULT_TRANSPORT, SITE_RELAYHOST, SITE_SENDER_RELAYHOST, SITE_SENDER_TRANSPORT,
	SITE_VERIFY_RELAYHOST, SITE_VERIFY_SENDER_RELAYHOST, SITE_VERIFY_SENDER_TRANSPORT,
	/* what the SMTP client does: smtp/unix */
	SITE_INET_PROTOCOLS, SITE_INET_INTERFACES, SITE_BIND, SITE_BIND6, SITE_TLS_LEVEL, SITE_USE_TLS, SITE_ENFORCE_TLS, SITE_TLS_WRAPPER,
	SITE_TLS_PER_SITE, SITE_TLS_POLICY, SITE_SASL_ENABLE, SITE_SASL_PASSWORDS, SITE_SASL_BY_SENDER, SITE_DISCARD_MAPS, SITE_PIX_MAPS,
	SITE_HOST_LOOKUP, SITE_DNS_SUPPORT, SITE_DNS_OFF, SITE_DNS_FILTER, SITE_SRV, SITE_PORT,
	SITE_PARAMS
};

struct sotto_site_conf {
	char *value[SITE_PARAMS];	/* NULL: this Postfix does not know it */
	bool smtp;	/* smtp/unix is smtp(8) */
};

const char *sotto_site_conf_name(enum sotto_site_param p);

/* The value, "" where there is none. */
const char *sotto_site_conf_get(const struct sotto_site_conf *c, enum sotto_site_param p);

/* `NAME = value` lines. */
int sotto_site_conf_main(struct sotto_site_conf *c, const char *text);

/* `SERVICE/TYPE/NAME = value` lines; those of the service that reads the parameter count. */
int sotto_site_conf_overrides(struct sotto_site_conf *c, const char *text);

/* Services, as they stand in master.cf. */
void sotto_site_conf_services(struct sotto_site_conf *c, const char *text);

void sotto_site_conf_free(struct sotto_site_conf *c);

enum sotto_site_tls sotto_site_conf_tls(const struct sotto_site_conf *c);

/* All but what tables say. */
void sotto_site_conf_facts(const struct sotto_site_conf *c, struct sotto_site_facts *out);

#endif
