/* SPDX-License-Identifier: ISC */
/*
 * ChaCha20-Poly1305 alone, through core/crypto's front, as records of full size need it: octets a second of CPU, sealing and
 * opening in turns. It bounds what the sealed path can do.
 *
 *      aead [ROUNDS]
 */
#include <stdlib.h>
#include <string.h>

#include "core/crypto/aead.h"
#include "tests/bench/bench.h"

#define SIZE 16384
#define IN_A_ROUND 200

int main(int argc, char **argv)
{
	static uint8_t plain[SIZE], sealed[SIZE + SOTTO_AEAD_TAG], nonce[12], key[32];
	unsigned rounds = bench_number(argc, argv, 1, 100);
	double *seal = calloc(rounds, sizeof(double)), *open = calloc(rounds, sizeof(double));

	memset(plain, 'x', sizeof(plain));
	memset(key, 7, sizeof(key));
	for (unsigned round = 0; round < rounds; round++) {
		double from = bench_cpu(), half;

		for (unsigned i = 0; i < IN_A_ROUND; i++)
			MUST(sotto_aead_seal(sealed, key, nonce, "xx", 2, plain, SIZE) == 0);
		half = bench_cpu();
		for (unsigned i = 0; i < IN_A_ROUND; i++)
			MUST(sotto_aead_open(plain, key, nonce, "xx", 2, sealed, sizeof(sealed)) == 0);
		seal[round] = IN_A_ROUND * (double)SIZE / (half - from);
		open[round] = IN_A_ROUND * (double)SIZE / (bench_cpu() - half);
	}
	bench_say("aead.seal_octets_s", bench_median(seal, rounds));
	bench_say("aead.open_octets_s", bench_median(open, rounds));
	return 0;
}
