/* SPDX-License-Identifier: ISC */
/*
 * The little of SMTP (RFC 5321) that is read before a session is sealed or passed through: lines, replies, the EHLO
 * command and its reply. These functions look at octets and report what is there; none of them decides anything.
 * They never read beyond `len`. Lines end with CRLF and nothing else.
 */
#ifndef SOTTO_PROTOCOL_SMTP_H
#define SOTTO_PROTOCOL_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOTTO_SMTP_COMMAND_MAX 512		/* RFC 5321, 4.5.3.1.4, CRLF included */
#define SOTTO_SMTP_REPLY_MAX (16 * 1024)	/* PROTOCOL.md 9 */

enum sotto_found {
	SOTTO_FOUND_PART,	/* nothing wrong so far, more octets are needed */
	SOTTO_FOUND_WHOLE,
	SOTTO_FOUND_ODD		/* PROTOCOL.md 9: NUL, bare CR, bare LF, too long, or not what belongs here */
};

/* Looks for one line of at most `max` octets, CRLF included, at the start of `p`. WHOLE sets *line_len (with CRLF). */
enum sotto_found sotto_smtp_line(const uint8_t *p, size_t len, size_t max, size_t *line_len);

/* A reply: lines of one code, all but the last with '-' behind it (RFC 5321, 4.2.1). */
struct sotto_reply {
	unsigned code;		/* 200 to 599 */
	size_t len;		/* octets of all lines, CRLFs included */
	size_t first_len;	/* octets of the first line */
	unsigned lines;
};

/* Looks for one whole reply of at most SOTTO_SMTP_REPLY_MAX octets. WHOLE fills *reply. */
enum sotto_found sotto_smtp_reply(const uint8_t *p, size_t len, struct sotto_reply *reply);

/* Whether a whole command line (with CRLF) bears this verb (upper case), alone or with a space behind it. */
bool sotto_smtp_verb(const uint8_t *line, size_t len, const char *verb);

/* What a whole 250 reply to EHLO says of XSOTTO (PROTOCOL.md 2). */
struct sotto_offer {
	unsigned keywords;	/* lines that bear the keyword; two are no offer */
	bool version1;		/* one of them accepts version 1 */
};

void sotto_ehlo_offer(const uint8_t *p, const struct sotto_reply *reply, struct sotto_offer *offer);

#define SOTTO_EHLO_INSERTED 14	/* octets that sotto_ehlo_insert adds */

/*
 * Copies the whole 250 reply `p` to `out` with "XSOTTO 1" behind its first line (PROTOCOL.md 2). Returns the octets
 * written: reply->len + SOTTO_EHLO_INSERTED; or 0, nothing written, where that is over `cap` or SOTTO_SMTP_REPLY_MAX, or the
 * first line has nothing behind its code.
 */
size_t sotto_ehlo_insert(uint8_t *out, size_t cap, const uint8_t *p, const struct sotto_reply *reply);

/*
 * Removes XSOTTO, PIPECONNECT (and Exim's older names of it) and, where `starttls` is set, STARTTLS from the whole
 * reply `p`, in place (PROTOCOL.md 6). The first line stays. Returns the octets that are left.
 */
size_t sotto_ehlo_hide(uint8_t *p, const struct sotto_reply *reply, bool starttls);

#endif
