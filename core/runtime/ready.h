/* SPDX-License-Identifier: ISC */
/*
 * What sotto-session and whoever started it say to each other on the socket --ready (sotto-session(8)):
 *
 *     session  !   it is ready, and has touched no descriptor that it was given
 *     starter  !   it has let go of them. Its end of stream instead means: taken back
 *     session  +   --to only, as soon as it is known: the domain's mail server offers XSOTTO
 *     session  -   ... it does not, or cannot be had
 *
 * With --to the starter is a daemon that may be ended at any time, and takes back by killing the session first: there its end of stream
 * says that it is gone, and the connection is the session's alone.
 */
#ifndef SOTTO_RUNTIME_READY_H
#define SOTTO_RUNTIME_READY_H

#include <stdbool.h>

#include "core/runtime/state-domain.h"

#define SOTTO_READY '!'
#define SOTTO_READY_YES '+'
#define SOTTO_READY_NO '-'

/*
 * Says that we are ready, and waits for the answer: a matter of microseconds, 10 s at most. 0: go; -1: touch nothing. *fd is closed and -1
 * afterwards, but where a daemon is there and answered: then it can be told more. *fd < 0, or a pipe, which cannot answer: 0 at once.
 */
SOTTO_CHECKED int sotto_ready_wait(int *fd, bool daemon);

/* Tells a daemon. Never waits; fd < 0 is nothing. */
void sotto_ready_tell(int fd, enum sotto_domain_offer what);

#endif
