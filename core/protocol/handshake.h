/* SPDX-License-Identifier: ISC */
/*
 * The keys of one session (PROTOCOL.md 4) and the proof of identity (PROTOCOL.md 7). Pure functions: randomness comes in
 * from the caller. Every struct that holds secrets has one function that wipes it.
 */
#ifndef SOTTO_PROTOCOL_HANDSHAKE_H
#define SOTTO_PROTOCOL_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto/hash.h"
#include "core/crypto/memory.h"
#include "core/crypto/mlkem768.h"
#include "core/protocol/hello.h"

#define SOTTO_CLIENT_RANDOM 96	/* d[32] z[32] for ML-KEM, x[32] for X25519 */
#define SOTTO_SERVER_RANDOM 64	/* m[32] for ML-KEM, y[32] for X25519 */
#define SOTTO_SESSION_ID 32
#define SOTTO_IDENT 48		/* S[32] mac[16] */

enum sotto_handshake_error {
	SOTTO_HANDSHAKE_BAD_KEY = -1,	/* ek fails the modulus check, or X25519 gives all zero */
	SOTTO_HANDSHAKE_ALTERED = -2	/* the confirmation tag is wrong: the two sides saw different octets */
};

/* The running hash of what both sides saw. */
struct sotto_transcript {
	struct sotto_sha256 hash;
};

void sotto_transcript_begin(struct sotto_transcript *t);
/* v(s) = u32(len(s)) || s, for the lines; and octets as they are, for the hellos. */
void sotto_transcript_lines(struct sotto_transcript *t, const uint8_t *s, size_t len);
void sotto_transcript_octets(struct sotto_transcript *t, const uint8_t *s, size_t len);

/* okm, in the order in which it is cut up. `h` is H; none of it is given to anybody but the other end. */
struct sotto_keys {
	uint8_t c2s_key[32], s2c_key[32];
	uint8_t c2s_iv[12], s2c_iv[12];
	uint8_t confirmation[32];
	uint8_t session_id[SOTTO_SESSION_ID];	/* not secret */
	uint8_t h[32];
};

/* What the client keeps between its hello and the server's: `x` also until IDENT has been checked. */
struct sotto_client_secrets {
	uint8_t dk[SOTTO_MLKEM768_DK];
	uint8_t x[32];
};

/* Makes the client hello and its secrets from SOTTO_CLIENT_RANDOM octets. */
void sotto_client_hello(uint8_t hello[SOTTO_CLIENT_HELLO], struct sotto_client_secrets *secrets,
			const uint8_t random[SOTTO_CLIENT_RANDOM]);

/*
 * The server's whole part: `t` holds everything up to and including the client hello and the 220 line; it is finished here.
 * Writes the server hello and the keys. BAD_KEY: outputs are zero.
 */
SOTTO_CHECKED int sotto_server_hello(uint8_t out[SOTTO_SERVER_HELLO], struct sotto_keys *keys, struct sotto_transcript *t,
				     const uint8_t client_hello[SOTTO_CLIENT_HELLO],
				     const uint8_t random[SOTTO_SERVER_RANDOM]);

/*
 * The client's end of it: `t` as above. Verifies the tag in constant time. On an error the keys are zero. secrets->dk is wiped in
 * either case, secrets->x stays for IDENT.
 */
SOTTO_CHECKED int sotto_client_finish(struct sotto_keys *keys, struct sotto_transcript *t, struct sotto_client_secrets *secrets,
				      const uint8_t server_hello[SOTTO_SERVER_HELLO]);

/* IDENT = S || mac, from the server's long-term secret and the client's X and H. BAD_KEY: `out` is zero. */
SOTTO_CHECKED int sotto_ident_make(uint8_t out[SOTTO_IDENT], const uint8_t secret[32], const uint8_t client_x[32],
				   const uint8_t h[32]);

/* Verifies IDENT with the client's x and H: 0, BAD_KEY or ALTERED. */
SOTTO_CHECKED int sotto_ident_check(const uint8_t ident[SOTTO_IDENT], const uint8_t x[32], const uint8_t h[32]);

#endif
