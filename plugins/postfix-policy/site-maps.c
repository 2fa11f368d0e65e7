/* SPDX-License-Identifier: ISC */
/*
 * What tables say, for site.c: a memory of (source, key), and a queue of keys for each source, which goes to one `postmap -q -` at a time.
 * A source that fails is not asked any more, but for a probe every half minute, or when its files change.
 */
#include "plugins/postfix-policy/site-maps.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/deadline.h"
#include "plugins/postfix-policy/site-child.h"
#include "plugins/postfix-policy/site-source.h"

#define SOURCES 48
#define BUCKETS 8192
#define ENTRIES 40000	/* then what nobody waits for is forgotten */
#define BATCH_LOCAL 500	/* keys for one child */
#define BATCH_FAR 50
#define PAUSE_MS 50	/* from the start of one child to that of the next: what comes in meanwhile goes to that one together */
#define CHILD_MS 6000	/* a main.cf that has just been edited takes 2 s of it (site.c) */
#define LOCAL_MS 3600000
#define FAR_MS 300000
#define FAILED_MS 30000
#define TIMEOUTS 3	/* in a row: then it is the source that fails, not the keys */
#define VALUE_MAX 255
#define NOT_THERE "@not-there"
#define PROBE "probe.sotto.invalid"

struct sotto_site_entry {
	struct sotto_site_entry *next, *queued;
	int source;
	bool waiting;	/* in the queue, or being asked */
	enum sotto_site_told told;
	unsigned epoch;
	int64_t at;
	char *value;
	char key[];
};

struct sotto_site_maps {
	struct event_base *base;
	struct event *pump;
	const char *postmap;
	const char *const *env;
	void (*news)(void *arg);
	void *arg;
	struct sotto_site_source source[SOURCES];
	int sources;
	size_t entries;
	struct sotto_site_entry *bucket[BUCKETS];
};

/* ---- memory ---------------------------------------------------------------------------------------------- */

static size_t slot(int source, const char *key)
{
	uint32_t h = 2166136261U ^ (uint32_t)source;

	for (; *key != 0; key++)
		h = (h ^ (unsigned char)*key) * 16777619U;
	return h % BUCKETS;
}

static void forget(struct sotto_site_maps *m, bool all)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct sotto_site_entry **at = &m->bucket[i];

		while (*at != NULL) {
			struct sotto_site_entry *e = *at;

			if (e->waiting && !all) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			free(e->value);
			free(e);
			m->entries--;
		}
	}
}

static struct sotto_site_entry *entry(struct sotto_site_maps *m, int source, const char *key)
{
	size_t at = slot(source, key), len = strlen(key);
	struct sotto_site_entry *e;

	for (e = m->bucket[at]; e != NULL; e = e->next)
		if (e->source == source && strcmp(e->key, key) == 0)
			return e;
	if (m->entries >= ENTRIES)
		forget(m, false);
	e = m->entries < ENTRIES ? calloc(1, sizeof(*e) + len + 1) : NULL;
	if (e == NULL)
		return NULL;
	memcpy(e->key, key, len);
	e->source = source;
	e->told = SITE_TOLD_UNKNOWN;
	e->next = m->bucket[at];
	m->bucket[at] = e;
	m->entries++;
	return e;
}

static void enqueue(struct sotto_site_maps *m, struct sotto_site_entry *e)
{
	struct sotto_site_source *s = &m->source[e->source];
	struct timeval soon = { 0, 0 };

	if (e->waiting)
		return;
	e->waiting = true;
	e->queued = NULL;
	*s->queue_end = e;
	s->queue_end = &e->queued;
	event_add(m->pump, &soon);
}

enum sotto_site_told sotto_site_maps_ask(struct sotto_site_maps *m, int source, const char *key, const char **value)
{
	struct sotto_site_source *s = &m->source[source];
	struct sotto_site_entry *e;
	int64_t age, life;

	if (s->why[0] != 0)
		return SITE_TOLD_FAILED;
	e = entry(m, source, key);
	if (e == NULL)
		return SITE_TOLD_FAILED;
	age = sotto_now_ms() - e->at;
	life = e->told == SITE_TOLD_FAILED ? FAILED_MS : s->local ? LOCAL_MS : FAR_MS;
	if (e->told == SITE_TOLD_UNKNOWN || e->epoch != s->epoch || age >= life) {
		enqueue(m, e);
		return SITE_TOLD_UNKNOWN;
	}
	if (age >= life / 5 * 4)
		enqueue(m, e);
	*value = e->value != NULL ? e->value : "";
	return e->told;
}

/* ---- asking ---------------------------------------------------------------------------------------------- */

/* The line of this key, NUL-terminated by us; what is behind it in *at. NULL: it isn't the next one. */
static char *line_of(char **at, const char *key)
{
	size_t len = strlen(key);
	char *end = strchr(*at, '\n'), *value;

	if (end == NULL || strncmp(*at, key, len) != 0 || (*at)[len] != '\t')
		return NULL;
	*end = 0;
	value = *at + len + 1;
	*at = end + 1;
	return value;
}

static bool note(struct sotto_site_entry *e, const struct sotto_site_source *s, const char *value)
{
	free(e->value);
	e->value = NULL;
	e->told = SITE_TOLD_NOT;
	if (strcmp(value, NOT_THERE) != 0) {
		e->value = strndup(value, VALUE_MAX);
		e->told = e->value != NULL ? SITE_TOLD_FOUND : SITE_TOLD_FAILED;
	}
	e->epoch = s->child_epoch;
	e->at = s->child_at;
	return true;
}

static void say_why(struct sotto_site_source *s, const struct sotto_child_end *end)
{
	const char *fatal = NULL, *p = end->err;

	while ((p = strstr(p, "fatal: ")) != NULL)
		fatal = p += strlen("fatal: ");
	if (end->error != 0)
		(void)snprintf(s->why, sizeof(s->why), "%.40s: %.60s: %.30s", s->title, s->table[0], strerror(end->error));
	else if (fatal != NULL)
		(void)snprintf(s->why, sizeof(s->why), "%.40s: %.*s", s->title, (int)strcspn(fatal, "\n"), fatal);
	else
		(void)snprintf(s->why, sizeof(s->why), "%.40s: %.60s: postmap did not answer everything", s->title, s->table[0]);
}

static void answered(void *arg, const struct sotto_child_end *end)
{
	struct sotto_site_source *s = arg;
	struct sotto_site_maps *m = s->maps;
	struct timeval soon = { 0, 0 };
	char *text = end->error == 0 && end->status == 0 ? strndup(end->out, end->out_len) : NULL, *at = text;
	bool good = text != NULL;

	s->child = NULL;
	for (struct sotto_site_entry *e = s->asked, *next; e != NULL; e = next) {
		char *value = good ? line_of(&at, e->key) : NULL;

		next = e->queued;
		e->waiting = false;
		good = value != NULL && note(e, s, value);
		if (!good) {
			e->told = SITE_TOLD_FAILED;
			e->epoch = s->child_epoch;
			e->at = s->child_at;
		}
	}
	good = good && *at == 0;
	s->asked = NULL;
	s->timeouts = end->error == ETIME ? s->timeouts + 1 : 0;
	s->why[0] = 0;
	if (!good && (end->error != ETIME || s->timeouts >= TIMEOUTS || !s->probed))
		say_why(s, end);
	s->probed = true;
	free(text);
	event_add(m->pump, &soon);
	m->news(m->arg);
}

/* Takes keys off the queue. Their text, a line each; NULL: no memory. */
static char *take(struct sotto_site_source *s, size_t *len)
{
	size_t n = 0, max = s->local ? BATCH_LOCAL : BATCH_FAR;
	struct sotto_site_entry **end = &s->asked;
	char *text;
	FILE *f = open_memstream(&text, len);

	if (f == NULL)
		return NULL;
	for (; s->queue != NULL && n < max; n++) {
		struct sotto_site_entry *e = s->queue;

		s->queue = e->queued;
		e->queued = NULL;
		*end = e;
		end = &e->queued;
		(void)fprintf(f, "%s\n", e->key);
	}
	if (s->queue == NULL)
		s->queue_end = &s->queue;
	return fclose(f) == 0 ? text : NULL;
}

static void start(struct sotto_site_maps *m, struct sotto_site_source *s)
{
	const char *argv[SITE_TABLES + 5] = { m->postmap, "-q", "-" };
	struct sotto_child_job job = { .argv = argv, .env = m->env, .timeout_ms = CHILD_MS };
	struct sotto_child_end none = { .error = ENOMEM, .out = "", .err = "" };
	char *text;

	for (size_t i = 0; i < s->tables; i++)
		argv[3 + i] = s->table[i];
	argv[3 + s->tables] = "static:" NOT_THERE;
	(void)sotto_site_source_look(s);
	s->child_epoch = s->epoch;
	s->child_at = s->tried = sotto_now_ms();
	text = take(s, &job.input_len);
	job.input = text;
	job.limit = job.input_len + 1024 * 1024;
	s->child = text != NULL ? sotto_child_start(m->base, &job, answered, s) : NULL;
	free(text);
	if (s->child == NULL)
		answered(s, &none);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_site_maps *m = arg;
	int64_t now = sotto_now_ms(), soonest = PAUSE_MS + 1;

	(void)fd, (void)what;
	for (int i = 0; i < m->sources; i++) {
		struct sotto_site_source *s = &m->source[i];
		int64_t left = s->tried + PAUSE_MS - now;

		if (s->child != NULL || s->queue == NULL)
			continue;
		if (left <= 0)
			start(m, s);
		else if (left < soonest)
			soonest = left;
	}
	if (soonest <= PAUSE_MS)
		event_add(m->pump, &(struct timeval){ .tv_usec = (suseconds_t)soonest * 1000 });
}

static void probe(struct sotto_site_maps *m, int source)
{
	struct sotto_site_entry *e = entry(m, source, PROBE);

	if (e != NULL)
		enqueue(m, e);
}

/* ---- sources --------------------------------------------------------------------------------------------- */

int sotto_site_maps_source(struct sotto_site_maps *m, const char *title, const char *words)
{
	struct sotto_site_source *s = &m->source[m->sources];

	for (int i = 0; i < m->sources; i++)
		if (strcmp(m->source[i].words, words) == 0)
			return i;
	if (m->sources == SOURCES)
		return -1;
	memset(s, 0, sizeof(*s));
	s->maps = m;
	if (sotto_site_source_set(s, title, words) != 0) {
		sotto_site_source_free(s);
		return -1;
	}
	m->sources++;
	probe(m, m->sources - 1);
	return m->sources - 1;
}

void sotto_site_maps_look(struct sotto_site_maps *m)
{
	for (int i = 0; i < m->sources; i++) {
		struct sotto_site_source *s = &m->source[i];
		bool changed = sotto_site_source_look(s);

		if (s->why[0] != 0 && (changed || sotto_now_ms() - s->tried >= FAILED_MS))
			probe(m, i);
	}
}

bool sotto_site_maps_ready(const struct sotto_site_maps *m)
{
	for (int i = 0; i < m->sources; i++)
		if (!m->source[i].probed)
			return false;
	return true;
}

const char *sotto_site_maps_failed(const struct sotto_site_maps *m)
{
	for (int i = 0; i < m->sources; i++)
		if (m->source[i].why[0] != 0)
			return m->source[i].why;
	return "";
}

struct sotto_site_maps *sotto_site_maps_open(struct event_base *base, const char *postmap, const char *const *env, void (*news)(void *arg),
					     void *arg)
{
	struct sotto_site_maps *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	*m = (struct sotto_site_maps){ .base = base, .postmap = postmap, .env = env, .news = news, .arg = arg };
	m->pump = event_new(base, -1, 0, on_pump, m);
	if (m->pump == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void sotto_site_maps_close(struct sotto_site_maps *m)
{
	if (m == NULL)
		return;
	for (int i = 0; i < m->sources; i++) {
		sotto_child_cancel(m->source[i].child);
		sotto_site_source_free(&m->source[i]);
	}
	event_free(m->pump);
	forget(m, true);
	free(m);
}
