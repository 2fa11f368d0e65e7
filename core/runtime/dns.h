/* SPDX-License-Identifier: ISC */
/*
 * A reader of DNS replies (RFC 1035, 4.1): MX, A, AAAA and TLSA records of the answer section, one
 * after the other.
 *
 * No heap, no descriptor, no clock. A reply is hostile until proved otherwise: the time to read one
 * is linear in its length (65,535 octets at most) but for a factor of 255 for compressed names, and
 * nothing that a record says makes the reader look outside it.
 *
 * (c-ares could parse them too, but up to 1.18 it expands a compressed name without a bound and
 * keeps every record: a reply of 64 KiB can ask it for gigabytes.)
 */
#ifndef SOTTO_RUNTIME_DNS_H
#define SOTTO_RUNTIME_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"

#define SOTTO_DNS_A 1
#define SOTTO_DNS_MX 15
#define SOTTO_DNS_AAAA 28
#define SOTTO_DNS_TLSA 52	/* RFC 6698; that there is one is all that is read of it */

/* A host name as text, without a trailing dot: at most 253 characters and a NUL. */
#define SOTTO_DNS_NAME 254

#define SOTTO_DNS_BROKEN (-1)	/* the reply contradicts itself; nothing more comes of it */

struct sotto_dns_reader {
	const uint8_t *msg;
	size_t len;
	size_t at;		/* the next record */
	unsigned left;		/* records of the answer section not yet read */
};

struct sotto_dns_record {
	uint16_t type;		/* SOTTO_DNS_… */
	uint16_t preference;	/* MX */
	bool odd;		/* MX: its host is no host name; name is "" */
	/*
	 * In lower case. MX: the host; "" and not odd is the root (RFC 7505). A and AAAA: whose
	 * address it is, which is another than was asked for where that is an alias (CNAME); "" is
	 * one that is no host name
	 */
	char name[SOTTO_DNS_NAME];
	uint8_t address[16];	/* A: the first 4 octets; AAAA: all */
};

/*
 * Reads the header and passes over the questions. msg stays the caller's and must outlive the
 * reader.
 */
SOTTO_CHECKED int sotto_dns_begin(struct sotto_dns_reader *r, const uint8_t *msg, size_t len);

/*
 * The next record of one of these types; the others, and those of the wrong length, are passed
 * over. Returns 1 (out is filled), 0 (no more; out is zeroed), SOTTO_DNS_BROKEN (out is zeroed).
 */
SOTTO_CHECKED int sotto_dns_next(struct sotto_dns_reader *r, struct sotto_dns_record *out);

/*
 * Takes a domain or host name as typed, without the trailing dot if there is one, into out, in
 * lower case. Letters, digits, '-' and '_', labels of 1 to 63, 253 in all: 0. Anything else:
 * SOTTO_DNS_BROKEN, and out is "".
 */
SOTTO_CHECKED int sotto_dns_host_name(char out[SOTTO_DNS_NAME], const char *in);

#endif
