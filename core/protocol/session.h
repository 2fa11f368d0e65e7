/* SPDX-License-Identifier: ISC */
/*
 * One session of XSOTTO, both roles: octets in from either side, octets out to either side, and a wish. It knows no descriptor,
 * no clock of its own, no file, no heap. PROTOCOL.md says what crosses `net`; ARCHITECTURE.md ("The session") names the states.
 *
 * How it is driven: set the clock; read into sotto_session_space() and say sotto_session_got(), or say that a side is at its
 * end; write what sotto_session_ready() shows and say sotto_session_sent(); look at sotto_session_wishes(); call
 * sotto_session_tick() when sotto_session_deadline() is over. In any order, from one thread.
 */
#ifndef SOTTO_PROTOCOL_SESSION_H
#define SOTTO_PROTOCOL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/memory.h"
#include "core/protocol/buffer.h"
#include "core/protocol/handshake.h"
#include "core/protocol/record.h"
#include "core/protocol/smtp.h"

enum sotto_role { SOTTO_ACCEPT, SOTTO_CONNECT };
enum sotto_side { SOTTO_NET, SOTTO_MTA };	/* the other mail server; our mail server */

/* What to do with a session that can't be sealed. */
enum sotto_clear {
	SOTTO_CLEAR_PASS,	/* pass it through */
	SOTTO_CLEAR_451,	/* encryption is required: 451, nothing of the envelope goes in or out */
	/* connect only: 421 and a close, so that our mail server goes on natively; to EHLO where the peer has greeted, else at once */
	SOTTO_CLEAR_421
};

enum sotto_use {
	SOTTO_USE_OFF,		/* pass everything through, look at nothing */
	SOTTO_USE_OBSERVE,	/* connect: note what the peer offers, seal nothing; accept: as OFF */
	SOTTO_USE_SEAL		/* accept: offer XSOTTO; connect: use an offer */
};

/* What a changed or missing identity key does to a session in the role connect (PROTOCOL.md 7). */
enum sotto_identity {
	SOTTO_IDENTITY_UNSEEN,	/* IDENT has not come (yet) */
	SOTTO_IDENTITY_NONE,	/* the peer has no key, and none was known */
	SOTTO_IDENTITY_FIRST,	/* a key, and none was known */
	SOTTO_IDENTITY_KNOWN,
	SOTTO_IDENTITY_CHANGED,	/* another key than those known */
	SOTTO_IDENTITY_ABSENT	/* no key, where one was known */
};

#define SOTTO_KNOWN_MAX 8
#define SOTTO_PEER_NAME 312	/* a host's name, an address in brackets, and a NUL */

struct sotto_session_config {
	enum sotto_role role;
	enum sotto_clear clear;
	enum sotto_use use;
	bool redial;		/* connect: net can be connected again (PROTOCOL.md 8) */
	bool sealed_before;	/* connect: this peer has sealed before: a failure is tried once more sealed */
	bool hide_starttls;	/* connect: hide STARTTLS from our mail server inside a sealed session (PROTOCOL.md 6) */
	bool padding;
	bool enforce_identity;	/* connect: nothing is sent before IDENT was read; CHANGED and ABSENT end the session */
	bool hold;		/* accept: an XSOTTO command waits until sotto_session_exchange() is called */
	bool has_identity;	/* accept: `identity` is our long-term secret */
	uint8_t identity[32];
	unsigned known;		/* connect: identity keys seen before, of this peer */
	uint8_t known_keys[SOTTO_KNOWN_MAX][32];
	char peer_name[SOTTO_PEER_NAME];	/* connect: who our replies say that the peer is, in printable ASCII; "": nobody */
	int (*random)(uint8_t *out, size_t len);	/* 0, or <0: then there is no exchange */
};

/* How it went; grows while the session runs, never shrinks. */
enum sotto_outcome {
	SOTTO_OUTCOME_OPEN,	/* nothing decided yet */
	SOTTO_OUTCOME_CLEAR,	/* passed through; `cause` says why */
	SOTTO_OUTCOME_SEALED,
	SOTTO_OUTCOME_REFUSED	/* our side ended it (451 or 421) because it can't be sealed; `cause` says why */
};

enum sotto_cause {
	SOTTO_CAUSE_NONE,
	SOTTO_CAUSE_OFF,		/* SOTTO_USE_OFF */
	SOTTO_CAUSE_OBSERVED,		/* offered, but SOTTO_USE_OBSERVE */
	SOTTO_CAUSE_NO_EHLO,		/* the first command was another */
	SOTTO_CAUSE_GREETING,		/* no 220 greeting */
	SOTTO_CAUSE_EHLO_REPLY,		/* no 250 reply to EHLO */
	SOTTO_CAUSE_ODD,		/* PROTOCOL.md 9 */
	SOTTO_CAUSE_EARLY,		/* octets out of turn */
	SOTTO_CAUSE_NOT_OFFERED,
	SOTTO_CAUSE_TWO_KEYWORDS,
	SOTTO_CAUSE_OTHER_VERSION,	/* offered, but not version 1 */
	SOTTO_CAUSE_MTA_OFFERS,		/* accept: our mail server offers XSOTTO itself */
	SOTTO_CAUSE_NOT_TAKEN,		/* accept: offered, another command came */
	SOTTO_CAUSE_REFUSED,		/* answered with 454, 501, 503 or 504 */
	SOTTO_CAUSE_ENDED,		/* the peer or our mail server left before anything was decided */
	/* failures of the exchange (PROTOCOL.md 8) */
	SOTTO_CAUSE_CLOSED,
	SOTTO_CAUSE_RESET,
	SOTTO_CAUSE_ANSWER,		/* an unknown answer to the command */
	SOTTO_CAUSE_SILENCE,		/* 4 seconds, or 60 for a hello */
	SOTTO_CAUSE_BAD_KEY,
	SOTTO_CAUSE_ALTERED,
	SOTTO_CAUSE_RANDOM,		/* no randomness to be had */
	/* losses once sealed */
	SOTTO_CAUSE_TRUNCATED,		/* end of stream without CLOSE */
	SOTTO_CAUSE_LOST,		/* reset */
	SOTTO_CAUSE_BAD_RECORD,
	SOTTO_CAUSE_BAD_IDENT,
	SOTTO_CAUSE_IDENTITY		/* refused because of the peer's identity */
};

/* A few words for a log line, such as "not offered". */
const char *sotto_cause_text(enum sotto_cause cause);

struct sotto_report {
	enum sotto_outcome outcome;
	enum sotto_cause cause;		/* of the outcome, or of the last failure before it */
	bool failed;			/* an exchange failed (PROTOCOL.md 8); `failure` says how */
	bool silent;			/* that failure was silence alone */
	bool lost;			/* a sealed session ended without an orderly close */
	bool offer_known, offered;	/* connect: what the peer's EHLO reply said */
	bool starttls, quit;		/* in the clear: the command behind EHLO was that one */
	bool authenticated;		/* accept: the first record of the client has been authenticated */
	enum sotto_cause failure;
	unsigned refusal;		/* the code of a refusal, 0: none */
	unsigned version;		/* 0 until sealed */
	uint8_t session_id[SOTTO_SESSION_ID];
	enum sotto_identity identity;
	uint8_t identity_key[32];	/* the peer's, where there is one */
	uint64_t exchange_ms;		/* from the hello to the keys */
	uint64_t failed_ms;		/* spent on exchanges that failed */
	char ehlo_name[256];		/* what the client called itself; printable octets only */
};

#define SOTTO_WISH_REDIAL	1u	/* close net, connect again; then sotto_session_redialed() */
#define SOTTO_WISH_SHUT_NET	2u	/* all is written: shut this direction down */
#define SOTTO_WISH_SHUT_MTA	4u
#define SOTTO_WISH_SPLICE	8u	/* buffers are empty and nothing will be looked at any more: octets may go by without us */
#define SOTTO_WISH_END		16u	/* all is written: close both, the session is over */
#define SOTTO_WISH_ABORT	32u	/* with END: close as a lost connection is closed, never as an orderly end */
#define SOTTO_WISH_EXCHANGE	64u	/* with `hold`: XSOTTO has come; nothing goes on before sotto_session_exchange() */

#define SOTTO_IN (2 * SOTTO_RECORD_WIRE)	/* two records, so that a read brings whole ones; or an EHLO reply, whole */
#define SOTTO_OUT (2 * SOTTO_RECORD_WIRE)	/* with SOTTO_IN: 64 KiB a direction, and a few octets */

/* Everything below is the session's own; read nothing but `report`. */
struct sotto_session {
	struct sotto_report report;
	struct sotto_session_config config;
	unsigned step;
	struct sotto_buffer in[2], out[2];
	bool eof[2];		/* no more octets come from that side */
	bool gone[2];		/* ... and none can be written to it */
	bool shut[2];		/* what goes to that side is complete */
	unsigned redials;	/* connect: connections after the first */
	bool waiting, impossible;	/* accept, with `hold`: XSOTTO has come; it is to be answered with 454 */
	bool refused;		/* accept: an XSOTTO command was refused: no offer any more */
	bool command_due;	/* connect: the EHLO reply goes on in the clear, the command that it is followed by has not been seen */
	bool ident_due;		/* connect: the next record must be IDENT */
	bool got_close, sent_close;
	bool in_line;		/* sealed: what our mail server has been given ends within a line */
	bool abort;
	unsigned refusals;
	enum sotto_command_error command_error;
	size_t hello_length;
	size_t passed;		/* octets of a greeting that went on before it was whole */
	bool greeted;		/* octets of a greeting went on */
	uint64_t now, deadline, started, last_sealed;
	size_t flowed;		/* octets sealed since the last pause */
	size_t ehlo_len;
	uint8_t ehlo[SOTTO_SMTP_COMMAND_MAX];
	struct sotto_reply reply;
	struct sotto_transcript transcript;
	struct sotto_client_secrets secrets;
	struct sotto_keys keys;
	struct sotto_direction seal, open;
	uint8_t in_data[2][SOTTO_IN], out_data[2][SOTTO_OUT];
};

/* Begins a session at time `now` (milliseconds of any monotonic clock). The config is copied. */
void sotto_session_init(struct sotto_session *s, const struct sotto_session_config *config, uint64_t now);

/*
 * What may still be said to our mail server, behind all that ready() has for it, when the session is cut off from outside: a line that
 * says 421 to a client, where it is sealed and at the end of a line; otherwise NULL.
 */
const char *sotto_session_last_word(const struct sotto_session *s);

/* Wipes it; of one that was never sealed all but the buffers, whose octets crossed the wire as they are. Must be the last call. */
void sotto_session_wipe(struct sotto_session *s);

/* Where to read octets of `side` into, and how many (*len 0: do not read that side now). Valid until the next call. */
uint8_t *sotto_session_space(struct sotto_session *s, enum sotto_side side, size_t *len);

/* `n` octets, at most what space() said, were put there. */
void sotto_session_got(struct sotto_session *s, enum sotto_side side, size_t n);

/* `side` sent an orderly end of its stream; or its connection is dead in both directions. */
void sotto_session_eof(struct sotto_session *s, enum sotto_side side);
void sotto_session_gone(struct sotto_session *s, enum sotto_side side);

/* What is to be written to `side`, and that the first `n` octets of it were. */
const uint8_t *sotto_session_ready(const struct sotto_session *s, enum sotto_side side, size_t *len);
void sotto_session_sent(struct sotto_session *s, enum sotto_side side, size_t n);

/* The clock: say it before the calls above; tick() acts on a deadline that is over. 0: no deadline. */
void sotto_session_clock(struct sotto_session *s, uint64_t now);
void sotto_session_tick(struct sotto_session *s);
uint64_t sotto_session_deadline(const struct sotto_session *s);

/* SOTTO_WISH_… as of now. */
unsigned sotto_session_wishes(const struct sotto_session *s);

/* The answer to SOTTO_WISH_REDIAL: there is a new connection to the peer, or there can't be one. */
void sotto_session_redialed(struct sotto_session *s, bool connected);

/*
 * The answer to SOTTO_WISH_EXCHANGE: the session goes on; identity (32 octets, copied; NULL: there is none) is our long-term secret. Or the
 * exchange is not possible, and XSOTTO is refused with 454.
 */
void sotto_session_exchange(struct sotto_session *s, const uint8_t *identity);
void sotto_session_no_exchange(struct sotto_session *s);

/* Whether octets pass by unread from here on (for a runtime that splices), and whether they are sealed. */
bool sotto_session_is_opaque(const struct sotto_session *s);
bool sotto_session_is_sealed(const struct sotto_session *s);

#endif
