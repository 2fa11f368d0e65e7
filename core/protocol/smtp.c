/* SPDX-License-Identifier: ISC */
/*
 * Reads lines, replies and the EHLO reply for the session (session-accept.c, session-connect.c), and writes the EHLO reply
 * that goes on. Knows no state and steers nothing. Octets over 0x7f are never decoded.
 */
#include "core/protocol/smtp.h"

#include <string.h>
#include <strings.h>

enum sotto_found sotto_smtp_line(const uint8_t *p, size_t len, size_t max, size_t *line_len)
{
	for (size_t i = 0; i < len && i < max; i++) {
		if (p[i] == '\0' || p[i] == '\n')
			return SOTTO_FOUND_ODD;
		if (p[i] != '\r')
			continue;
		if (i + 1 == max)
			return SOTTO_FOUND_ODD;
		if (i + 1 == len)
			return SOTTO_FOUND_PART;
		if (p[i + 1] != '\n')
			return SOTTO_FOUND_ODD;
		*line_len = i + 2;
		return SOTTO_FOUND_WHOLE;
	}
	return len < max ? SOTTO_FOUND_PART : SOTTO_FOUND_ODD;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The code at the start of a line, or 0. What is behind it must be a space, '-' or the line's end. */
static unsigned line_code(const uint8_t *p, size_t line_len)
{
	if (line_len < 5 || p[0] < '2' || p[0] > '5' || !is_digit(p[1]) || !is_digit(p[2]))
		return 0;
	if (p[3] != ' ' && p[3] != '-' && p[3] != '\r')
		return 0;
	return (unsigned)(p[0] - '0') * 100 + (unsigned)(p[1] - '0') * 10 + (unsigned)(p[2] - '0');
}

enum sotto_found sotto_smtp_reply(const uint8_t *p, size_t len, struct sotto_reply *reply)
{
	struct sotto_reply r = { 0 };

	for (;;) {
		const uint8_t *line = p + r.len;
		size_t line_len;
		enum sotto_found found = sotto_smtp_line(line, len - r.len, SOTTO_SMTP_REPLY_MAX - r.len, &line_len);
		unsigned code;

		if (found != SOTTO_FOUND_WHOLE)
			return found;
		code = line_code(line, line_len);
		if (code == 0 || (r.lines > 0 && code != r.code))
			return SOTTO_FOUND_ODD;
		r.code = code;
		r.lines++;
		r.len += line_len;
		if (r.lines == 1)
			r.first_len = line_len;
		if (line[3] != '-') {
			*reply = r;
			return SOTTO_FOUND_WHOLE;
		}
	}
}

/* Whether the `len` octets at `p` begin with `word` (any case), and a space or the end of a line follows. */
static bool begins_with(const uint8_t *p, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len > n && strncasecmp((const char *)p, word, n) == 0 && (p[n] == ' ' || p[n] == '\r');
}

bool sotto_smtp_verb(const uint8_t *line, size_t len, const char *verb)
{
	return begins_with(line, len, verb);
}

/* Calls for the next line of a whole reply: its length, 0 behind the last. */
static size_t next_line(const uint8_t *p, size_t len)
{
	const uint8_t *lf = len > 0 ? memchr(p, '\n', len) : NULL;

	return lf == NULL ? 0 : (size_t)(lf - p) + 1;
}

/* keyword = "XSOTTO" 1*( SP version ): whether one of the tokens behind the keyword is exactly "1". */
static bool has_version1(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 2 < len; i++) {
		if (p[i] == ' ' && p[i + 1] == '1' && (p[i + 2] == ' ' || p[i + 2] == '\r'))
			return true;
	}
	return false;
}

void sotto_ehlo_offer(const uint8_t *p, const struct sotto_reply *reply, struct sotto_offer *offer)
{
	*offer = (struct sotto_offer){ 0 };
	for (size_t at = reply->first_len, n; (n = next_line(p + at, reply->len - at)) > 0; at += n) {
		const uint8_t *text = p + at + 4;
		size_t text_len = n > 4 ? n - 4 : 0;

		if (!begins_with(text, text_len, "XSOTTO"))
			continue;
		offer->keywords++;
		offer->version1 = offer->version1 || has_version1(text, text_len);
	}
}

size_t sotto_ehlo_insert(uint8_t *out, size_t cap, const uint8_t *p, const struct sotto_reply *reply)
{
	size_t len = reply->len + SOTTO_EHLO_INSERTED;
	static const char more[] = "250-XSOTTO 1\r\n", last[] = "250 XSOTTO 1\r\n";

	if (len > cap || len > SOTTO_SMTP_REPLY_MAX || p[3] == '\r')
		return 0;
	memcpy(out, p, reply->first_len);
	out[3] = '-';
	memcpy(out + reply->first_len, reply->lines > 1 ? more : last, SOTTO_EHLO_INSERTED);
	memcpy(out + reply->first_len + SOTTO_EHLO_INSERTED, p + reply->first_len, reply->len - reply->first_len);
	return len;
}

static bool is_hidden(const uint8_t *text, size_t len, bool starttls)
{
	return begins_with(text, len, "XSOTTO") || begins_with(text, len, "PIPECONNECT") ||
	       begins_with(text, len, "PIPE_CONNECT") || begins_with(text, len, "X_PIPE_CONNECT") ||
	       (starttls && begins_with(text, len, "STARTTLS"));
}

size_t sotto_ehlo_hide(uint8_t *p, const struct sotto_reply *reply, bool starttls)
{
	size_t kept = reply->first_len, last = 0;

	for (size_t at = reply->first_len, n; (n = next_line(p + at, reply->len - at)) > 0; at += n) {
		if (n > 4 && is_hidden(p + at + 4, n - 4, starttls))
			continue;
		memmove(p + kept, p + at, n);
		last = kept;
		kept += n;
	}
	if (p[last + 3] == '-')
		p[last + 3] = ' ';
	return kept;
}
