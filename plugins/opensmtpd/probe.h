/* SPDX-License-Identifier: ISC */
/*
 * Asks a domain's mail server what it offers: connects, EHLO, QUIT. One probe at a time to a mail server, whichever domains it serves.
 * On the worker's loop; what is learnt is noted (known.h) before the caller hears of it.
 */
#ifndef SOTTO_OPENSMTPD_PROBE_H
#define SOTTO_OPENSMTPD_PROBE_H

#include "core/crypto/memory.h"

#define SOTTO_PROBE_MS 15000	/* for all of it; a slow greeting is somebody's defence */
#define SOTTO_PROBES_MAX 100	/* at once */

struct sotto_worker;
struct sotto_probe;

/* Exactly once, out of the loop. The probe is gone. */
typedef void sotto_probe_done(void *arg);

/* domain must live until done. NULL: no memory. */
struct sotto_probe *sotto_probe_start(struct sotto_worker *w, const char *domain, sotto_probe_done *done, void *arg);

#endif
