/* SPDX-License-Identifier: ISC */
/* The writer and the reader of a peer's file, line for line the same (state-peer.h). Called by state.c. */
#include "core/runtime/state-peer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define HEAD "sotto-peer 1"
#define COUNT_MAX SOTTO_STATE_COUNT_MAX

static const char *yes_no(bool b)
{
	return b ? "yes" : "no";
}

int sotto_peer_state_write(struct sotto_text_out *out, const struct sotto_peer_state *s)
{
	struct sotto_peer_state again;

	out->n = 0;
	if (s->n_keys > SOTTO_STATE_KEYS)
		return -EINVAL;
	sotto_text_put(out, HEAD "\n");
	sotto_text_put(out, "seen %" PRId64 "\n", s->seen);
	sotto_text_put(out, "offer-seen %" PRId64 "\n", s->offer_seen);
	sotto_text_put(out, "offered %s\n", yes_no(s->offered));
	sotto_text_put(out, "sealed %" PRId64 "\n", s->sealed);
	sotto_text_put(out, "failures %u\n", s->failures);
	sotto_text_put(out, "failed %" PRId64 "\n", s->failed);
	sotto_text_put(out, "silence-only %s\n", yes_no(s->silence_only));
	sotto_text_put(out, "avoidances %u\n", s->avoidances);
	sotto_text_put(out, "avoid-until %" PRId64 "\n", s->avoid_until);
	sotto_text_put(out, "told %" PRId64 "\n", s->told);
	sotto_text_put(out, "withheld %u\n", s->withheld);
	for (unsigned i = 0; i < s->n_keys; i++) {
		sotto_text_put(out, "key ");
		sotto_text_put_hex(out, s->keys[i].key, sizeof(s->keys[i].key));
		sotto_text_put(out, " %" PRId64 "\n", s->keys[i].seen);
	}
	return sotto_text_finish(out) == 0 && sotto_peer_state_read(&again, out->at, out->n) ? 0 : -EINVAL;
}

static bool read_count(struct sotto_text_in *in, const char *key, unsigned *out)
{
	int64_t n = 0;
	bool good = sotto_text_number_line(in, key, COUNT_MAX, &n);

	*out = (unsigned)n;
	return good;
}

static bool read_time(struct sotto_text_in *in, const char *key, int64_t *out)
{
	return sotto_text_number_line(in, key, SOTTO_TIME_MAX, out);
}

static bool read_keys(struct sotto_text_in *in, struct sotto_peer_state *s)
{
	while (in->n > 0) {
		struct sotto_key_seen *k = &s->keys[s->n_keys];

		if (s->n_keys >= SOTTO_STATE_KEYS || !sotto_text_word(in, "key ") || !sotto_text_hex(in, k->key, sizeof(k->key)) ||
		    !sotto_text_word(in, " ") || !sotto_text_number(in, SOTTO_TIME_MAX, &k->seen) || !sotto_text_word(in, "\n"))
			return false;
		s->n_keys++;
	}
	return true;
}

bool sotto_peer_state_read(struct sotto_peer_state *s, const char *text, size_t n)
{
	struct sotto_text_in in;

	memset(s, 0, sizeof(*s));
	if (sotto_text_begin(&in, text, n, HEAD) &&
	    read_time(&in, "seen", &s->seen) &&
	    read_time(&in, "offer-seen", &s->offer_seen) &&
	    sotto_text_bool_line(&in, "offered", &s->offered) &&
	    read_time(&in, "sealed", &s->sealed) &&
	    read_count(&in, "failures", &s->failures) &&
	    read_time(&in, "failed", &s->failed) &&
	    sotto_text_bool_line(&in, "silence-only", &s->silence_only) &&
	    read_count(&in, "avoidances", &s->avoidances) &&
	    read_time(&in, "avoid-until", &s->avoid_until) &&
	    read_time(&in, "told", &s->told) &&
	    read_count(&in, "withheld", &s->withheld) &&
	    read_keys(&in, s))
		return true;
	memset(s, 0, sizeof(*s));
	return false;
}
