/* SPDX-License-Identifier: ISC */
/*
 * The files that are remembered (core/runtime/state-text.h), as damage may leave them. First octet: which kind, and whether the check at
 * the end is made right, without which no input would get past it. What is read can be written, and reads the same.
 */
#include "core/runtime/live-text.h"
#include "core/runtime/state-peer.h"
#include "tests/fuzz/fuzz.h"

static void peer(const char *p, size_t n)
{
	struct sotto_peer_state s, again;
	struct sotto_text_out out, twice;

	if (!sotto_peer_state_read(&s, p, n)) {
		static const struct sotto_peer_state none;

		MUST(memcmp(&s, &none, sizeof(s)) == 0);
		return;
	}
	MUST(sotto_peer_state_write(&out, &s) == 0 && out.n <= SOTTO_TEXT_MAX);
	MUST(sotto_peer_state_read(&again, out.at, out.n));
	MUST(sotto_peer_state_write(&twice, &again) == 0 && twice.n == out.n && memcmp(twice.at, out.at, out.n) == 0);
	for (int64_t now = 0; now < SOTTO_TIME_MAX; now += SOTTO_TIME_MAX / 7) {
		again = s;
		(void)sotto_peer_state_avoided(&again, now);
		for (int e = SOTTO_EVENT_OFFERED; e <= SOTTO_EVENT_SILENT; e++)
			sotto_peer_state_apply(&again, (enum sotto_state_event)e, now);
	}
}

static void live(const char *p, size_t n)
{
	struct sotto_live l, again;
	struct sotto_text_out out, twice;

	if (!sotto_live_text_read(&l, p, n))
		return;
	MUST(sotto_live_text_write(&out, &l) == 0 && out.n <= SOTTO_TEXT_MAX);
	MUST(sotto_live_text_read(&again, out.at, out.n));
	MUST(sotto_live_text_write(&twice, &again) == 0 && twice.n == out.n && memcmp(twice.at, out.at, out.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sotto_text_out t = { 0 };
	uint8_t *copy;
	size_t n;

	if (size == 0)
		return 0;
	copy = fuzz_copy(data + 1, n = size - 1);
	if ((data[0] & 1) && n < SOTTO_TEXT_MAX - 64) {
		memcpy(t.at, copy, t.n = n);
		MUST(sotto_text_finish(&t) == 0);
		free(copy);
		copy = fuzz_copy((const uint8_t *)t.at, n = t.n);
	}
	(data[0] & 2 ? live : peer)((const char *)copy, n);
	free(copy);
	return 0;
}
