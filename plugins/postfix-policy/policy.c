/* SPDX-License-Identifier: ISC */
/* The policy delegation protocol (policy.h), for sotto-policyd's policy service. Reads and writes octets in memory. */
#include "plugins/postfix-policy/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/addr.h"

struct attributes {
	bool policy, data;
	char address[SOTTO_ADDR_TEXT];
	unsigned long port;
};

static bool is(const char *text, size_t n, const char *word)
{
	return n == strlen(word) && memcmp(text, word, n) == 0;
}

static unsigned long read_port(const char *text, size_t n)
{
	unsigned long port = 0;

	if (n == 0 || n > 5)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		port = port * 10 + (unsigned long)(text[i] - '0');
	}
	return port <= 65535 ? port : 0;
}

static void take(struct attributes *a, const char *line, size_t n)
{
	const char *equals = memchr(line, '=', n), *value;
	size_t name_len, len;

	if (equals == NULL)
		return;
	value = equals + 1;
	name_len = (size_t)(equals - line);
	len = n - name_len - 1;
	if (is(line, name_len, "request"))
		a->policy = is(value, len, "smtpd_access_policy");
	else if (is(line, name_len, "protocol_state"))
		a->data = is(value, len, "DATA");
	else if (is(line, name_len, "client_port"))
		a->port = read_port(value, len);
	else if (is(line, name_len, "client_address"))
		(void)snprintf(a->address, sizeof(a->address), "%.*s", len < sizeof(a->address) ? (int)len : 0, value);
}

/* Octets up to and with the empty line; 0: it has not come yet. */
static size_t find_end(const char *octets, size_t n)
{
	const char *end;

	if (n > 0 && octets[0] == '\n')
		return 1;
	end = memmem(octets, n, "\n\n", 2);
	return end == NULL ? 0 : (size_t)(end - octets) + 2;
}

long sotto_policy_read(struct sotto_policy_request *out, const char *octets, size_t n)
{
	size_t all = find_end(octets, n);
	struct attributes a = { 0 };

	memset(out, 0, sizeof(*out));
	if (all > SOTTO_POLICY_REQUEST || (all == 0 && n >= SOTTO_POLICY_REQUEST))
		return -1;
	for (size_t at = 0; at + 1 < all;) {
		const char *line = octets + at, *lf = memchr(line, '\n', all - at);
		size_t len = (size_t)(lf - line);

		take(&a, line, len);
		at += len + 1;
	}
	out->data = a.policy && a.data;
	if (a.port == 0 || sotto_addr_read(&out->peer, a.address, (uint16_t)a.port) != 0)
		memset(&out->peer, 0, sizeof(out->peer));
	else
		sotto_addr_plain(&out->peer);
	return (long)all;
}

size_t sotto_policy_write(char out[SOTTO_POLICY_REPLY], const struct sockaddr_storage *peer, const struct sotto_live *live, const char *host)
{
	char address[SOTTO_ADDR_TEXT];
	int n;

	if (live == NULL || !live->sealed)
		return (size_t)snprintf(out, SOTTO_POLICY_REPLY, "action=DUNNO\n\n");
	sotto_addr_write(address, peer);
	n = snprintf(out, SOTTO_POLICY_REPLY, "action=PREPEND X-Sotto: sealed v=%u id=%s peer=[%s] by=%.255s\n\n", live->version, live->id, address,
		     host);
	return n > 0 && n < SOTTO_POLICY_REPLY ? (size_t)n : (size_t)snprintf(out, SOTTO_POLICY_REPLY, "action=DUNNO\n\n");
}
