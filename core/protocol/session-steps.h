/* SPDX-License-Identifier: ISC */
/*
 * What session.c, session-accept.c, session-connect.c and session-sealed.c share, and nobody else includes: the steps of a
 * session and how to go from one to another. ARCHITECTURE.md's states in brackets.
 */
#ifndef SOTTO_PROTOCOL_SESSION_STEPS_H
#define SOTTO_PROTOCOL_SESSION_STEPS_H

#include "core/protocol/session.h"

enum sotto_step {
	STEP_GREETING,		/* [GREETING]  the banner passes by */
	STEP_FIRST,		/* [CLEAR]     the first command is awaited */
	STEP_EHLO,		/* [CLEAR]     EHLO is under way, its reply is awaited */
	STEP_OFFERED,		/* [CLEAR]     accept: the offer was made, the next command is awaited */
	STEP_EXCHANGE,		/* [EXCHANGE]  accept: the hello comes; connect: the answer to ours */
	STEP_REDIAL,		/* [EXCHANGE]  connect: a new connection is wished for */
	STEP_AGAIN_GREETING,	/* [EXCHANGE]  connect: its banner is swallowed */
	STEP_AGAIN_EHLO,	/* [EXCHANGE]  connect: its reply to the same EHLO is awaited */
	STEP_SEALED,		/* [SEALED] */
	STEP_OPAQUE,		/* [OPAQUE] */
	STEP_REFUSING,		/* encryption is required and can't be had: 451 to each command, 221 to QUIT */
	STEP_END,		/* what is in the buffers still goes out */
	STEPS
};

/*
 * What a step does with octets (or the end) of one side. Returns true where it took something or went to another step: then all
 * is looked at again. NULL in the table: that side is not read.
 */
typedef bool sotto_take(struct sotto_session *s);

struct sotto_row {
	sotto_take *net, *mta;
	sotto_take *late;	/* the deadline is over */
};

extern const struct sotto_row sotto_accept_rows[STEPS], sotto_connect_rows[STEPS];

#define ANSWER_PATIENCE 4000	/* PROTOCOL.md 8: milliseconds from the hello sent to the last octet of the answer */
#define CLOSE_PATIENCE 30000	/* PROTOCOL.md 5: milliseconds from our CLOSE to the peer's */

/* Goes to a step without a deadline; STEP_END has one of its own. */
void sotto_go(struct sotto_session *s, enum sotto_step step);

/* It can't be sealed: on in the clear (OPAQUE), or, where that is not allowed, REFUSING or END. */
void sotto_go_clear(struct sotto_session *s, enum sotto_cause cause);

/* Ends the session; `reply` (may be NULL) goes to `side` first. */
void sotto_go_end(struct sotto_session *s, enum sotto_side side, const char *reply);

/* Notes why; the first cause of an outcome stays. */
void sotto_note_failure(struct sotto_session *s, enum sotto_cause cause);

/* The exchange is done: records from here on, with `keys`, which are wiped. */
void sotto_go_sealed(struct sotto_session *s);

/* Seals one record towards net, which has room for it. */
void sotto_seal(struct sotto_session *s, enum sotto_record_type type, const uint8_t *content, size_t len);

/* Copies what EHLO said of the client's name to the report. */
void sotto_note_ehlo(struct sotto_session *s, const uint8_t *line, size_t len);

/* Looks, as the session goes on in the clear, whether the next command is STARTTLS: for the report alone. */
void sotto_note_command(struct sotto_session *s, enum sotto_side side);

/* Steps that both roles share. */
bool sotto_take_opaque_net(struct sotto_session *s);
bool sotto_take_opaque_mta(struct sotto_session *s);
bool sotto_take_sealed_net(struct sotto_session *s);
bool sotto_take_sealed_mta(struct sotto_session *s);
bool sotto_take_sealed_late(struct sotto_session *s);
bool sotto_take_refusing(struct sotto_session *s);
/* Octets, or the end, of a side whose turn it is not: on in the clear. */
bool sotto_take_early_net(struct sotto_session *s);
bool sotto_take_early_mta(struct sotto_session *s);

/* The greeting passes by; without a good one, on in the clear. */
bool sotto_take_greeting(struct sotto_session *s);

/* STEP_END: nothing could be written for 30 seconds. */
bool sotto_end_late(struct sotto_session *s);

/* Octets were written to `side`: deadlines that run from there are set again. */
void sotto_note_progress(struct sotto_session *s, enum sotto_side side);

#endif
