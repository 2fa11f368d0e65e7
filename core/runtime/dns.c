/* SPDX-License-Identifier: ISC */
/*
 * Reads DNS replies for mx.c. It decides nothing (which hosts are kept, in which order) and trusts
 * nothing: every length is checked before it is used. It never allocates, sends or waits.
 */
#include "core/runtime/dns.h"

#include <string.h>

#define HEADER 12
#define FIXED 10	/* type, class, TTL, length: RFC 1035 3.2.1 */
#define CLASS_IN 1

static unsigned u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/*
 * RFC 1123 2.1, and '_', which many hosts bear. Nothing that could do harm in a log line or a
 * reply.
 */
static char host_char(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
		return (char)c;
	return 0;
}

/* Appends one label, and the dot before it, to the name in out (*len characters). */
static int add_label(char out[SOTTO_DNS_NAME], size_t *len, const uint8_t *label, size_t n)
{
	size_t at = *len;

	if (at + (at > 0) + n >= SOTTO_DNS_NAME)
		return SOTTO_DNS_BROKEN;
	if (at > 0)
		out[at++] = '.';
	for (size_t i = 0; i < n; i++) {
		out[at] = host_char(label[i]);
		if (out[at++] == 0)
			return SOTTO_DNS_BROKEN;
	}
	*len = at;
	return 0;
}

/*
 * Expands the name at `at`, which ends before `end` (RFC 1035, 4.1.4). A pointer has to lead
 * further back than everything read so far, so there are no loops, and the length of the text ends
 * whatever else may be tried.
 */
static int expand(const struct sotto_dns_reader *r, size_t at, size_t end, char out[SOTTO_DNS_NAME])
{
	size_t len = 0, floor = at;

	while (at < end) {
		unsigned n = r->msg[at];

		if (n == 0) {
			out[len] = 0;
			return 0;
		}
		if (n >= 0xc0) {
			if (end - at < 2 || (u16(r->msg + at) & 0x3fff) >= floor)
				break;
			floor = at = u16(r->msg + at) & 0x3fff;
			continue;
		}
		if (n > 63 || n >= end - at || add_label(out, &len, r->msg + at + 1, n) != 0)
			break;
		at += 1 + n;
	}
	out[0] = 0;
	return SOTTO_DNS_BROKEN;
}

/* Moves at behind the name that stands there, without following pointers. */
static int skip_name(const struct sotto_dns_reader *r, size_t *at)
{
	size_t p = *at;

	while (p < r->len && r->msg[p] != 0 && r->msg[p] < 0xc0) {
		if (r->msg[p] > 63)
			return SOTTO_DNS_BROKEN;
		p += 1u + r->msg[p];
	}
	if (p >= r->len)
		return SOTTO_DNS_BROKEN;
	p += r->msg[p] == 0 ? 1 : 2;
	if (p > r->len)
		return SOTTO_DNS_BROKEN;
	*at = p;
	return 0;
}

int sotto_dns_begin(struct sotto_dns_reader *r, const uint8_t *msg, size_t len)
{
	*r = (struct sotto_dns_reader){ .msg = msg, .len = len, .at = HEADER };
	if (len < HEADER)
		return SOTTO_DNS_BROKEN;
	for (unsigned n = u16(msg + 4); n > 0; n--) {
		if (skip_name(r, &r->at) != 0 || r->len - r->at < 4)
			return SOTTO_DNS_BROKEN;
		r->at += 4;
	}
	r->left = u16(msg + 6);
	return 0;
}

/*
 * The data of a record, n octets at `at`, and its owner's name where that is wanted. Returns 1 when
 * it is one of ours and as it should be.
 */
static int data(const struct sotto_dns_reader *r, size_t owner, size_t at, size_t n,
		struct sotto_dns_record *out)
{
	switch (out->type) {
	case SOTTO_DNS_A:
	case SOTTO_DNS_AAAA:
		if (n != (out->type == SOTTO_DNS_A ? 4 : 16))
			return 0;
		memcpy(out->address, r->msg + at, n);
		(void)!expand(r, owner, at, out->name);
		return 1;
	case SOTTO_DNS_TLSA:
		return 1;
	case SOTTO_DNS_MX:
		if (n < 2)
			return 0;
		out->preference = (uint16_t)u16(r->msg + at);
		out->odd = expand(r, at + 2, at + n, out->name) != 0;
		return 1;
	default:
		return 0;
	}
}

int sotto_dns_next(struct sotto_dns_reader *r, struct sotto_dns_record *out)
{
	for (; r->left > 0; r->left--) {
		size_t n, owner = r->at, at = owner;
		const uint8_t *fixed;

		*out = (struct sotto_dns_record){ 0 };
		if (skip_name(r, &at) != 0 || r->len - at < FIXED)
			return SOTTO_DNS_BROKEN;
		fixed = r->msg + at;
		n = u16(fixed + 8);
		at += FIXED;
		if (r->len - at < n)
			return SOTTO_DNS_BROKEN;
		r->at = at + n;
		out->type = (uint16_t)u16(fixed);
		if (u16(fixed + 2) == CLASS_IN && data(r, owner, at, n, out) == 1) {
			r->left--;
			return 1;
		}
	}
	*out = (struct sotto_dns_record){ 0 };
	return 0;
}

int sotto_dns_host_name(char out[SOTTO_DNS_NAME], const char *in)
{
	size_t len = 0;
	size_t total = strnlen(in, SOTTO_DNS_NAME + 1);

	if (total > 0 && total <= SOTTO_DNS_NAME && in[total - 1] == '.')
		total--;
	for (size_t at = 0, n; at <= total; at += n + 1) {
		const char *dot = memchr(in + at, '.', total - at);

		n = dot != NULL ? (size_t)(dot - in) - at : total - at;
		if (n < 1 || n > 63 || add_label(out, &len, (const uint8_t *)in + at, n) != 0) {
			out[0] = 0;
			return SOTTO_DNS_BROKEN;
		}
	}
	out[len] = 0;
	return 0;
}
