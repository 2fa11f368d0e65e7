/* SPDX-License-Identifier: ISC */
/* The two protocols of the connector (request.h). Called by connector.c and daemon.c; opens nothing but the file require. */
#include "plugins/postfix-policy/request.h"

#include <stdio.h>
#include <string.h>

#include "core/runtime/addr.h"
#include "core/runtime/names.h"

#define DIGITS 6	/* of SOTTO_MAP_MAX */
#define DOMAIN 255

/* ---- where it ends ---- */

struct text {
	const char *p;
	size_t n;
};

/* As sotto_request_length; inside: what stands between the colon and the comma. */
static ssize_t netstring(const char *p, size_t n, struct text *inside)
{
	size_t len = 0, i = 0;

	while (i < n && p[i] >= '0' && p[i] <= '9') {
		if (i == DIGITS || (i > 0 && len == 0))
			return -1;
		len = 10 * len + (size_t)(p[i++] - '0');
	}
	if (len > SOTTO_MAP_MAX || (i < n && (p[i] != ':' || i == 0)))
		return -1;
	if (i == n || n - i - 1 <= len)
		return 0;
	if (p[i + 1 + len] != ',')
		return -1;
	*inside = (struct text){ p + i + 1, len };
	return (ssize_t)(i + len + 2);
}

static ssize_t lines(const char *p, size_t n)
{
	const char *end;

	if (n > 0 && p[0] == '\n')
		return 1;
	end = memmem(p, n, "\n\n", 2);
	return end != NULL ? end - p + 2 : 0;
}

ssize_t sotto_request_length(enum sotto_protocol protocol, const char *p, size_t n)
{
	struct text inside;

	return protocol == SOTTO_MAP ? netstring(p, n, &inside) : lines(p, n);
}

/* ---- whether it is an answer ---- */

/* Text that begins so and goes on by `more` octets at least, without control characters. */
static bool is(struct text t, const char *begin, size_t more)
{
	size_t n = strlen(begin);

	if (t.n < n + more || memcmp(t.p, begin, n) != 0)
		return false;
	for (size_t i = 0; i < t.n; i++)
		if ((unsigned char)t.p[i] < ' ' || t.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_same(struct text t, const char *whole)
{
	return t.n == strlen(whole) && memcmp(t.p, whole, t.n) == 0;
}

bool sotto_answer_is_good(enum sotto_protocol protocol, const char *p, size_t n)
{
	struct text t = { p, n };

	if (protocol == SOTTO_MAP)
		return netstring(p, n, &t) == (ssize_t)n && (is(t, "OK ", 1) || is(t, "NOTFOUND ", 0) || is(t, "TEMP ", 0));
	if (lines(p, n) != (ssize_t)n || n < 2)
		return false;
	t.n -= 2;
	return is_same(t, "action=DUNNO") || is(t, "action=PREPEND ", 1);
}

/* ---- without the daemon ---- */

/* The domain of "transport local@domain", or false. */
static bool domain_of(char domain[DOMAIN + 1], struct text t)
{
	static const char map[] = "transport ";
	const char *at = memrchr(t.p, '@', t.n);
	size_t n;

	if (!is(t, map, 1) || at == NULL)
		return false;
	n = t.n - (size_t)(at + 1 - t.p);
	if (n == 0 || n > DOMAIN)
		return false;
	memcpy(domain, at + 1, n);
	domain[n] = '\0';
	return true;
}

/* RFC 5321, 4.1.3: "[192.0.2.1]" and "[IPv6:2001:db8::1]". */
static bool is_literal(const char *domain, struct sockaddr_storage *address)
{
	char text[DOMAIN + 1];
	size_t n = strlen(domain);

	if (domain[0] != '[' || domain[n - 1] != ']')
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", (int)(n - 2), domain + 1);
	return sotto_addr_read(address, text + (strncasecmp(text, "IPv6:", 5) == 0 ? 5 : 0), 25) == 0;
}

static bool is_required(struct text request, const char *require, char *err, size_t len)
{
	struct sockaddr_storage address;
	char domain[DOMAIN + 1];
	struct sotto_who who = { .domain = domain };

	if (!domain_of(domain, request))
		return false;
	if (is_literal(domain, &address))
		who.addr = (const struct sockaddr *)&address;
	return sotto_names_match(require, &who, err, len) == 1;
}

static size_t put(char out[SOTTO_FALLBACK_MAX], const char *answer)
{
	return (size_t)snprintf(out, SOTTO_FALLBACK_MAX, "%zu:%s,", strlen(answer), answer);
}

size_t sotto_fallback(enum sotto_protocol protocol, const char *p, size_t n, const char *require, char out[SOTTO_FALLBACK_MAX], char *err,
		      size_t len)
{
	struct text inside = { p, 0 };

	if (protocol == SOTTO_POLICY)
		return (size_t)snprintf(out, SOTTO_FALLBACK_MAX, "action=DUNNO\n\n");
	if (netstring(p, n, &inside) > 0 && is_required(inside, require, err, len))
		return put(out, "TEMP encryption is required for this domain, and sotto-policyd does not answer");
	return put(out, "NOTFOUND ");
}
