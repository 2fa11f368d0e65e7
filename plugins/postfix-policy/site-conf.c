/* SPDX-License-Identifier: ISC */
/* Reads what postconf(1) says of Postfix's parameters, for site.c. Starts nothing; what follows from it stands in site-facts.c. */
#include "plugins/postfix-policy/site-conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/postfix-policy/site-words.h"

enum owner { MAIN, REWRITE, SMTP };

static const struct { const char *name; enum owner owner; } params[SITE_PARAMS] = {
	[SITE_MYHOSTNAME] = { "myhostname", MAIN },
	[SITE_MAIL_OWNER] = { "mail_owner", MAIN },
	[SITE_CONFIG_DIRECTORY] = { "config_directory", MAIN },
	[SITE_COMMAND_DIRECTORY] = { "command_directory", MAIN },
	[SITE_INSTANCES] = { "multi_instance_directories", MAIN },
	[SITE_INSTANCE_NAME] = { "multi_instance_name", MAIN },
	[SITE_MYDESTINATION] = { "mydestination", REWRITE },
	[SITE_ALIAS_DOMAINS] = { "virtual_alias_domains", REWRITE },
	[SITE_MAILBOX_DOMAINS] = { "virtual_mailbox_domains", REWRITE },
	[SITE_RELAY_DOMAINS] = { "relay_domains", REWRITE },
	[SITE_PARENT_MATCHES] = { "parent_domain_matches_subdomains", REWRITE },
	[SITE_TRANSPORT_MAPS] = { "transport_maps", REWRITE },
	[SITE_DEFAULT_TRANSPORT] = { "default_transport", REWRITE },
	[SITE_VERIFY_DEFAULT_TRANSPORT] = { "address_verify_default_transport", REWRITE },
	[SITE_RELAYHOST] = { "relayhost", REWRITE },
	[SITE_SENDER_RELAYHOST] = { "sender_dependent_relayhost_maps", REWRITE },
	[SITE_SENDER_TRANSPORT] = { "sender_dependent_default_transport_maps", REWRITE },
	[SITE_VERIFY_RELAYHOST] = { "address_verify_relayhost", REWRITE },
	[SITE_VERIFY_SENDER_RELAYHOST] = { "address_verify_sender_dependent_relayhost_maps", REWRITE },
	[SITE_VERIFY_SENDER_TRANSPORT] = { "address_verify_sender_dependent_default_transport_maps", REWRITE },
	[SITE_INET_PROTOCOLS] = { "inet_protocols", SMTP },
	[SITE_INET_INTERFACES] = { "inet_interfaces", SMTP },
	[SITE_BIND] = { "smtp_bind_address", SMTP },
	[SITE_BIND6] = { "smtp_bind_address6", SMTP },
	[SITE_TLS_LEVEL] = { "smtp_tls_security_level", SMTP },
	[SITE_USE_TLS] = { "smtp_use_tls", SMTP },
	[SITE_ENFORCE_TLS] = { "smtp_enforce_tls", SMTP },
	[SITE_TLS_WRAPPER] = { "smtp_tls_wrappermode", SMTP },
	[SITE_TLS_PER_SITE] = { "smtp_tls_per_site", SMTP },
	[SITE_TLS_POLICY] = { "smtp_tls_policy_maps", SMTP },
	[SITE_SASL_ENABLE] = { "smtp_sasl_auth_enable", SMTP },
	[SITE_SASL_PASSWORDS] = { "smtp_sasl_password_maps", SMTP },
	[SITE_SASL_BY_SENDER] = { "smtp_sender_dependent_authentication", SMTP },
	[SITE_DISCARD_MAPS] = { "smtp_discard_ehlo_keyword_address_maps", SMTP },
	[SITE_PIX_MAPS] = { "smtp_pix_workaround_maps", SMTP },
	[SITE_HOST_LOOKUP] = { "smtp_host_lookup", SMTP },
	[SITE_DNS_SUPPORT] = { "smtp_dns_support_level", SMTP },
	[SITE_DNS_OFF] = { "disable_dns_lookups", SMTP },
	[SITE_DNS_FILTER] = { "smtp_dns_reply_filter", SMTP },
	[SITE_SRV] = { "use_srv_lookup", SMTP },
	[SITE_PORT] = { "smtp_tcp_port", SMTP },
};

const char *sotto_site_conf_name(enum sotto_site_param p)
{
	return params[p].name;
}

const char *sotto_site_conf_get(const struct sotto_site_conf *c, enum sotto_site_param p)
{
	return c->value[p] != NULL ? c->value[p] : "";
}

/* Sets the parameter of this name, where the owner reads it. */
static int set(struct sotto_site_conf *c, const char *name, size_t len, const char *value, size_t value_len, bool in_main, enum owner owner)
{
	for (size_t i = 0; i < SITE_PARAMS; i++) {
		char *copy;

		if (!sotto_site_word_is(name, len, params[i].name) || (!in_main && params[i].owner != owner))
			continue;
		copy = strndup(value, value_len);
		if (copy == NULL)
			return -ENOMEM;
		free(c->value[i]);
		c->value[i] = copy;
	}
	return 0;
}

/* Takes "NAME = value" apart, or "NAME =". False: it is no such line. */
static bool apart(const char *line, size_t len, size_t *name_len, const char **value, size_t *value_len)
{
	const char *sign = memmem(line, len, " =", 2);

	if (sign == NULL || sign == line)
		return false;
	*name_len = (size_t)(sign - line);
	*value = sign + 2;
	*value_len = len - *name_len - 2;
	if (*value_len > 0 && **value == ' ') {
		(*value)++;
		(*value_len)--;
	}
	return true;
}

static int lines(struct sotto_site_conf *c, const char *text, const char *prefix, bool in_main, enum owner owner)
{
	for (const char *line = text, *next; *line != 0; line = next) {
		size_t len = strcspn(line, "\n"), name_len, value_len, skip = strlen(prefix);
		const char *value;

		next = line + len + (line[len] == '\n');
		if (!apart(line, len, &name_len, &value, &value_len) || name_len <= skip || memcmp(line, prefix, skip) != 0)
			continue;
		if (set(c, line + skip, name_len - skip, value, value_len, in_main, owner) != 0)
			return -ENOMEM;
	}
	return 0;
}

int sotto_site_conf_main(struct sotto_site_conf *c, const char *text)
{
	return lines(c, text, "", true, MAIN);
}

int sotto_site_conf_overrides(struct sotto_site_conf *c, const char *text)
{
	int error = lines(c, text, "smtp/unix/", false, SMTP);

	return error != 0 ? error : lines(c, text, "rewrite/unix/", false, REWRITE);
}

/* name type private unprivileged chroot wakeup limit command */
void sotto_site_conf_services(struct sotto_site_conf *c, const char *text)
{
	c->smtp = false;
	for (const char *line = text, *next; *line != 0; line = next) {
		size_t len = strcspn(line, "\n"), n;
		const char *at = line, *word[8] = { NULL };
		size_t lens[8] = { 0 };

		next = line + len + (line[len] == '\n');
		for (n = 0; n < 8 && (word[n] = sotto_site_word(&at, &lens[n])) != NULL && word[n] < line + len; n++)
			;
		if (n == 8 && sotto_site_word_is(word[0], lens[0], "smtp") && sotto_site_word_is(word[1], lens[1], "unix"))
			c->smtp = sotto_site_word_is(word[7], lens[7], "smtp");
	}
}

void sotto_site_conf_free(struct sotto_site_conf *c)
{
	for (size_t i = 0; i < SITE_PARAMS; i++)
		free(c->value[i]);
	memset(c, 0, sizeof(*c));
}

static bool yes(const struct sotto_site_conf *c, enum sotto_site_param p)
{
	return sotto_site_words_have(sotto_site_conf_get(c, p), "yes");
}

enum sotto_site_tls sotto_site_conf_tls(const struct sotto_site_conf *c)
{
	return sotto_site_tls_default(sotto_site_conf_get(c, SITE_TLS_LEVEL), yes(c, SITE_ENFORCE_TLS), yes(c, SITE_USE_TLS));
}
