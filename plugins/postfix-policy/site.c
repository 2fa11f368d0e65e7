/* SPDX-License-Identifier: ISC */
/*
 * The site, for sotto-policyd: reads Postfix's configuration through postconf, one child after the other, makes a view of it, and
 * puts that in the place of the one before as soon as its tables have answered. Looks every other second whether files have changed.
 */
#include "plugins/postfix-policy/site.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/mx.h"
#include "plugins/postfix-policy/site-ask.h"
#include "plugins/postfix-policy/site-child.h"
#include "plugins/postfix-policy/site-words.h"

#define WATCH_S 2
#define RETRY_TICKS 2	/* of WATCH_S: after postconf failed; until then nothing is sealed */
#define CHILD_MS 15000	/* Postfix's programs wait until main.cf has been left alone for up to 2 s, and each edit begins that anew */
#define OUTPUT_MAX (1024 * 1024)
#define AS_BEFORE "; mail goes out as before, without Sotto"

struct sotto_site_paths sotto_site_paths = { .postconf = "/usr/sbin/postconf" };

enum { MAIN, OVERRIDES, SERVICES, STEPS };

/* ---- facts ----------------------------------------------------------------------------------------------- */

static bool alike(const struct sotto_site_facts *a, const struct sotto_site_facts *b)
{
	return a->usable == b->usable && a->mail_owner == b->mail_owner && a->ipv4 == b->ipv4 && a->ipv6 == b->ipv6 && a->dane == b->dane &&
	       strcmp(a->why, b->why) == 0 && strcmp(a->myhostname, b->myhostname) == 0 && strcmp(a->from4, b->from4) == 0 &&
	       strcmp(a->from6, b->from6) == 0;
}

static void publish(struct sotto_site *s, const struct sotto_site_facts *f)
{
	bool same = alike(&s->facts, f);

	s->facts = *f;
	sotto_site_questions(s);
	if (!same && s->changed != NULL)
		s->changed(s->arg);
}

/* What the view in force says, and whether its tables can be asked. */
static void update(struct sotto_site *s)
{
	struct sotto_site_facts f;
	const char *failed;

	memcpy(&f, &s->now->facts, sizeof(f));
	failed = s->now->maps != NULL ? sotto_site_maps_failed(s->now->maps) : "";
	if (f.usable && *failed != 0) {
		f.usable = false;
		(void)snprintf(f.why, sizeof(f.why), "%.160s (Sotto's user must be able to read it)" AS_BEFORE, failed);
	}
	publish(s, &f);
}

static void not_read(struct sotto_site *s, const char *what, const char *how)
{
	struct sotto_site_facts f;

	memcpy(&f, &s->facts, sizeof(f));
	memset(f.why, 0, sizeof(f.why));
	f.usable = false;
	(void)snprintf(f.why, sizeof(f.why), "%s: %.100s" AS_BEFORE, what, how);
	s->idle = 1;
	publish(s, &f);
}

static void settle(struct sotto_site *s)
{
	struct sotto_site_view *old = s->now;

	if (s->next != NULL && (s->next->maps == NULL || sotto_site_maps_ready(s->next->maps))) {
		s->now = s->next;
		s->next = NULL;
		sotto_site_view_free(old);
	}
	if (s->now != NULL)
		update(s);
}

static void on_news(void *arg)
{
	settle(arg);
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static void step(struct sotto_site *s);

static void made(struct sotto_site *s)
{
	struct sotto_site_view *v = sotto_site_view_make(s->base, &s->conf, sotto_site_paths.postmap, s->env, on_news, s);

	if (v == NULL) {
		not_read(s, "Postfix's configuration", strerror(ENOMEM));
		return;
	}
	sotto_site_view_free(s->next);
	s->next = v;
	s->idle = 0;
	settle(s);
}

static int took(struct sotto_site *s, const char *text)
{
	int error = 0;

	if (s->step == MAIN)
		error = sotto_site_conf_main(&s->conf, text);
	else if (s->step == OVERRIDES)
		error = sotto_site_conf_overrides(&s->conf, text);
	else
		sotto_site_conf_services(&s->conf, text);
	return error;
}

static void on_said(void *arg, const struct sotto_child_end *end)
{
	struct sotto_site *s = arg;
	int error = end->error != 0 ? -end->error : end->status != 0 ? -EIO : took(s, end->out);

	s->reading = NULL;
	if (s->again) {
		s->again = false;
		s->step = MAIN;
		step(s);
	} else if (error != 0) {
		not_read(s, "postconf", end->error == 0 && end->err[0] != 0 ? end->err : strerror(-error));
	} else if (s->step == MAIN && s->conf.value[SITE_MYDESTINATION] == NULL) {
		not_read(s, "postconf", "it does not say what was asked");
	} else if (++s->step == STEPS) {
		made(s);
	} else {
		step(s);
	}
}

static void step(struct sotto_site *s)
{
	const char *argv[SITE_PARAMS + 3] = { sotto_site_paths.postconf };
	struct sotto_child_job job = { .argv = argv, .env = s->env, .limit = OUTPUT_MAX, .timeout_ms = CHILD_MS };

	argv[1] = s->step == MAIN ? "-x" : s->step == OVERRIDES ? "-xP" : "-M";
	for (size_t i = 0; s->step == MAIN && i < SITE_PARAMS; i++)
		argv[2 + i] = sotto_site_conf_name((enum sotto_site_param)i);
	if (s->step == MAIN)
		sotto_site_conf_free(&s->conf);
	s->reading = sotto_child_start(s->base, &job, on_said, s);
	if (s->reading == NULL)
		s->idle = 1;
}

void sotto_site_reload(struct sotto_site *s)
{
	s->idle = 0;
	s->again = s->reading != NULL;
	if (s->again)
		return;
	s->step = MAIN;
	step(s);
}

/* A view that is being probed counts, not the one that it will follow. */
static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_site *s = arg;
	struct sotto_site_view *v = s->next != NULL ? s->next : s->now;

	(void)fd, (void)what;
	if (s->reading != NULL)
		return;
	if (s->idle > 0 ? ++s->idle > RETRY_TICKS : v != NULL && sotto_site_view_changed(v))
		sotto_site_reload(s);
	else if (v != NULL && v->maps != NULL)
		sotto_site_maps_look(v->maps);
}

/* ---- for the daemon -------------------------------------------------------------------------------------- */

const struct sotto_site_facts *sotto_site_facts(const struct sotto_site *s)
{
	return &s->facts;
}

enum sotto_site_answer sotto_site_transport(struct sotto_site *s, const char *domain)
{
	char name[256];

	if (!s->facts.usable || s->now == NULL || !sotto_site_domain(name, sizeof(name), domain))
		return SOTTO_SITE_NATIVE;
	return sotto_site_view_transport(s->now, name);
}

void sotto_site_close(struct sotto_site *s)
{
	if (s == NULL)
		return;
	sotto_site_questions_end(s);
	sotto_child_cancel(s->reading);
	sotto_site_view_free(s->next);
	sotto_site_view_free(s->now);
	sotto_site_conf_free(&s->conf);
	sotto_mx_close(s->mx);
	if (s->watch != NULL)
		event_free(s->watch);
	free(s->config);
	free(s);
}

struct sotto_site *sotto_site_open(struct event_base *base, const char *config_dir, void (*changed)(void *arg), void *arg)
{
	struct sotto_site *s = calloc(1, sizeof(*s));
	struct timeval every = { WATCH_S, 0 };

	if (s == NULL)
		return NULL;
	s->base = base;
	s->changed = changed;
	s->arg = arg;
	s->facts.mail_owner = (uid_t)-1;
	(void)snprintf(s->facts.why, sizeof(s->facts.why), "Postfix's configuration is not read yet");
	(void)snprintf(s->path, sizeof(s->path), "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	s->env[0] = s->path;
	if (config_dir != NULL && asprintf(&s->config, "MAIL_CONFIG=%s", config_dir) < 0)
		s->config = NULL;
	s->env[1] = s->config;
	s->watch = event_new(base, -1, EV_PERSIST, on_watch, s);
	if (s->watch == NULL || event_add(s->watch, &every) != 0 || (config_dir != NULL && s->config == NULL)) {
		sotto_site_close(s);
		return NULL;
	}
	sotto_site_reload(s);
	return s;
}
