/* SPDX-License-Identifier: ISC */
/*
 * Which TLS policy of Postfix's SMTP client would be another one on the hop. Its levels, from weak to strong: none, may, and
 * everything else, which demands something. Pure.
 */
#ifndef SOTTO_POSTFIX_SITE_TLS_H
#define SOTTO_POSTFIX_SITE_TLS_H

#include <stdbool.h>

enum sotto_site_tls {
	SOTTO_SITE_TLS_NONE,
	SOTTO_SITE_TLS_MAY,
	SOTTO_SITE_TLS_DANE,	/* as strong as the peer's TLSA records */
	SOTTO_SITE_TLS_STRONG	/* encrypt and up, dane-only, and what isn't known here */
};

/* The default: smtp_tls_security_level, or, where that is empty, smtp_enforce_tls and smtp_use_tls. */
enum sotto_site_tls sotto_site_tls_default(const char *level, bool enforce, bool use);

/*
 * Does an entry of smtp_tls_policy_maps ask for something that the hop, which goes by the default, does not do? Where the default is
 * dane, `may` does not: TLSA records only make fewer sessions go through the hop.
 */
bool sotto_site_tls_against(enum sotto_site_tls by_default, const char *entry);

#endif
