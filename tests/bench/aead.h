/* SPDX-License-Identifier: ISC */
/* ChaCha20-Poly1305 alone (aead.c). */
#ifndef SOTTO_BENCH_AEAD_H
#define SOTTO_BENCH_AEAD_H

/* Octets a second of CPU, in records of full size: sealing in one thread, opening in another at the same time. */
struct bench_aead {
	double seal, open;
};

struct bench_aead bench_aead(void);

#endif
