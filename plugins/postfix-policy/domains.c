/* SPDX-License-Identifier: ISC */
/* The memory of sotto-policyd (domains.h): a table of domains, kept up to date by inotify. Called by divert.c and hop-service.c. */
#include "plugins/postfix-policy/domains.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/hop.h"
#include "core/runtime/log.h"
#include "core/runtime/names.h"
#include "core/runtime/state-file.h"
#include "core/runtime/state-name.h"

/* glibc's hash tables (hsearch) cannot be walked, and libevent's are its own: a plain one of lists, as large as it will get. */
#define SLOTS 16384
#define A_MOMENT 5	/* seconds */
#define CHANGES (IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_CREATE | IN_ATTRIB)

struct sotto_domains {
	struct sotto_domains_config config;
	struct sotto_domain *slot[SLOTS];
	size_t n;
	unsigned generation;	/* of the lists; begins with 1 */
	int watch;		/* inotify */
	int state_watch, conf_watch;
	struct event *changes;
};

/* The hop's address is a good hash of the domain, and the key of the other lookup. */
static size_t slot_of(struct in_addr address)
{
	return ntohl(address.s_addr) % SLOTS;
}

static struct sotto_domain *find(const struct sotto_domains *d, const char *name)
{
	struct sotto_domain *one = d->slot[slot_of(sotto_hop_address(name))];

	while (one != NULL && strcmp(one->name, name) != 0)
		one = one->next;
	return one;
}

struct sotto_domain *sotto_domains_at(const struct sotto_domains *d, struct in_addr address)
{
	struct sotto_domain *one = d->slot[slot_of(address)];

	while (one != NULL && (one->claimed == 0 || one->address.s_addr != address.s_addr))
		one = one->next;
	return one;
}

static struct sotto_domain *add(struct sotto_domains *d, const char *name)
{
	struct sotto_domain *one;
	size_t size = strlen(name) + 1;

	if (d->n >= SOTTO_DOMAINS_MAX)
		return NULL;
	one = calloc(1, sizeof(*one) + size);
	if (one == NULL)
		return NULL;
	memcpy(one->name, name, size);
	one->address = sotto_hop_address(name);
	one->next = d->slot[slot_of(one->address)];
	d->slot[slot_of(one->address)] = one;
	d->n++;
	return one;
}

/* ---- the lists ---- */

static bool listed(const struct sotto_domains *d, const char *file, const char *name)
{
	const struct sotto_who who = { .domain = name };
	char path[4096], err[512] = "";
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", d->config.conf_dir, file);
	r = sotto_names_match(path, &who, err, sizeof(err));
	if (err[0] != '\0')
		sotto_log_limited(d->config.run, ".lists-limit", LOG_ERR, "%s; that line counts for nobody", err);
	return r == 1;
}

/* Seconds since 1970; 0: there is no such file. */
static int64_t require_changed(const struct sotto_domains *d)
{
	char path[4096];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/require", d->config.conf_dir);
	return stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
}

/* It may name the domain's mail server by now, and who goes natively is not looked at. */
static void forget_old_no(const struct sotto_domains *d, struct sotto_domain *one)
{
	if (one->state.offer == SOTTO_DOMAIN_NO && one->state.seen <= require_changed(d))
		memset(&one->state, 0, sizeof(one->state));
}

static void look_up(const struct sotto_domains *d, struct sotto_domain *one)
{
	if (one->listed_at == d->generation)
		return;
	forget_old_no(d, one);
	one->required = listed(d, "require", one->name);
	one->excluded = !one->required && listed(d, "exclude", one->name);
	one->listed_at = d->generation;
}

/* As they are written here; false: no domain. */
static bool write_name(char out[SOTTO_FILE_NAME], const char *name, size_t len)
{
	char text[SOTTO_DOMAIN_TEXT];

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len >= sizeof(text) || memchr(name, '\0', len) != NULL)
		return false;
	memcpy(text, name, len);
	for (size_t i = 0; i < len; i++)
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] = (char)(text[i] + ('a' - 'A'));
	text[len] = '\0';
	return sotto_name_of_host(out, text) == 0;
}

struct sotto_domain *sotto_domains_find(const struct sotto_domains *d, const char *name, size_t len)
{
	char lower[SOTTO_FILE_NAME];

	return write_name(lower, name, len) ? find(d, lower) : NULL;
}

struct sotto_domain *sotto_domains_get(struct sotto_domains *d, const char *name, size_t len)
{
	char lower[SOTTO_FILE_NAME];
	struct sotto_domain *one;

	if (!write_name(lower, name, len))
		return NULL;
	one = find(d, lower);
	if (one == NULL)
		one = add(d, lower);
	if (one != NULL)
		look_up(d, one);
	return one;
}

void sotto_domains_refuse(const struct sotto_domains *d, struct sotto_domain *one, bool refused)
{
	one->refused = refused;
	one->refused_at = d->generation;
}

bool sotto_domains_refused(const struct sotto_domains *d, const struct sotto_domain *one, int64_t now)
{
	return one->refused && (one->refused_at == d->generation || one->sessions > 0 || now - one->ended <= A_MOMENT);
}

/* ---- what is remembered ---- */

static bool same(const struct sotto_domain_state *a, const struct sotto_domain_state *b)
{
	return a->offer == b->offer && a->seen == b->seen && a->until == b->until && a->noes == b->noes;
}

/* A name in the folder. It is learnt anew also where it says what it said before: somebody has just found out. */
static void learn(struct sotto_domains *d, const char *name)
{
	struct sotto_domain_state state;
	struct sotto_domain *one;

	if (name[0] == '.' || strlen(name) >= SOTTO_DOMAIN_TEXT)
		return;
	sotto_domain_load(d->config.state, name, &state);
	one = find(d, name);
	if (one == NULL && state.seen == 0)
		return;
	if (one == NULL)
		one = add(d, name);
	if (one == NULL || same(&one->state, &state))
		return;
	one->state = state;
	one->listed_at = 0;
	d->config.learnt(d->config.arg, one);
}

static void learn_all(struct sotto_domains *d)
{
	struct sotto_folder f = { .fd = sotto_folder_open(d->config.state, "domains", true) };
	const char *name;

	if (f.fd < 0)
		return;
	while ((name = sotto_folder_next(&f)) != NULL)
		learn(d, name);
	close(f.fd);
}

/* What is there no more is not remembered any more either. */
static void forget_missing(struct sotto_domains *d)
{
	for (size_t i = 0; i < SLOTS; i++)
		for (struct sotto_domain *one = d->slot[i]; one != NULL; one = one->next)
			if (one->state.seen != 0)
				learn(d, one->name);
}

/* ---- changes ---- */

static void watch_folders(struct sotto_domains *d)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/domains", d->config.state);
	d->state_watch = inotify_add_watch(d->watch, path, CHANGES | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
	d->conf_watch = inotify_add_watch(d->watch, d->config.conf_dir, CHANGES | IN_ONLYDIR);
}

void sotto_domains_reload(struct sotto_domains *d)
{
	d->generation++;
	learn_all(d);
	forget_missing(d);
	watch_folders(d);
}

static void change(struct sotto_domains *d, const struct inotify_event *e, bool *conf)
{
	if ((e->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
		*conf = true;
		sotto_domains_reload(d);
	} else if (e->wd == d->conf_watch) {
		*conf = true;
		d->generation++;
	} else if (e->wd == d->state_watch && e->len > 0) {
		learn(d, e->name);
	}
}

static void on_changes(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char buf[8192];
	struct sotto_domains *d = arg;
	bool conf = false;
	ssize_t n;

	(void)what;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (const char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const void *)at;

			change(d, e, &conf);
			at += sizeof(*e) + e->len;
		}
	if (conf)
		d->config.conf_changed(d->config.arg);
}

struct sotto_domains *sotto_domains_open(struct event_base *base, const struct sotto_domains_config *config)
{
	struct sotto_domains *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->config = *config;
	d->generation = 1;
	d->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (d->watch >= 0)
		d->changes = event_new(base, d->watch, EV_READ | EV_PERSIST, on_changes, d);
	if (d->changes == NULL || event_add(d->changes, NULL) != 0) {
		sotto_domains_close(d);
		return NULL;
	}
	/* first the watch: what changes while all is read is read twice */
	(void)close(sotto_folder_open(config->state, "domains", true));
	watch_folders(d);
	learn_all(d);
	return d;
}

void sotto_domains_close(struct sotto_domains *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		while (d->slot[i] != NULL) {
			struct sotto_domain *one = d->slot[i];

			d->slot[i] = one->next;
			free(one);
		}
	if (d->changes != NULL)
		event_free(d->changes);
	if (d->watch >= 0)
		close(d->watch);
	free(d);
}
