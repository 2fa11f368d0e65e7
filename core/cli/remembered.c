/* SPDX-License-Identifier: ISC */
/* Reads and removes the files of what is remembered (remembered.h). Called by peers.c. */
#include "core/cli/remembered.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cli/show.h"
#include "core/runtime/addr.h"
#include "core/runtime/state-domain.h"
#include "core/runtime/state-file.h"
#include "core/runtime/state-name.h"
#include "core/runtime/state.h"

#define INBOUND "in-"

/* ---- one file as JSON; NULL: it is none ---- */

static json_t *keys_of(const struct sotto_peer_state *s)
{
	static const char digits[] = "0123456789abcdef";
	json_t *list = json_array();

	for (unsigned i = 0; i < s->n_keys; i++) {
		char hex[65];

		for (unsigned k = 0; k < 32; k++) {
			hex[2 * k] = digits[s->keys[i].key[k] >> 4];
			hex[2 * k + 1] = digits[s->keys[i].key[k] & 15];
		}
		hex[64] = '\0';
		(void)json_array_append_new(list, json_pack("{s:s, s:I}", "key", hex, "seen", (json_int_t)s->keys[i].seen));
	}
	return list;
}

static json_t *peer_of(const char *state, const char *file)
{
	bool inbound = strncmp(file, INBOUND, sizeof(INBOUND) - 1) == 0, avoided;
	const char *address = inbound ? file + sizeof(INBOUND) - 1 : file;
	struct sockaddr_storage ss;
	struct sotto_peer_state s;

	if (sotto_addr_read(&ss, address, 0) != 0)
		return NULL;
	sotto_state_load(state, &(struct sotto_state_key){ .addr = (const struct sockaddr *)&ss, .inbound = inbound }, &s);
	if (s.seen == 0)
		return NULL;
	avoided = sotto_peer_state_avoided(&s, (int64_t)time(NULL));
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:I, s:o}", "file", file, "address", address, "direction", inbound ? "in" : "out",
			 "seen", (json_int_t)s.seen, "offered", s.offer_seen != 0 ? json_boolean(s.offered) : json_null(),
			 "sealed", (json_int_t)s.sealed, "failures", (json_int_t)s.failures,
			 "avoided_until", (json_int_t)(avoided ? s.avoid_until : 0), "keys", keys_of(&s));
}

static json_t *name_of(const char *state, const char *file)
{
	struct sotto_peer_state s;

	sotto_state_load(state, &(struct sotto_state_key){ .name = file }, &s);
	if (s.seen == 0)
		return NULL;
	return json_pack("{s:s, s:s, s:I, s:o}", "file", file, "name", file, "seen", (json_int_t)s.seen, "keys", keys_of(&s));
}

static json_t *domain_of(const char *state, const char *file)
{
	struct sotto_domain_state s;
	enum sotto_domain_offer now;

	sotto_domain_load(state, file, &s);
	if (s.offer == SOTTO_DOMAIN_UNKNOWN)
		return NULL;
	now = sotto_domain_state_now(&s, (int64_t)time(NULL));
	return json_pack("{s:s, s:s, s:b, s:I, s:I}", "file", file, "domain", file, "offered", s.offer == SOTTO_DOMAIN_YES, "seen",
			 (json_int_t)s.seen, "until", (json_int_t)(now != SOTTO_DOMAIN_UNKNOWN ? s.until : 0));
}

/* ---- folders of them ---- */

static const struct {
	const char *folder;
	json_t *(*read)(const char *state, const char *file);
} kinds[] = { { "peers", peer_of }, { "names", name_of }, { "domains", domain_of } };

/* The names that the files of what is asked for have. */
struct wanted {
	bool all;
	char files[3][SOTTO_FILE_NAME];
};

static void want(struct wanted *w, const char *name)
{
	struct sockaddr_storage ss;

	*w = (struct wanted){ .all = name == NULL };
	if (name == NULL)
		return;
	if (sotto_addr_read(&ss, name, 0) != 0) {
		(void)!sotto_name_of_domain(w->files[0], name);
		return;
	}
	(void)!sotto_name_of_peer(w->files[1], (const struct sockaddr *)&ss, false);
	(void)!sotto_name_of_peer(w->files[2], (const struct sockaddr *)&ss, true);
}

static bool is_wanted(const struct wanted *w, const char *file)
{
	for (unsigned i = 0; i < 3 && !w->all; i++)
		if (w->files[i][0] != '\0' && strcmp(w->files[i], file) == 0)
			return true;
	return w->all;
}

static int later_first(const void *a, const void *b)
{
	int64_t x = sotto_show_number(*(json_t *const *)a, "seen"), y = sotto_show_number(*(json_t *const *)b, "seen");

	return (x < y) - (x > y);
}

static json_t *sorted(json_t *list)
{
	size_t n = json_array_size(list), i;
	json_t **all = calloc(n + 1, sizeof(json_t *)), *out = json_array(), *one;

	if (all == NULL || out == NULL) {
		free(all);
		json_decref(out);
		return list;
	}
	json_array_foreach(list, i, one)
		all[i] = one;
	qsort(all, n, sizeof(json_t *), later_first);
	for (i = 0; i < n; i++)
		(void)json_array_append(out, all[i]);
	free(all);
	json_decref(list);
	return out;
}

/* 0 and *out, also where there is no such folder yet; -errno: it cannot be read. */
static int read_folder(json_t **out, const char *state, size_t kind, const struct wanted *w)
{
	struct sotto_folder f = { .fd = sotto_folder_open(state, kinds[kind].folder, false) };
	const char *file;

	*out = json_array();
	if (f.fd < 0)
		return f.fd == -ENOENT ? 0 : f.fd;
	while ((file = sotto_folder_next(&f)) != NULL)
		if (file[0] != '.' && is_wanted(w, file))
			(void)json_array_append_new(*out, kinds[kind].read(state, file));
	close(f.fd);
	*out = sorted(*out);
	return 0;
}

json_t *sotto_remembered(const struct sotto_cli *cli, const char *name)
{
	json_t *all = json_object();
	int folder = sotto_folder_open(cli->state, NULL, false), rc = folder < 0 ? folder : 0;
	struct wanted w;

	want(&w, name);
	if (folder >= 0)
		close(folder);
	for (size_t i = 0; i < 3 && rc == 0; i++) {
		json_t *list;

		rc = read_folder(&list, cli->state, i, &w);
		(void)json_object_set_new(all, kinds[i].folder, list);
	}
	if (rc == 0)
		return all;
	json_decref(all);
	errno = -rc;
	return NULL;
}

/* ---- forgetting ---- */

static int drop(const char *dir, const char *folder_name, const char *file)
{
	int folder = sotto_folder_open(dir, folder_name, false), rc = 0;

	if (folder < 0)
		return folder;
	if (unlinkat(folder, file, 0) != 0)
		rc = -errno;
	close(folder);
	return rc;
}

int sotto_remembered_drop(const struct sotto_cli *cli, const json_t *what)
{
	int dropped = 0, wrong = 0;
	json_t *one;
	size_t k;

	for (size_t i = 0; i < 3; i++) {
		json_array_foreach(json_object_get(what, kinds[i].folder), k, one) {
			const char *file = sotto_show_text(one, "file");
			int rc = drop(cli->state, kinds[i].folder, file);

			if (rc != 0 && rc != -ENOENT && wrong == 0)
				wrong = rc;
			dropped += rc == 0;
			/* where none is avoided there is none */
			if (i == 0)
				(void)!drop(cli->run, kinds[i].folder, file);
		}
	}
	return wrong != 0 ? wrong : dropped;
}
