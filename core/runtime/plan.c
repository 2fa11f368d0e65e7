/* SPDX-License-Identifier: ISC */
/*
 * Decides how a session is run, for sotto-session and for daemons that run many. The one place where the settings, the lists and the
 * memory of a peer meet.
 */
#include "core/runtime/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/crypto/random.h"
#include "core/runtime/identity.h"
#include "core/runtime/state.h"

static bool listed(const struct sotto_plan_for *f, const char *file, char *err, size_t len)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", f->conf_dir, file) >= (int)sizeof(path))
		return false;
	return sotto_names_match(path, &f->who, err, len) == 1;
}

static bool has_key(const struct sotto_session_config *c, const uint8_t key[32])
{
	for (unsigned i = 0; i < c->known; i++)
		if (memcmp(c->known_keys[i], key, 32) == 0)	/* public */
			return true;
	return false;
}

/* PROTOCOL.md 7: what was seen under the address, the MX's name and the domain, as far as they are known, all counts. */
static void know_keys(struct sotto_session_config *c, const struct sotto_peer_state *s)
{
	for (unsigned i = 0; i < s->n_keys && c->known < SOTTO_KNOWN_MAX; i++)
		if (!has_key(c, s->keys[i].key))
			memcpy(c->known_keys[c->known++], s->keys[i].key, 32);
}

static void know_name(struct sotto_session_config *c, const char *state, const char *name)
{
	struct sotto_peer_state s;

	if (name == NULL || name[0] == '\0')
		return;
	sotto_state_load(state, &(struct sotto_state_key){ .name = name }, &s);
	know_keys(c, &s);
}

static void recall_peer(struct sotto_plan *p, const struct sotto_plan_for *f, const struct sotto_conf *conf, int64_t now)
{
	struct sotto_session_config *c = &p->session;
	struct sotto_peer_state s;

	memset(&s, 0, sizeof(s));
	if (f->who.addr != NULL)
		sotto_state_load(f->state, &(struct sotto_state_key){ .addr = f->who.addr }, &s);
	p->avoided = sotto_peer_state_avoided(&s, now);
	p->offered_before = s.offered;
	c->sealed_before = s.sealed != 0;
	if (conf->pin == SOTTO_PIN_OFF)
		return;
	know_keys(c, &s);
	know_name(c, f->state, f->who.host);
	know_name(c, f->state, f->who.domain);
	c->enforce_identity = conf->pin == SOTTO_PIN_ENFORCE;
}

static int find_identity(uint8_t secret[32], const struct sotto_plan_for *f)
{
	static const uint8_t none[32];
	int rc = sotto_identity_load(secret, f->state);

	if (f->identity == NULL)
		return rc;
	if (rc == 0)
		memcpy(f->identity, secret, sizeof(none));
	else if (rc == -EPERM || rc == -EPROTO)
		sotto_wipe(f->identity, sizeof(none));
	if (rc == 0 || sotto_equal(f->identity, none, sizeof(none)))
		return rc;
	memcpy(secret, f->identity, sizeof(none));
	return 0;
}

static enum sotto_use use_of(const struct sotto_plan *p, const struct sotto_conf *conf)
{
	if (conf->mode == SOTTO_MODE_OFF)
		return SOTTO_USE_OFF;
	if (p->required)
		return SOTTO_USE_SEAL;
	if (p->excluded || p->avoided)
		return SOTTO_USE_OFF;
	return conf->mode == SOTTO_MODE_OBSERVE ? SOTTO_USE_OBSERVE : SOTTO_USE_SEAL;
}

void sotto_plan_make(struct sotto_plan *out, const struct sotto_plan_for *f, const struct sotto_conf *conf, int64_t now, char *err,
		     size_t len)
{
	struct sotto_session_config *c = &out->session;

	memset(out, 0, sizeof(*out));
	if (len > 0)
		err[0] = '\0';
	/* whoever writes "mode = off" means all of it; a broken file means nothing, and require still holds */
	out->required = (conf->mode != SOTTO_MODE_OFF || f->broken) && (listed(f, "require", err, len) || f->require);
	out->excluded = !out->required && listed(f, "exclude", err, len);
	c->role = f->role;
	if (f->role == SOTTO_CONNECT)
		recall_peer(out, f, conf, now);
	else if (!f->no_identity)
		out->identity_error = find_identity(c->identity, f);
	c->has_identity = f->role == SOTTO_ACCEPT && !f->no_identity && out->identity_error == 0;
	c->hold = f->no_identity;
	c->use = use_of(out, conf);
	/* our mail server's own name is said to the peer all the same, and QUIT */
	if (c->use == SOTTO_USE_OFF && f->native && !out->required)
		c->use = SOTTO_USE_OBSERVE;
	c->clear = out->required ? SOTTO_CLEAR_451 : f->native ? SOTTO_CLEAR_421 : SOTTO_CLEAR_PASS;
	c->redial = f->redial;
	c->hide_starttls = conf->skip_starttls && !f->keep_starttls;
	c->padding = conf->padding;
	c->random = sotto_random;
}
