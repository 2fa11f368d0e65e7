/* SPDX-License-Identifier: ISC */
/*
 * What a session is to do, from what is known before it begins: sotto.conf, the files require and exclude, what is remembered of the
 * peer. Reads files, changes none.
 */
#ifndef SOTTO_RUNTIME_PLAN_H
#define SOTTO_RUNTIME_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/protocol/session.h"
#include "core/runtime/conf.h"
#include "core/runtime/names.h"

struct sotto_plan_for {
	enum sotto_role role;
	struct sotto_who who;		/* what is not known is NULL */
	const char *conf_dir;		/* where require and exclude are */
	const char *state;
	uint8_t *identity;		/* accept: 32 octets in which the caller keeps the key that was read last; zero: none; or NULL */
	bool require;			/* the adapter knows that encryption is required of this peer */
	bool keep_starttls;		/* the adapter knows that STARTTLS must stay visible */
	bool redial;			/* net can be connected again */
	bool broken;			/* sotto.conf is, and there never were good settings: not the administrator's "off" */
	bool no_identity;		/* accept: it is read later, if ever */
	bool native;			/* where it can't be sealed our mail server goes on natively: it wants 421 */
};

struct sotto_plan {
	struct sotto_session_config session;
	bool required, excluded, avoided;
	int identity_error;		/* accept: -errno where there is no identity key to show; peers that know ours notice */
	bool offered_before;		/* connect: the last EHLO reply of this peer had XSOTTO in it */
};

/*
 * Fills *out. Errors of the files are written to err, the last one wins; err is "" where there are none. The identity secret, where
 * there is one, is in out->session: wipe it, and f->identity, at its end. That one is shown where the file cannot be had, as on a disk that
 * hangs; one that is there and must not be used (identity.h) wipes it.
 */
void sotto_plan_make(struct sotto_plan *out, const struct sotto_plan_for *f, const struct sotto_conf *conf, int64_t now, char *err,
		     size_t len);

#endif
