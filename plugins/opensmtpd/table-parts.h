/* SPDX-License-Identifier: ISC */
/* What table.c and table-alone.c have in common, and nobody else needs. */
#ifndef SOTTO_OPENSMTPD_TABLE_PARTS_H
#define SOTTO_OPENSMTPD_TABLE_PARTS_H

#include "plugins/opensmtpd/route.h"
#include "plugins/opensmtpd/table.h"

#define SOTTO_TABLE_NOWHERE "127.127.255.255"	/* of the hop; no domain's but by a chance of one in four millions: mail there waits */

/* Whether encryption is required of the domain, or of the mail server that its route names; r may be zero. */
bool sotto_table_required(const struct sotto_table *t, const char *domain, const struct sotto_route *r);

/* domain: as state-name.h makes it. */
bool sotto_table_listed(const struct sotto_table *t, const char *file, const char *domain);

#endif
