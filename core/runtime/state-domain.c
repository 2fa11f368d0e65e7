/* SPDX-License-Identifier: ISC */
/*
 * Loads and saves what is remembered of domains (state-domain.h). Called by sotto-session and the daemons. Never waits, never fails
 * loudly.
 */
#include "core/runtime/state-domain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/state-file.h"
#include "core/runtime/state-name.h"
#include "core/runtime/state-text.h"
#include "core/runtime/state.h"

#define HEAD "sotto-domain 1"
#define FOLDER "domains"

/* ---- what follows from what was learnt ---- */

static int64_t no_lasts(unsigned noes)
{
	int64_t t = SOTTO_DOMAIN_NO_S;

	while (noes-- > 1 && t < SOTTO_DOMAIN_NO_MAX_S)
		t *= 2;
	return t < SOTTO_DOMAIN_NO_MAX_S ? t : SOTTO_DOMAIN_NO_MAX_S;
}

void sotto_domain_state_apply(struct sotto_domain_state *s, enum sotto_domain_offer what, int64_t now)
{
	if (what == SOTTO_DOMAIN_UNKNOWN)
		return;
	if (what == SOTTO_DOMAIN_YES) {
		*s = (struct sotto_domain_state){ .offer = what, .seen = now, .until = now + SOTTO_DOMAIN_YES_S };
		return;
	}
	if (sotto_domain_state_now(s, now) != SOTTO_DOMAIN_NO) {
		if (s->noes < SOTTO_STATE_COUNT_MAX)
			s->noes++;
		s->offer = what;
		s->until = now + no_lasts(s->noes);
	}
	s->seen = now;
}

enum sotto_domain_offer sotto_domain_state_now(const struct sotto_domain_state *s, int64_t now)
{
	int64_t most = s->offer == SOTTO_DOMAIN_YES ? SOTTO_DOMAIN_YES_S : no_lasts(s->noes);

	return s->until > now && s->until - now <= most ? s->offer : SOTTO_DOMAIN_UNKNOWN;
}

/* ---- the file ---- */

static bool read_text(struct sotto_domain_state *s, const char *text, size_t n)
{
	struct sotto_text_in in;
	int64_t noes = 0;
	bool yes = false;

	memset(s, 0, sizeof(*s));
	if (sotto_text_begin(&in, text, n, HEAD) && sotto_text_bool_line(&in, "offered", &yes) &&
	    sotto_text_number_line(&in, "seen", SOTTO_TIME_MAX, &s->seen) &&
	    sotto_text_number_line(&in, "until", SOTTO_TIME_MAX, &s->until) &&
	    sotto_text_number_line(&in, "noes", SOTTO_STATE_COUNT_MAX, &noes) && in.n == 0 && yes == (noes == 0)) {
		s->offer = yes ? SOTTO_DOMAIN_YES : SOTTO_DOMAIN_NO;
		s->noes = (unsigned)noes;
		return true;
	}
	memset(s, 0, sizeof(*s));
	return false;
}

static int write_text(struct sotto_text_out *out, const struct sotto_domain_state *s)
{
	struct sotto_domain_state again;

	out->n = 0;
	if (s->offer != SOTTO_DOMAIN_YES && s->offer != SOTTO_DOMAIN_NO)
		return -EINVAL;
	sotto_text_put(out, HEAD "\n");
	sotto_text_put(out, "offered %s\n", s->offer == SOTTO_DOMAIN_YES ? "yes" : "no");
	sotto_text_put(out, "seen %" PRId64 "\n", s->seen);
	sotto_text_put(out, "until %" PRId64 "\n", s->until);
	sotto_text_put(out, "noes %u\n", s->noes);
	return sotto_text_finish(out) == 0 && read_text(&again, out->at, out->n) ? 0 : -EINVAL;
}

void sotto_domain_load(const char *dir, const char *domain, struct sotto_domain_state *out)
{
	char name[SOTTO_FILE_NAME], path[1024], text[SOTTO_TEXT_MAX + 1];
	int fd, error = errno;
	ssize_t n = -1;

	memset(out, 0, sizeof(*out));
	if (sotto_name_of_domain(name, domain) != 0 ||
	    snprintf(path, sizeof(path), "%s/" FOLDER "/%s", dir, name) >= (int)sizeof(path))
		return;
	fd = sotto_file_open(AT_FDCWD, path);
	if (fd >= 0) {
		n = sotto_file_read(fd, text, sizeof(text));
		close(fd);
	}
	if (n < 0 || !read_text(out, text, (size_t)n))
		memset(out, 0, sizeof(*out));
	errno = error;
}

int sotto_domain_save(const char *dir, const char *domain, const struct sotto_domain_state *s)
{
	struct sotto_text_out text;
	char name[SOTTO_FILE_NAME];
	bool created;
	int folder, rc = sotto_name_of_domain(name, domain);

	if (rc == 0)
		rc = write_text(&text, s);
	if (rc != 0)
		return rc;
	folder = sotto_folder_open(dir, FOLDER, true);
	if (folder < 0)
		return folder;
	rc = sotto_file_replace(folder, name, text.at, text.n, &created);
	if (rc == 0 && created)
		sotto_folder_grown(folder, SOTTO_STATE_FILES);
	close(folder);
	return rc;
}

/* A no in force stays as it is; a yes in force is renewed now and then; everything else is news. */
static bool worth_writing(const struct sotto_domain_state *s, enum sotto_domain_offer what, int64_t now)
{
	if (what == SOTTO_DOMAIN_UNKNOWN)
		return false;
	if (sotto_domain_state_now(s, now) != what)
		return true;
	return what == SOTTO_DOMAIN_YES && (s->seen > now || now - s->seen > SOTTO_DOMAIN_RENEW_S);
}

int sotto_domain_note(const char *dir, const char *domain, enum sotto_domain_offer what, int64_t now)
{
	struct sotto_domain_state s;

	sotto_domain_load(dir, domain, &s);
	if (!worth_writing(&s, what, now))
		return 0;
	sotto_domain_state_apply(&s, what, now);
	return sotto_domain_save(dir, domain, &s);
}
