/* SPDX-License-Identifier: ISC */
/*
 * hash.h - SHA-256 (FIPS 180-4), SHA3-256, SHA3-512, SHAKE128 and SHAKE256 (FIPS 202).
 *
 * All of one shape: init, update any number of times, final once (for a SHAKE: squeeze any number
 * of times, then end). final and end wipe the state; before another use it needs init again. A
 * struct holds no pointer and may be copied with = at any time, to hash two endings of one
 * beginning; then each copy must be ended. update takes NULL when len is 0. Nothing can fail.
 * The time depends on lengths only. PROTOCOL.md 4 uses SHA-256, mlkem768.c the others.
 */
#ifndef SOTTO_CRYPTO_HASH_H
#define SOTTO_CRYPTO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SOTTO_SHA256_SIZE 32
#define SOTTO_SHA3_256_SIZE 32
#define SOTTO_SHA3_512_SIZE 64

/* The states of libtomcrypt; opaque, so that its header stays out of everybody's namespace. */
struct sotto_sha256 {
	uint64_t opaque[14];
};
struct sotto_keccak {
	uint64_t opaque[54];
};
struct sotto_sha3_256 {
	struct sotto_keccak keccak;
};
struct sotto_sha3_512 {
	struct sotto_keccak keccak;
};
struct sotto_shake128 {
	struct sotto_keccak keccak;
};
struct sotto_shake256 {
	struct sotto_keccak keccak;
};

void sotto_sha256_init(struct sotto_sha256 *hash);
void sotto_sha256_update(struct sotto_sha256 *hash, const void *data, size_t len);
void sotto_sha256_final(struct sotto_sha256 *hash, uint8_t out[SOTTO_SHA256_SIZE]);

void sotto_sha3_256_init(struct sotto_sha3_256 *hash);
void sotto_sha3_256_update(struct sotto_sha3_256 *hash, const void *data, size_t len);
void sotto_sha3_256_final(struct sotto_sha3_256 *hash, uint8_t out[SOTTO_SHA3_256_SIZE]);

void sotto_sha3_512_init(struct sotto_sha3_512 *hash);
void sotto_sha3_512_update(struct sotto_sha3_512 *hash, const void *data, size_t len);
void sotto_sha3_512_final(struct sotto_sha3_512 *hash, uint8_t out[SOTTO_SHA3_512_SIZE]);

/* After the first squeeze nothing more may be taken in. Many small squeezes equal one large. */
void sotto_shake128_init(struct sotto_shake128 *xof);
void sotto_shake128_update(struct sotto_shake128 *xof, const void *data, size_t len);
void sotto_shake128_squeeze(struct sotto_shake128 *xof, uint8_t *out, size_t len);
void sotto_shake128_end(struct sotto_shake128 *xof);

void sotto_shake256_init(struct sotto_shake256 *xof);
void sotto_shake256_update(struct sotto_shake256 *xof, const void *data, size_t len);
void sotto_shake256_squeeze(struct sotto_shake256 *xof, uint8_t *out, size_t len);
void sotto_shake256_end(struct sotto_shake256 *xof);

#endif
