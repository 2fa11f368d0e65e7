/* SPDX-License-Identifier: ISC */
/* Talks to smtpd (talk.h). Called by filter-sotto's main. smtpd never waits for a filter to read or write, so that writing may block. */
#include "plugins/opensmtpd/talk.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/deadline.h"

/* ---- answers ---- */

static int flush(struct sotto_talk *t)
{
	size_t at = 0;

	while (at < t->n_answers) {
		struct pollfd p = { .fd = t->out, .events = POLLOUT };
		ssize_t n = write(t->out, t->answers + at, t->n_answers - at);

		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			(void)poll(&p, 1, -1);
		else if (n == 0 || errno != EINTR)
			return -1;
	}
	t->n_answers = 0;
	return 0;
}

static int say(struct sotto_talk *t, const char *text, size_t len)
{
	while (len > 0) {
		size_t n = sizeof(t->answers) - t->n_answers;

		if (n == 0) {
			if (flush(t) != 0)
				return -1;
			continue;
		}
		n = len < n ? len : n;
		memcpy(t->answers + t->n_answers, text, n);
		t->n_answers += n;
		text += n;
		len -= n;
	}
	return 0;
}

static int say_proceed(struct sotto_talk *t, uint64_t session, uint64_t token)
{
	char answer[SOTTO_FILTER_ANSWER];

	return say(t, answer, sotto_filter_proceed(answer, session, token));
}

/* "filter-dataline|SESSION|TOKEN|" and text, all but the text as smtpd said it; end: that is all of the line. */
static int say_line(struct sotto_talk *t, const struct sotto_filter_line *l, const char *text, size_t len, bool end)
{
	static const char stream[] = "filter-dataline";
	const char *at = l->phase + l->phase_len, *behind = l->rest != NULL ? l->rest : at + strlen(at);

	if (say(t, stream, sizeof(stream) - 1) != 0 || say(t, at, (size_t)(behind - at)) != 0 || say(t, text, len) != 0)
		return -1;
	return end ? say(t, "\n", 1) : 0;
}

/* A line of a message as it came, with len octets of smtpd's line; before the first one maybe one of ours. */
static int say_data(struct sotto_talk *t, const struct sotto_filter_line *l, const char *line, size_t len, bool end)
{
	const char *text = l->rest != NULL ? l->rest : "";
	char header[SOTTO_TRACE];
	size_t n = sotto_traces_line(t->traces, l->session, text, header);

	if (n > 0 && say_line(t, l, header, n, true) != 0)
		return -1;
	return say_line(t, l, text, l->rest != NULL ? len - (size_t)(text - line) : 0, end);
}

static int say_registers(struct sotto_talk *t)
{
	char text[SOTTO_FILTER_REGISTER];

	if (t->registered)
		return 0;
	t->registered = true;
	return say(t, text, sotto_filter_register(text, t->smtp_in, t->smtp_out, t->version >= SOTTO_DATA_SINCE));
}

/* ---- who is owed one ---- */

static void forget(struct sotto_talk *t, unsigned i)
{
	t->owed[i] = t->owed[--t->n_owed];
}

static void owe(struct sotto_talk *t, const struct sotto_filter_line *l, bool commit)
{
	t->owed[t->n_owed++] = (struct sotto_owed){ l->session, l->token, sotto_now_ms() + (commit ? SOTTO_COMMIT_MS : SOTTO_HOLD_MS), commit };
}

/* To the worker, which says when to go on; without one, or with too many waiting, at once. */
static int request(struct sotto_talk *t, const struct sotto_filter_line *l, const char *line, size_t len)
{
	bool commit = sotto_filter_is(l, "commit");

	if (t->n_owed == SOTTO_OWED_MAX || (!commit && (len > SOTTO_HANDED_MAX || !sotto_filter_is(l, "rcpt-to") || !t->hand(t->arg, line, len))))
		return say_proceed(t, l->session, l->token);
	owe(t, l, commit);
	return 0;
}

/* Nobody of that session waits for an answer any more. */
static void forget_session(struct sotto_talk *t, uint64_t session)
{
	for (unsigned i = 0; i < t->n_owed;)
		if (t->owed[i].session == session)
			forget(t, i);
		else
			i++;
}

int sotto_talk_proceed(struct sotto_talk *t, const char *text)
{
	struct sotto_filter_line l;
	char line[128] = "filter|0|0|smtp-in|rcpt-to|";
	size_t n = strlen(line), len = strlen(text);

	if (len >= sizeof(line) - n)
		return 0;
	memcpy(line + n, text, len + 1);
	sotto_filter_read(&l, line);
	for (unsigned i = 0; l.kind == SOTTO_FILTER_REQUEST && i < t->n_owed; i++)
		if (t->owed[i].session == l.session && t->owed[i].token == l.token) {
			forget(t, i);
			return say_proceed(t, l.session, l.token) != 0 ? -1 : flush(t);
		}
	return 0;
}

int sotto_talk_expire(struct sotto_talk *t, bool all)
{
	int64_t now = sotto_now_ms();

	for (unsigned i = 0; i < t->n_owed;) {
		struct sotto_owed o = t->owed[i];

		if ((!all || o.commit) && o.until > now) {
			i++;
			continue;
		}
		forget(t, i);
		if (say_proceed(t, o.session, o.token) != 0)
			return -1;
	}
	return flush(t);
}

int64_t sotto_talk_deadline(const struct sotto_talk *t)
{
	int64_t first = INT64_MAX;

	for (unsigned i = 0; i < t->n_owed; i++)
		if (t->owed[i].until < first)
			first = t->owed[i].until;
	return first;
}

/* ---- lines ---- */

static int heard(struct sotto_talk *t, const char *line, size_t len)
{
	struct sotto_filter_line l;

	sotto_filter_read(&l, line);
	switch (l.kind) {
	case SOTTO_FILTER_IN:
		t->smtp_in = true;
		return 0;
	case SOTTO_FILTER_OUT:
		t->smtp_out = true;
		return 0;
	case SOTTO_FILTER_VERSION:
		t->version = l.version;
		return 0;
	case SOTTO_FILTER_READY:
		return say_registers(t);
	case SOTTO_FILTER_REPORT:
		sotto_traces_report(t->traces, &l);
		if (sotto_filter_is(&l, "link-disconnect"))
			forget_session(t, l.session);
		if (len <= SOTTO_HANDED_MAX)
			(void)t->hand(t->arg, line, len);	/* one that it misses is a session of which it knows less */
		return 0;
	case SOTTO_FILTER_REQUEST:
		return request(t, &l, line, len);
	case SOTTO_FILTER_DATA:
		return say_data(t, &l, line, len, true);
	case SOTTO_FILTER_OTHER:
		break;
	}
	return 0;
}

/* The buffer is full, and the line goes on: one of a message is passed on in pieces; who asks something else is answered by what is there. */
static int overlong(struct sotto_talk *t)
{
	struct sotto_filter_line l;
	size_t n = t->have;
	int r = 0;

	t->line[n] = '\0';
	t->have = 0;
	if (t->echoing)
		return say(t, t->line, n);
	if (t->skipping)
		return 0;
	sotto_filter_read(&l, t->line);
	t->echoing = l.kind == SOTTO_FILTER_DATA;
	t->skipping = !t->echoing;
	if (l.kind == SOTTO_FILTER_DATA)
		r = say_data(t, &l, t->line, n, false);
	else if (l.kind == SOTTO_FILTER_REQUEST)
		r = say_proceed(t, l.session, l.token);
	return r;
}

/* text: a line, or the last piece of one, with its newline. */
static int whole(struct sotto_talk *t, char *text, size_t len)
{
	int r = 0;

	if (t->echoing) {
		r = say(t, text, len);
	} else if (!t->skipping) {
		text[len - 1] = '\0';
		r = heard(t, text, len - 1);
	}
	t->echoing = t->skipping = false;
	return r;
}

static int take_lines(struct sotto_talk *t)
{
	char *at = t->line, *end = t->line + t->have, *newline;

	while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (whole(t, at, (size_t)(newline + 1 - at)) != 0)
			return -1;
		at = newline + 1;
	}
	t->have = (size_t)(end - at);
	memmove(t->line, at, t->have);
	if (t->have == SOTTO_TALK_LINE && overlong(t) != 0)
		return -1;
	return flush(t);
}

int sotto_talk_hear(struct sotto_talk *t)
{
	ssize_t n = read(t->in, t->line + t->have, SOTTO_TALK_LINE - t->have);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	t->have += (size_t)n;
	return take_lines(t);
}
