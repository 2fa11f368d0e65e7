/* SPDX-License-Identifier: ISC */
/* What is learnt of a peer, and when it is left alone: PROTOCOL.md 7 and 8 (state.h). Touches no file, reads no clock. */
#include <string.h>

#include "core/runtime/state.h"

#define MINUTE 60
#define HOUR 3600
#define IN_A_ROW 3
#define FIRST_TIME (10 * MINUTE)
#define COUNT_ENOUGH 1000	/* nothing changes beyond; far more than the doubling needs */

/* PROTOCOL.md 8: "10 minutes, doubling to 6 hours; at most 1 hour where it has ever sealed; never more than 10 minutes for silence alone" */
static int64_t how_long(const struct sotto_peer_state *s)
{
	int64_t most = s->sealed != 0 ? HOUR : 6 * HOUR, t = FIRST_TIME;

	if (s->silence_only)
		return FIRST_TIME;
	for (unsigned i = 1; i < s->avoidances && t < most; i++)
		t *= 2;
	return t < most ? t : most;
}

bool sotto_peer_state_avoided(const struct sotto_peer_state *s, int64_t now)
{
	if (now < 0)
		now = 0;
	return s->avoid_until > now && s->avoid_until - now <= how_long(s);
}

bool sotto_peer_state_declined(const struct sotto_peer_state *s, int64_t now)
{
	return s->sealed == 0 && s->offer_seen != 0 && !s->offered && s->offer_seen <= now && now - s->offer_seen < SOTTO_PEER_NO_S;
}

static bool too_soon(const struct sotto_peer_state *s, int64_t now)
{
	return s->failures > 0 && s->failed <= now && s->failed > now - MINUTE;
}

static void avoid(struct sotto_peer_state *s, int64_t now)
{
	if (s->silence_only)
		s->avoidances = 1;
	else if (s->avoidances < COUNT_ENOUGH)
		s->avoidances++;
	s->avoid_until = now + how_long(s);
}

static void fail(struct sotto_peer_state *s, bool silent, int64_t now)
{
	if (sotto_peer_state_avoided(s, now) || too_soon(s, now))
		return;
	s->silence_only = silent && (s->failures == 0 || s->silence_only);
	if (s->failures < COUNT_ENOUGH)
		s->failures++;
	s->failed = now;
	if (s->failures >= IN_A_ROW)
		avoid(s, now);
}

static void clear(struct sotto_peer_state *s)
{
	s->failures = s->avoidances = 0;
	s->failed = s->avoid_until = 0;
	s->silence_only = false;
}

void sotto_peer_state_apply(struct sotto_peer_state *s, enum sotto_state_event event, int64_t now)
{
	if (now < 0)
		now = 0;
	s->seen = now;
	switch (event) {
	case SOTTO_EVENT_OFFERED:
	case SOTTO_EVENT_NOT_OFFERED:
		s->offered = event == SOTTO_EVENT_OFFERED;
		s->offer_seen = now;
		break;
	case SOTTO_EVENT_SEALED:
		s->sealed = now;
		clear(s);
		break;
	case SOTTO_EVENT_FAILED:
	case SOTTO_EVENT_SILENT:
		fail(s, event == SOTTO_EVENT_SILENT, now);
		break;
	}
}

/* A time in the future (the clock was set back) limits nothing. */
bool sotto_peer_state_tell(struct sotto_peer_state *s, int64_t now, unsigned *withheld)
{
	if (now < 0)
		now = 0;
	if (s->told != 0 && s->told <= now && s->told > now - MINUTE) {
		if (s->withheld < SOTTO_STATE_COUNT_MAX)
			s->withheld++;
		return false;
	}
	*withheld = s->withheld;
	s->withheld = 0;
	s->told = now;
	return true;
}

static struct sotto_key_seen *longest_ago(struct sotto_peer_state *s)
{
	struct sotto_key_seen *oldest = &s->keys[0];

	for (unsigned i = 1; i < s->n_keys; i++)
		if (s->keys[i].seen < oldest->seen)
			oldest = &s->keys[i];
	return oldest;
}

bool sotto_peer_state_see_key(struct sotto_peer_state *s, const uint8_t key[32], int64_t now)
{
	struct sotto_key_seen *k = NULL;
	bool known;

	s->seen = now < 0 ? 0 : now;
	for (unsigned i = 0; i < s->n_keys && k == NULL; i++)
		if (memcmp(s->keys[i].key, key, sizeof(s->keys[i].key)) == 0)	/* public: no secret to betray by time */
			k = &s->keys[i];
	known = k != NULL;
	if (!known)
		k = s->n_keys < SOTTO_STATE_KEYS ? &s->keys[s->n_keys++] : longest_ago(s);
	memcpy(k->key, key, sizeof(k->key));
	k->seen = s->seen;
	return known;
}
