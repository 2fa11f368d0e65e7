/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305 alone, through core/crypto's front. Both at once, as two sotto-sessions need it: two cores that share their parts
 * (hyper-threads) do less each than one alone. Called by relay.c between its runs.
 */
#include "tests/bench/aead.h"

#include <pthread.h>
#include <string.h>

#include "core/crypto/aead.h"
#include "tests/bench/bench.h"

#define SIZE 16384
#define RECORDS 2000

static const uint8_t key[SOTTO_AEAD_KEY] = { 7 }, nonce[SOTTO_AEAD_NONCE];

static void *seal(void *rate)
{
	static uint8_t plain[SIZE], sealed[SIZE + SOTTO_AEAD_TAG];
	double from = bench_cpu();

	for (unsigned i = 0; i < RECORDS; i++)
		MUST(sotto_aead_seal(sealed, key, nonce, "xx", 2, plain, SIZE) == 0);
	*(double *)rate = RECORDS * (double)SIZE / (bench_cpu() - from);
	return NULL;
}

static void *open(void *rate)
{
	static uint8_t plain[SIZE], sealed[SIZE + SOTTO_AEAD_TAG];
	double from;

	MUST(sotto_aead_seal(sealed, key, nonce, "xx", 2, plain, SIZE) == 0);
	from = bench_cpu();
	for (unsigned i = 0; i < RECORDS; i++)
		MUST(sotto_aead_open(plain, key, nonce, "xx", 2, sealed, sizeof(sealed)) == 0);
	*(double *)rate = RECORDS * (double)SIZE / (bench_cpu() - from);
	return NULL;
}

struct bench_aead bench_aead(void)
{
	struct bench_aead rates;
	pthread_t other;

	MUST(pthread_create(&other, NULL, open, &rates.open) == 0);
	(void)seal(&rates.seal);
	MUST(pthread_join(other, NULL) == 0);
	return rates;
}
