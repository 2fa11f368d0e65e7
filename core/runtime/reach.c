/* SPDX-License-Identifier: ISC */
/* Words and conclusions for sotto-session --to (reach.h). Pure: no file, no descriptor, no clock. */
#include "core/runtime/reach.h"

#include <stdio.h>
#include <string.h>

#include "core/runtime/addr.h"

/* Of a domain's greatest length, and printable: it stands in a line that our mail server logs. */
#define DOMAIN_MAX 255

void sotto_reach_name(char out[SOTTO_PEER_NAME], const char *host, const struct sockaddr_storage *peer, socklen_t peer_len)
{
	char address[SOTTO_ADDR_TEXT] = "";

	if (peer_len > 0)
		sotto_addr_write(address, peer);
	(void)snprintf(out, SOTTO_PEER_NAME, "%.253s%s%s%s", host != NULL ? host : "", address[0] != '\0' ? "[" : "", address,
		       address[0] != '\0' ? "]" : "");
}

static void printable(char out[DOMAIN_MAX + 1], const char *domain)
{
	size_t n = 0;

	for (; n < DOMAIN_MAX && domain[n] != '\0'; n++)
		out[n] = (char)(domain[n] > 0x20 && domain[n] < 0x7f ? domain[n] : '?');
	out[n] = '\0';
}

void sotto_reach_line(char out[SOTTO_REACH_LINE], const char *domain, const struct sotto_dial_result *r)
{
	char name[SOTTO_PEER_NAME], shown[DOMAIN_MAX + 1];

	sotto_reach_name(name, r->host, &r->peer, r->peer_len);
	printable(shown, domain);
	if (name[0] == '\0')
		(void)snprintf(out, SOTTO_REACH_LINE, "421 4.4.1 No connection for %s: %s\r\n", shown, sotto_dial_error(r->error));
	else
		(void)snprintf(out, SOTTO_REACH_LINE, "421 4.4.1 No connection to %s: %s\r\n", name, sotto_dial_error(r->error));
}

enum sotto_domain_offer sotto_reach_learnt(const struct sotto_report *report, bool over)
{
	if (report->refusal != 0)
		return SOTTO_DOMAIN_NO;
	if (report->offer_known)
		return report->offered ? SOTTO_DOMAIN_YES : SOTTO_DOMAIN_NO;
	return over && report->outcome != SOTTO_OUTCOME_OPEN ? SOTTO_DOMAIN_NO : SOTTO_DOMAIN_UNKNOWN;
}
