/* SPDX-License-Identifier: ISC */
/*
 * Keeps a `sotto-session serve` (core/runtime/serve.h) running for sotto-front, at first.sock in the run folder: that is there only while
 * it answers. It is asked each second; one that ends or is silent is started again. Without it, sotto-front executes sotto-session.
 */
#ifndef SOTTO_POSTFIX_SERVING_H
#define SOTTO_POSTFIX_SERVING_H

#include "plugins/postfix-policy/policyd.h"

struct sotto_serving;

/* NULL: no memory. p stays the caller's. Where the program cannot be started, that is tried again each second. */
struct sotto_serving *sotto_serving_open(const struct sotto_policyd *p);

/* NULL is nothing. Sessions that it has forked go on. */
void sotto_serving_close(struct sotto_serving *s);

#endif
