/* SPDX-License-Identifier: ISC */
/* The SMTP reader (core/protocol/smtp.h): lines, replies, the offer, what is inserted into an EHLO reply and hidden in it. */
#include "core/protocol/smtp.h"
#include "tests/fuzz/fuzz.h"

static void line(const uint8_t *p, size_t n)
{
	size_t len = 0;

	if (sotto_smtp_line(p, n, SOTTO_SMTP_COMMAND_MAX, &len) != SOTTO_FOUND_WHOLE)
		return;
	MUST(len >= 2 && len <= n && len <= SOTTO_SMTP_COMMAND_MAX);
	MUST(p[len - 2] == '\r' && p[len - 1] == '\n');
	MUST(memchr(p, '\0', len) == NULL && memchr(p, '\n', len) == p + len - 1 && memchr(p, '\r', len) == p + len - 2);
	(void)sotto_smtp_verb(p, len, "EHLO");
	(void)sotto_smtp_verb(p, len, "XSOTTO");
}

/* What one octet less, and every octet more, must not change. */
static void same_in_pieces(const uint8_t *p, size_t n, const struct sotto_reply *whole)
{
	struct sotto_reply r;

	MUST(sotto_smtp_reply(p, whole->len, &r) == SOTTO_FOUND_WHOLE && r.len == whole->len && r.code == whole->code);
	MUST(sotto_smtp_reply(p, whole->len - 1, &r) == SOTTO_FOUND_PART);
	MUST(n >= whole->len);
}

static void insert_and_hide(const uint8_t *p, const struct sotto_reply *r)
{
	static uint8_t out[SOTTO_SMTP_REPLY_MAX];
	struct sotto_offer before, after;
	struct sotto_reply again;
	size_t n = sotto_ehlo_insert(out, sizeof(out), p, r), left;

	sotto_ehlo_offer(p, r, &before);
	if (n == 0)
		return;
	MUST(n == r->len + SOTTO_EHLO_INSERTED);
	MUST(sotto_smtp_reply(out, n, &again) == SOTTO_FOUND_WHOLE && again.len == n && again.code == r->code && again.lines == r->lines + 1);
	sotto_ehlo_offer(out, &again, &after);
	MUST(after.keywords == before.keywords + 1 && after.version1);
	left = sotto_ehlo_hide(out, &again, false);
	MUST(left <= r->len);
	MUST(sotto_smtp_reply(out, left, &again) == SOTTO_FOUND_WHOLE && again.len == left && again.code == r->code);
	sotto_ehlo_offer(out, &again, &after);
	MUST(after.keywords == 0);
	if (before.keywords == 0 && left == r->len)
		MUST(memcmp(out, p, left) == 0);
}

static void hide_starttls(const uint8_t *p, const struct sotto_reply *r)
{
	uint8_t *copy = fuzz_copy(p, r->len);
	struct sotto_reply again;
	size_t left = sotto_ehlo_hide(copy, r, true);

	MUST(left <= r->len && sotto_smtp_reply(copy, left, &again) == SOTTO_FOUND_WHOLE && again.len == left);
	MUST(again.first_len == r->first_len || again.lines == 1);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sotto_reply r;

	line(data, size);
	if (sotto_smtp_reply(data, size, &r) == SOTTO_FOUND_WHOLE) {
		MUST(r.len <= size && r.len <= SOTTO_SMTP_REPLY_MAX && r.lines > 0 && r.first_len <= r.len);
		MUST(r.code >= 200 && r.code <= 599);
		same_in_pieces(data, size, &r);
		if (r.code == 250) {
			insert_and_hide(data, &r);
			hide_starttls(data, &r);
		}
	}
	return 0;
}
