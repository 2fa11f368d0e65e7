/* SPDX-License-Identifier: ISC */
/* A reading of Postfix's configuration, made of its parameters, for site.c. What it answers stands in site-judge.c. */
#include "plugins/postfix-policy/site-view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/postfix-policy/site-words.h"

#define OURS "/sotto-map:"

static const char *get(const struct sotto_site_view *v, enum sotto_site_param p)
{
	return sotto_site_conf_get(&v->conf, p);
}

static void against(struct sotto_site_view *v, const char *text)
{
	if (v->facts.usable)
		(void)snprintf(v->facts.why, sizeof(v->facts.why), "%.150s; mail goes out as before, without Sotto", text);
	v->facts.usable = false;
}

/*
 * The administrator's own tables of a parameter, into words of 64 KiB at most. *behind: one of them stands behind ours. False: they are
 * too long. not_whole: without those that are asked with whole addresses only.
 */
static bool own_words(const char *value, bool not_whole, char **out, bool *behind)
{
	const char *word;
	bool ours = false;
	size_t len, size = 0;
	FILE *f = open_memstream(out, &size);

	*behind = false;
	if (f == NULL)
		return false;
	while ((word = sotto_site_word(&value, &len)) != NULL) {
		bool here = len > 10 && memcmp(word, "socketmap:", 10) == 0 && memmem(word, len, OURS, strlen(OURS)) != NULL;

		ours = ours || here;
		*behind = *behind || (ours && !here);
		if (!here && !(not_whole && sotto_site_maps_whole(word, len)))
			(void)fprintf(f, "%.*s ", (int)len, word);
	}
	return fclose(f) == 0 && size < 65536;
}

/*
 * The source of a parameter's tables; -1: there are none. Ours in transport_maps knows whole addresses, which a table behind it would
 * have answered before; ours in smtp_tls_policy_maps knows the hop alone, and stands in front.
 */
static int source(struct sotto_site_view *v, enum sotto_site_param p, bool not_whole)
{
	char *words = NULL, text[150];
	bool behind;
	int n = -1;

	if (!own_words(get(v, p), not_whole, &words, &behind)) {
		(void)snprintf(text, sizeof(text), "%s is too long", sotto_site_conf_name(p));
		against(v, text);
	} else if (behind && p == SITE_TRANSPORT_MAPS) {
		(void)snprintf(text, sizeof(text), "%s: a table stands behind Sotto's own; it has to be in front", sotto_site_conf_name(p));
		against(v, text);
	} else if (!sotto_site_words_none(words)) {
		n = sotto_site_maps_source(v->maps, sotto_site_conf_name(p), words);
		(void)snprintf(text, sizeof(text), "%s is not understood: %.60s", sotto_site_conf_name(p), words);
		if (n < 0)
			against(v, text);
	}
	free(words);
	return n;
}

static void sources(struct sotto_site_view *v)
{
	v->transport_parents = sotto_site_words_have(get(v, SITE_PARENT_MATCHES), "transport_maps");
	v->transport = source(v, SITE_TRANSPORT_MAPS, true);
	v->wildcard = source(v, SITE_TRANSPORT_MAPS, false);
	v->tls = source(v, SITE_TLS_POLICY, false);
	v->sasl = sotto_site_words_have(get(v, SITE_SASL_ENABLE), "yes") ? source(v, SITE_SASL_PASSWORDS, false) : -1;
	v->discard = source(v, SITE_DISCARD_MAPS, false);
	v->pix = source(v, SITE_PIX_MAPS, false);
}

static void lists(struct sotto_site_view *v)
{
	static const enum sotto_site_param param[SITE_LISTS] = { SITE_MYDESTINATION, SITE_ALIAS_DOMAINS, SITE_MAILBOX_DOMAINS,
								 SITE_RELAY_DOMAINS };
	bool all = sotto_site_words_have(get(v, SITE_PARENT_MATCHES), "relay_domains");
	char why[150];

	for (size_t i = 0; i < SITE_LISTS; i++) {
		enum sotto_site_parents parents = i < SITE_LISTS - 1 ? SITE_PARENTS_NO : all ? SITE_PARENTS_ALL : SITE_PARENTS_DOT;

		if (sotto_site_list_make(&v->list[i], v->maps, sotto_site_conf_name(param[i]), get(v, param[i]), parents, why,
					 sizeof(why)) != 0)
			against(v, why);
	}
}

static uint64_t signature(const struct sotto_site_view *v)
{
	static const char *const names[] = { "main.cf", "master.cf" };
	uint64_t sum = 0;
	char path[1024];

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%.900s/%s", get(v, SITE_CONFIG_DIRECTORY), names[i]);
		sum = sum * 31 + sotto_site_signature(path);
	}
	for (size_t i = 0; i < SITE_LISTS; i++)
		for (size_t k = 0; k < v->list[i].files; k++)
			sum = sum * 31 + sotto_site_signature(v->list[i].file[k]);
	return sum;
}

bool sotto_site_view_changed(const struct sotto_site_view *v)
{
	return signature(v) != v->files;
}

struct sotto_site_view *sotto_site_view_make(struct event_base *base, struct sotto_site_conf *conf, const char *postmap,
					     const char *const *env, void (*news)(void *arg), void *arg)
{
	struct sotto_site_view *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->conf = *conf;
	memset(conf, 0, sizeof(*conf));
	v->transport = v->wildcard = v->tls = v->sasl = v->discard = v->pix = -1;
	sotto_site_conf_facts(&v->conf, &v->facts);
	if (postmap != NULL)
		v->postmap = strdup(postmap);
	else if (asprintf(&v->postmap, "%s/postmap", get(v, SITE_COMMAND_DIRECTORY)) < 0)
		v->postmap = NULL;
	v->files = signature(v);
	if (v->facts.usable && v->postmap != NULL)
		v->maps = sotto_site_maps_open(base, v->postmap, env, news, arg);
	if (v->facts.usable && v->maps == NULL) {
		sotto_site_view_free(v);
		return NULL;
	}
	if (v->maps != NULL) {
		lists(v);
		sources(v);
		v->files = signature(v);
	}
	return v;
}

void sotto_site_view_free(struct sotto_site_view *v)
{
	if (v == NULL)
		return;
	sotto_site_maps_close(v->maps);
	for (size_t i = 0; i < SITE_LISTS; i++)
		sotto_site_list_free(&v->list[i]);
	sotto_site_conf_free(&v->conf);
	free(v->postmap);
	free(v);
}
