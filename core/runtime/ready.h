/* SPDX-License-Identifier: ISC */
/*
 * What sotto-session and whoever started it say to each other on the socket --ready (sotto-session(8)):
 *
 *     session  !   it is ready, and has touched no descriptor that it was given
 *     starter  !   it has let go of them. Its end of stream instead means: taken back
 *     session  +   --to only, as soon as it is known: the domain's mail server offers XSOTTO
 *     session  -   ... it does not, or cannot be had
 *     session  r   --to only, also before the first !: this mail server must not get the mail in the clear: encryption is required of it,
 *                  or it shows another identity key than the one known and pin = enforce
 *     session  f   ... it may. Both before our mail server hears how the session went
 *
 * With --to the starter is a daemon that may be ended at any time, and takes back by killing the session first: there its end of stream
 * says that it is gone, and the connection is the session's alone.
 */
#ifndef SOTTO_RUNTIME_READY_H
#define SOTTO_RUNTIME_READY_H

#include <stdbool.h>

#include "core/crypto/memory.h"

#define SOTTO_READY '!'
#define SOTTO_READY_YES '+'
#define SOTTO_READY_NO '-'
#define SOTTO_READY_REFUSED 'r'
#define SOTTO_READY_FREE 'f'

/*
 * Says that we are ready, and waits for the answer: a matter of microseconds, 10 s at most. 0: go; -1: touch nothing. *fd is closed and -1
 * afterwards, but where a daemon is there and answered: then it can be told more. *fd < 0, or a pipe, which cannot answer: 0 at once.
 */
SOTTO_CHECKED int sotto_ready_wait(int *fd, bool daemon);

/* Tells a daemon one of these. Never waits; fd < 0 is nothing. */
void sotto_ready_tell(int fd, char what);

#endif
