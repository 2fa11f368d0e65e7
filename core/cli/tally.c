/* SPDX-License-Identifier: ISC */
/* Sums up the counters (tally.h). Called by status.c and metrics.c. */
#include "core/cli/tally.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/state-file.h"
#include "core/runtime/state-text.h"

#define TOTALS "totals"
#define HEAD "sotto-totals 1"
#define SUM_MAX (INT64_MAX / 2)

const char *const sotto_tally_ways[] = { [SOTTO_TALLY_OUT] = "out", [SOTTO_TALLY_IN] = "in" };
const char *const sotto_tally_kinds[] = {
	[SOTTO_TALLY_SEALED] = "sealed", [SOTTO_TALLY_STARTTLS] = "starttls", [SOTTO_TALLY_CLEAR] = "clear", [SOTTO_TALLY_NATIVE] = "native",
	[SOTTO_TALLY_REFUSED] = "refused", [SOTTO_TALLY_NONE] = "none",
};
const char *const sotto_tally_events[] = {
	[SOTTO_TALLY_FALLBACK] = "fallbacks", [SOTTO_TALLY_LOST] = "lost", [SOTTO_TALLY_DOWNGRADE] = "downgrades",
	[SOTTO_TALLY_IDENTITY] = "identities", [SOTTO_TALLY_CUT] = "cut", [SOTTO_TALLY_AVOIDED] = "avoided",
};
const char *const sotto_tally_adapters[] = {
	[SOTTO_COUNTED_EXIM] = "exim", [SOTTO_COUNTED_POSTFIX] = "postfix", [SOTTO_COUNTED_OPENSMTPD] = "opensmtpd",
};

static const unsigned event_flags[] = {
	[SOTTO_TALLY_FALLBACK] = SOTTO_COUNTED_FELL_BACK, [SOTTO_TALLY_LOST] = SOTTO_COUNTED_LOST,
	[SOTTO_TALLY_DOWNGRADE] = SOTTO_COUNTED_DOWNGRADE, [SOTTO_TALLY_IDENTITY] = SOTTO_COUNTED_IDENTITY,
	[SOTTO_TALLY_CUT] = SOTTO_COUNTED_CUT, [SOTTO_TALLY_AVOIDED] = SOTTO_COUNTED_AVOIDED,
};

static enum sotto_tally_kind kind_of(const struct sotto_counted *c)
{
	static const enum sotto_tally_kind of[] = {
		[SOTTO_COUNTED_NONE] = SOTTO_TALLY_NONE, [SOTTO_COUNTED_CLEAR] = SOTTO_TALLY_CLEAR, [SOTTO_COUNTED_SEALED] = SOTTO_TALLY_SEALED,
		[SOTTO_COUNTED_REFUSED] = SOTTO_TALLY_REFUSED, [SOTTO_COUNTED_NATIVE] = SOTTO_TALLY_NATIVE,
	};

	return c->outcome == SOTTO_COUNTED_CLEAR && (c->flags & SOTTO_COUNTED_STARTTLS) != 0 ? SOTTO_TALLY_STARTTLS : of[c->outcome];
}

/* Never over what a file of ours may say. */
static void grow(int64_t *sum, uint64_t by)
{
	*sum = by < (uint64_t)(SUM_MAX - *sum) ? *sum + (int64_t)by : SUM_MAX;
}

void sotto_tally_add(struct sotto_tally *t, const struct sotto_counted *c)
{
	struct sotto_tally_way_sums *w = &t->ways[c->inbound ? SOTTO_TALLY_IN : SOTTO_TALLY_OUT];

	grow(&w->kinds[kind_of(c)], 1);
	for (unsigned i = 0; i < SOTTO_TALLY_EVENTS; i++)
		grow(&w->events[i], (c->flags & event_flags[i]) != 0);
	grow(&w->sent, c->sent);
	grow(&w->received, c->received);
	if (c->outcome == SOTTO_COUNTED_SEALED) {
		grow(&w->exchanges, 1);
		grow(&w->exchange_ms, c->exchange_ms);
	}
}

/* ---- the totals' file: its reader and its writer, line for line the same ---- */

struct totals {
	struct sotto_counters_mark mark;
	struct sotto_tally of[SOTTO_COUNTED_ADAPTERS];
};

_Static_assert(sizeof(struct sotto_tally) % sizeof(int64_t) == 0, "nothing but sums");
#define SUMS (sizeof(struct sotto_tally) / sizeof(int64_t))

static bool read_sums(struct sotto_text_in *in, struct sotto_tally *t)
{
	int64_t sums[SUMS] = { 0 };

	for (unsigned i = 0; i < SUMS; i++)
		if (!sotto_text_word(in, " ") || !sotto_text_number(in, SUM_MAX, &sums[i]))
			return false;
	memcpy(t, sums, sizeof(sums));
	return sotto_text_word(in, "\n");
}

static bool read_totals(struct totals *t, const char *text, size_t n)
{
	struct sotto_text_in in;
	int64_t file, at;

	if (!sotto_text_begin(&in, text, n, HEAD) || !sotto_text_number_line(&in, "file", INT64_MAX - 1, &file) ||
	    !sotto_text_number_line(&in, "at", INT64_MAX - 1, &at))
		return false;
	t->mark = (struct sotto_counters_mark){ (uint64_t)file, (uint64_t)at };
	for (unsigned i = 0; i < SOTTO_COUNTED_ADAPTERS; i++)
		if (!sotto_text_word(&in, sotto_tally_adapters[i]) || !read_sums(&in, &t->of[i]))
			return false;
	return in.n == 0;
}

static void load_totals(struct totals *t, int folder)
{
	char text[SOTTO_TEXT_MAX + 1];
	int fd = sotto_file_open(folder, TOTALS);
	ssize_t n = -1;

	if (fd >= 0) {
		n = sotto_file_read(fd, text, sizeof(text));
		close(fd);
	}
	if (n < 0 || !read_totals(t, text, (size_t)n))
		memset(t, 0, sizeof(*t));
}

static int save_totals(const struct totals *t, int folder)
{
	struct sotto_text_out out = { 0 };
	int64_t sums[SUMS];
	bool created;

	sotto_text_put(&out, HEAD "\nfile %" PRIu64 "\nat %" PRIu64 "\n", t->mark.file, t->mark.at);
	for (unsigned i = 0; i < SOTTO_COUNTED_ADAPTERS; i++) {
		memcpy(sums, &t->of[i], sizeof(sums));
		sotto_text_put(&out, "%s", sotto_tally_adapters[i]);
		for (unsigned k = 0; k < SUMS; k++)
			sotto_text_put(&out, " %" PRId64, sums[k]);
		sotto_text_put(&out, "\n");
	}
	if (sotto_text_finish(&out) != 0)
		return -EFBIG;
	return sotto_file_replace(folder, TOTALS, out.at, out.n, &created);
}

static void take(void *arg, const struct sotto_counted *c)
{
	struct totals *t = arg;

	sotto_tally_add(&t->of[c->adapter], c);
}

int sotto_tally_totals(const char *dir, struct sotto_tally out[SOTTO_COUNTED_ADAPTERS])
{
	int folder = sotto_folder_open(dir, NULL, false), rc;
	struct totals t = { 0 };

	memset(out, 0, SOTTO_COUNTED_ADAPTERS * sizeof(*out));
	if (folder < 0)
		return folder;
	load_totals(&t, folder);
	rc = sotto_counters_read(dir, &t.mark, take, &t);
	memcpy(out, t.of, sizeof(t.of));
	if (rc == 0)
		rc = save_totals(&t, folder);
	close(folder);
	return rc == -ENOENT ? 0 : rc;
}
