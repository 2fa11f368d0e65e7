/* SPDX-License-Identifier: ISC */
/*
 * Discovery: from smtpd's reports and requests (protocol.h), finds out which domains offer XSOTTO before their first mail is routed. The RCPT
 * command of a submission is held for at most SOTTO_DISCOVER_MS, in a session altogether, while the domain's mail server is asked; from
 * others nothing is asked, so that nobody on the network decides whom we connect to. Mail that goes out natively tells as well.
 */
#ifndef SOTTO_OPENSMTPD_PROBES_H
#define SOTTO_OPENSMTPD_PROBES_H

#define SOTTO_DISCOVER_MS 2900	/* so that it is we who answer, and not the parent's patience (talk.h) */

struct sotto_worker;
struct sotto_probes;

/* NULL: no memory. */
struct sotto_probes *sotto_probes_open(struct sotto_worker *w);

/* A line of smtpd's, as the parent hands it on. */
void sotto_probes_hear(struct sotto_probes *p, const char *line);

#endif
