/* SPDX-License-Identifier: ISC */
/*
 * The record opener (core/protocol/record.h). The input is a list of steps: seal and open, open what was changed, replayed or cut, open
 * what is nobody's. Nothing opens but what was sealed, whole, once, and in its turn; and an error leaves zeros.
 */
#include "core/protocol/record.h"
#include "tests/fuzz/fuzz.h"

static uint8_t wire[SOTTO_RECORD_WIRE], plain[SOTTO_RECORD_PLAINTEXT];

static bool zeros(const uint8_t *p, size_t n)
{
	while (n > 0 && *p == 0)
		p++, n--;
	return n == 0;
}

/* Opens `n` octets that are no record of that direction at its turn; its counter stays as it was. */
static void refused(struct sotto_direction *d, const uint8_t *p, size_t n)
{
	enum sotto_record_type type;
	struct sotto_direction before = *d;
	long size = sotto_record_size(p, n), got;
	uint8_t *copy;

	if (size <= 0 || (size_t)size > n)
		return;
	MUST(size >= 2 + SOTTO_RECORD_LENGTH_MIN && size <= SOTTO_RECORD_WIRE);
	copy = fuzz_copy(p, (size_t)size);
	memset(plain, 0xa5, sizeof(plain));
	got = sotto_record_open(d, plain, &type, copy, (size_t)size);
	MUST(got < 0);
	MUST(zeros(plain, (size_t)size - 18));
	free(copy);
	*d = before;
}

static void accepted(struct sotto_direction *d, size_t n, enum sotto_record_type sealed, const uint8_t *content, size_t len)
{
	enum sotto_record_type type;

	MUST(sotto_record_size(wire, n) == (long)n);
	MUST(sotto_record_open(d, plain, &type, wire, n) == (long)len);
	MUST(type == sealed && (len == 0 || memcmp(plain, content, len) == 0));
}

static size_t seal(struct sotto_direction *d, const uint8_t *p, size_t n, size_t len, uint8_t how, enum sotto_record_type *type)
{
	static const enum sotto_record_type types[] = { SOTTO_DATA, SOTTO_DATA, SOTTO_CLOSE, SOTTO_IDENT_RECORD };
	long size;

	*type = types[how & 3];
	(void)n;
	size = sotto_record_seal(d, wire, *type, p, len, (how & 4) != 0);
	MUST(size > 0 && size <= SOTTO_RECORD_WIRE);
	return (size_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sotto_direction ours = { .key = { 1, 2, 3 }, .iv = { 4, 5 } }, theirs = ours;
	static uint8_t content[SOTTO_RECORD_CONTENT];

	while (size >= 4) {
		uint8_t step = data[0], how = data[1];
		size_t len = ((size_t)data[2] << 8 | data[3]) & SOTTO_RECORD_PLAINTEXT ? SOTTO_RECORD_CONTENT : (size_t)data[2] << 8 | data[3], n;
		enum sotto_record_type type;

		data += 4;
		size -= 4;
		if (len > sizeof(content))
			len = sizeof(content);
		memset(content, how, len);
		memcpy(content, data, len < size ? len : size);
		if (step % 4 == 0) {		/* nobody's record */
			refused(&theirs, data, size);
			continue;
		}
		n = seal(&ours, content, size, len, how, &type);
		if (step % 4 == 1) {		/* changed on its way */
			uint8_t kept = wire[(size_t)how * 61 % n];

			wire[(size_t)how * 61 % n] ^= (uint8_t)(1u << (step >> 5));
			refused(&theirs, wire, n);
			wire[(size_t)how * 61 % n] = kept;
		} else if (step % 4 == 2) {	/* cut */
			MUST(sotto_record_size(wire, 1) == 0);
			MUST(sotto_record_size(wire, 2) == (long)n);
		}
		accepted(&theirs, n, type, content, len);
		if (step % 4 == 3)
			refused(&theirs, wire, n);	/* a second time */
	}
	return 0;
}
