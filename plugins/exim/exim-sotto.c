/* SPDX-License-Identifier: ISC */
/*
 * exim-sotto.c - the functions that Exim calls through ${dlfunc{/usr/lib/sotto/exim-sotto.so}{NAME}…}.
 *
 *     sotto_in     main option acl_smtp_connect; the connection is accepted, nothing has been sent
 *     sotto_out    the smtp transport's helo_data; the connection stands, nothing has been read or sent
 *     sotto_trace  main option received_header_text
 *
 * They never fail, with one exception: a peer that encryption is required of, and no session for it.
 */
#include "plugins/exim/exim.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/addr.h"
#include "plugins/exim/complain.h"
#include "plugins/exim/conf.h"
#include "plugins/exim/decide.h"
#include "plugins/exim/find.h"
#include "plugins/exim/interpose.h"
#include "plugins/exim/paths.h"
#include "plugins/exim/trace.h"

#define CONF SOTTO_CONF_DIR "/sotto.conf"
#define REQUIRE SOTTO_CONF_DIR "/require"
#define NAME_OCTETS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

SOTTO_EXPORT exim_dlfunc_t sotto_in, sotto_out, sotto_trace;

/* The last connection that this process made is under an order to be sealed, so every message may go down it. */
static bool sealed_by_order;

/* Given to Exim as an ACL, which it expands. 451 is what a `defer` in acl_smtp_connect makes of itself. */
static uschar refusal[] =
	"defer message = 4.7.5 Encryption (XSOTTO) is required of this host, and is not available at the moment\n"
	"  log_message = sotto: $sender_host_address is listed in " REQUIRE ", but there is no session for it";

static const char *variable(const char *dollar_name)
{
	const uschar *value = expand_string(US dollar_name);

	return value != NULL ? (const char *)value : "";
}

static void report(const char *what, const struct sotto_peer *peer, const char *why)
{
	char address[SOTTO_ADDR_TEXT];

	sotto_addr_write(address, peer->addr);
	sotto_complain("no session %s [%s]: %s; %s", peer->outbound ? "to" : "from", address, why, what);
}

/* Why no session can take the place of what was found, or NULL. */
static const char *obstacle(const struct sotto_found *found)
{
	if (found->n == 0)
		return "none of our descriptors leads to it (is there a proxy in between?)";
	return found->used ? "something has been sent over the connection already" : NULL;
}

/* ---- inbound --------------------------------------------------------------------------------------------- */

static bool start_inbound(const struct sotto_found *found, const struct sotto_peer *peer, bool must)
{
	struct sotto_order order = { .role = "accept", .peer = peer->host, .required = must, .keep_starttls = true };
	char why[256];

	if (obstacle(found) != NULL)
		(void)snprintf(why, sizeof(why), "%s", obstacle(found));
	else if (sotto_interpose(found, &order, why, sizeof(why)) == 0)
		return true;
	report(must ? "it is told to come back later" : "going on without it", peer, why);
	return false;
}

/* Port 25, and not from this host. What comes through a proxy is known to Exim only. */
static bool is_for_us(const struct sotto_found *found, const struct sockaddr_storage *addr)
{
	if (found->n > 0)
		return sotto_addr_port(&found->local) == SOTTO_SMTP_PORT && !sotto_on_loopback(found);
	return interface_port == SOTTO_SMTP_PORT && !sotto_addr_loopback(addr);
}

/* Whether the connection may go on. */
static bool handle_inbound(const struct sockaddr_storage *addr)
{
	struct sotto_peer peer = { .host = (const char *)sender_host_name, .addr = addr };
	char err[256] = "";
	struct sotto_found found;
	enum sotto_verdict verdict;

	sotto_find(&found, addr);
	if (!is_for_us(&found, addr))
		return true;
	verdict = sotto_decide(&peer, err, sizeof(err));
	if (err[0] != '\0')
		sotto_complain("%s", err);
	if (verdict == SOTTO_LEAVE || (verdict == SOTTO_SEAL && obstacle(&found) != NULL))
		return true;
	return start_inbound(&found, &peer, verdict == SOTTO_MUST) || verdict != SOTTO_MUST;
}

/* Argument: the administrator's own acl_smtp_connect, which comes back as it is; without it, what Exim does without that option. */
int sotto_in(uschar **yield, int argc, uschar *argv[])
{
	static uschar accept[] = "accept";
	struct sockaddr_storage addr;

	*yield = argc > 0 ? argv[0] : accept;
	if (sender_host_address == NULL || host_checking || smtp_batched_input || sender_host_port <= 0 ||
	    sender_host_port > UINT16_MAX || sotto_hints_read(CONF).off ||
	    sotto_addr_read(&addr, (const char *)sender_host_address, (uint16_t)sender_host_port) != 0)
		return OK;
	if (!handle_inbound(&addr))
		*yield = refusal;
	return OK;
}

/* ---- outbound -------------------------------------------------------------------------------------------- */

/*
 * Whether aliases and .forward files may have put others in the place of this domain's recipients, whom we don't get to
 * know. Debian's routers do that for +local_domains. A name that is none is not put into an expansion.
 */
static bool may_be_redirected(const char *domain)
{
	char text[512];
	const uschar *answer;

	if (domain[0] == '\0' || domain[strspn(domain, NAME_OCTETS)] != '\0' || strlen(domain) > 255)
		return true;
	(void)snprintf(text, sizeof(text), "${if match_domain{%s}{+local_domains}{yes}{no}}", domain);
	answer = expand_string(US text);
	return answer == NULL || strcmp((const char *)answer, "no") != 0;
}

/*
 * $domain is empty when the recipients are of several; then each recipient of the message counts, and one that may stand for others
 * counts as listed: nothing may go out in the clear that must not.
 */
static bool any_recipient_listed(const struct sotto_peer *peer, char *err, size_t len)
{
	bool names = sotto_list_has_names(REQUIRE);
	struct sotto_peer one = *peer;

	for (int i = 0; i < recipients_count; i++) {
		const char *at = strrchr((const char *)recipients_list[i].address, '@');

		if (at == NULL)
			continue;
		one.domain = at + 1;
		if (sotto_listed("require", &one, err, len) || (names && may_be_redirected(one.domain)))
			return true;
	}
	return false;
}

/*
 * Where TLS may be demanded of the host, STARTTLS stays visible: by hosts_require_tls (the arguments behind the first,
 * which Exim expands here and not before), or by DANE; an answer that does not come may have been "yes". What other
 * transports demand is not known here, nor whether a smarthost takes our password without TLS. Name servers that drop what they do
 * not know are common; Exim's own patience with them, 10 seconds for each, would hold the mail up.
 */
static bool tls_may_be_demanded(int argc, uschar *argv[], const char *host, const char *address)
{
	static uschar tlsa[] = "${lookup dnsdb{defer_strict,retrans_2s,retry_1,tlsa=_25._tcp.$host}{yes}{no}}";
	const uschar *answer;

	if (strcmp(variable("$transport_name"), "remote_smtp") != 0)
		return true;
	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '\0' && lss_match_host(US host, US address, argv[i]) != FAIL)
			return true;
	answer = expand_string(tlsa);
	return answer == NULL || strcmp((const char *)answer, "no") != 0;
}

/* Exim's own standard input is our pair: a connection that another process began, passed on (exim -MC). */
static bool passed_on(void)
{
	struct sockaddr_storage end;
	socklen_t len = sizeof(end);

	memset(&end, 0, sizeof(end));
	if (getpeername(0, (struct sockaddr *)&end, &len) != 0)
		return false;
	sotto_addr_plain(&end);
	return sotto_addr_loopback(&end);
}

static int fail(uschar **yield, const char *why)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "sotto: the host or a recipient is listed in %s, but there is no session: %s",
		       REQUIRE, why);
	*yield = string_copy(US text);
	return FAIL;	/* for helo_data: the delivery is deferred, before anything of it was sent */
}

struct outbound {
	struct sotto_peer peer;
	struct sockaddr_storage addr;
	struct sotto_found found;
	enum sotto_verdict verdict;
};

static void decide_outbound(struct outbound *o, bool several_domains)
{
	char err[256] = "";

	o->peer.required = several_domains && sotto_list_has_entries(REQUIRE) &&
			   any_recipient_listed(&o->peer, err, sizeof(err));
	o->verdict = sotto_decide(&o->peer, err, sizeof(err));
	if (err[0] != '\0')
		sotto_complain("%s", err);
}

static int start_outbound(struct outbound *o, bool keep_starttls, char *why, size_t len)
{
	struct sotto_order order = {
		.role = "connect", .peer = o->peer.host, .domain = o->peer.domain,
		.required = o->verdict == SOTTO_MUST, .keep_starttls = keep_starttls,
	};

	if (obstacle(&o->found) != NULL) {
		(void)snprintf(why, len, "%s", obstacle(&o->found));
		return -1;
	}
	if (sotto_interpose(&o->found, &order, why, len) == 0) {
		sealed_by_order = order.required;
		return 0;
	}
	if (!order.required)
		report("going on without it", &o->peer, why);
	return -1;
}

static int handle_outbound(struct outbound *o, const struct sotto_hints *hints, int argc, uschar *argv[], uschar **yield)
{
	char why[256];
	bool keep;

	if (sotto_find(&o->found, &o->addr) == 0 ? passed_on() : sotto_on_loopback(&o->found))
		return OK;
	decide_outbound(o, o->peer.domain[0] == '\0');
	if (o->verdict == SOTTO_LEAVE || (o->verdict == SOTTO_SEAL && obstacle(&o->found) != NULL))
		return OK;
	keep = !hints->skip || tls_may_be_demanded(argc, argv, o->peer.host, variable("$host_address"));
	if (start_outbound(o, keep, why, sizeof(why)) != 0 && o->verdict == SOTTO_MUST)
		return fail(yield, why);
	return OK;
}

/*
 * No connection: Exim compares what it would say for another message with what it said for this one, to see whether
 * that message may go down the same connection. It may belong to a domain that must be sealed, which nobody would
 * ask us about again. So the answer is one that no other equals.
 */
static void compare(uschar **yield)
{
	static unsigned count;
	char text[512];

	if (sealed_by_order || !sotto_list_has_entries(REQUIRE) || sotto_hints_read(CONF).off)
		return;
	(void)snprintf(text, sizeof(text), "%u %s", ++count, (const char *)*yield);
	*yield = string_copy(US text);
}

/* Arguments: the name for EHLO; lists as in hosts_require_tls, any number. */
int sotto_out(uschar **yield, int argc, uschar *argv[])
{
	const char *address = variable("$host_address");
	long port = strtol(variable("$host_port"), NULL, 10);
	struct sotto_hints hints;
	struct outbound o;

	*yield = argc > 0 ? argv[0] : US variable("$primary_hostname");
	if (address[0] == '\0') {
		compare(yield);
		return OK;
	}
	sealed_by_order = false;
	if (port != SOTTO_SMTP_PORT || sotto_addr_read(&o.addr, address, SOTTO_SMTP_PORT) != 0)
		return OK;
	hints = sotto_hints_read(CONF);
	if (hints.off)
		return OK;
	o.peer = (struct sotto_peer){ .host = variable("$host"), .domain = variable("$domain"), .addr = &o.addr,
				      .outbound = true };
	return handle_outbound(&o, &hints, argc, argv, yield);
}

/* ---- trace ----------------------------------------------------------------------------------------------- */

int sotto_trace(uschar **yield, int argc, uschar *argv[])
{
	char text[SOTTO_TRACE_TEXT];

	(void)argc;
	(void)argv;
	sotto_trace_text(text, sizeof(text), (const char *)sender_host_address, sender_host_port,
			 variable("$primary_hostname"));
	*yield = string_copy(US text);
	return OK;
}
