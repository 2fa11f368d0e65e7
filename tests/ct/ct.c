/* SPDX-License-Identifier: ISC */
/*
 * ct.c - shows that no branch and no address in X25519 and ML-KEM depends on a secret.
 *
 * Run by check-ct.sh, under valgrind. Secrets are marked as undefined memory; memcheck follows them
 * through every calculation, into libtomcrypt too, and reports each jump and each address that
 * depends on them. What a wiretap sees anyway (keys and ciphertexts that are sent, the rho in them)
 * is declared defined here, where it becomes public, never in the code under test.
 *
 * Two functions that do leak come first: if they are not reported, the tool is not working.
 */
#include "tests/unit/vectors-x25519-other.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "core/crypto/kdf.h"
#include "core/crypto/mlkem768-parts.h"
#include "core/crypto/mlkem768.h"
#include "core/crypto/x25519.h"

#define EK SOTTO_MLKEM768_EK
#define DK SOTTO_MLKEM768_DK
#define CT SOTTO_MLKEM768_CT
#define S_OCTETS (DK - EK - 64) /* dk is s || ek || H(ek) || z */

static void secret(const void *p, size_t len)
{
	(void)VALGRIND_MAKE_MEM_UNDEFINED(p, len);
}

static void public(const void *p, size_t len)
{
	(void)VALGRIND_MAKE_MEM_DEFINED(p, len);
}

/* Not random: a run is to be repeated exactly. Not all alike: each octet is another. */
static void fill(uint8_t *p, size_t len, uint8_t start)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(start + i * 151 + (i * i >> 3));
}

static void must(bool true_here, int line)
{
	if (!true_here) {
		fprintf(stderr, "ct.c:%d: wrong result\n", line);
		exit(2);
	}
}
#define MUST(x) must(x, __LINE__)

/* ---- functions that leak -------------------- */

static volatile unsigned int seen;

static void leaks_by_a_branch(void)
{
	uint8_t key[32];

	fill(key, 32, 1);
	secret(key, 32);
	if (key[7] & 1)
		seen++;
}

static void leaks_by_an_address(void)
{
	static const volatile uint8_t table[256] = { 1 };
	uint8_t key[32];

	fill(key, 32, 1);
	secret(key, 32);
	seen = table[key[7]];
}

/* memcmp as one would write it: the first difference ends it. */
static void leaks_by_comparing(void)
{
	uint8_t key[32], other[32] = { 0 };
	volatile uint8_t *p = key;

	fill(key, 32, 1);
	secret(key, 32);
	for (size_t i = 0; i < 32 && p[i] == other[i]; i++)
		seen++;
}

/* ---- functions that must not -------------------- */

static void x25519_by(int (*f)(uint8_t *, const uint8_t *, const uint8_t *), uint8_t u_start)
{
	uint8_t scalar[32], u[32], out[32], again[32];
	int result;

	fill(scalar, 32, 3);
	memset(u, 0, 32); /* 0, a point of small order, or one in general */
	if (u_start != 0)
		fill(u, 32, u_start);
	secret(scalar, 32);
	secret(u, 32);
	result = f(out, scalar, u);
	public(&result, sizeof(result));
	public(out, 32);
	public(scalar, 32);
	public(u, 32);
	MUST(result == (u_start != 0 ? 0 : SOTTO_ERR_ZERO));
	MUST(sotto_x25519(again, scalar, u) == result && memcmp(out, again, 32) == 0);
}

static void x25519(void) { x25519_by(sotto_x25519, 9); }
static void x25519_zero(void) { x25519_by(sotto_x25519, 0); }
static void x25519_other(void) { x25519_by(sotto_x25519_other, 9); }
static void x25519_other_zero(void) { x25519_by(sotto_x25519_other, 0); }

static void x25519_public(void)
{
	uint8_t scalar[32], out[32];

	fill(scalar, 32, 4);
	secret(scalar, 32);
	sotto_x25519_public(out, scalar);
}

/* Key generation in its two halves: between them rho, hashed from a secret, becomes public. */
static void mlkem_keypair(void)
{
	uint8_t seed[64], rho_sigma[64], ek[EK], dk[DK], ek2[EK], dk2[DK];

	fill(seed, 64, 5);
	secret(seed, 64);
	sotto_mlkem768_expand(rho_sigma, seed);
	public(rho_sigma, 32);
	sotto_mlkem768_generate(ek, dk, rho_sigma, seed + 32);
	public(seed, 64);
	public(ek, EK);
	public(dk, DK);
	sotto_mlkem768_keypair(ek2, dk2, seed); /* the halves are the whole */
	MUST(memcmp(ek, ek2, EK) == 0 && memcmp(dk, dk2, DK) == 0);
}

/* An exchange with nothing marked: for inputs, and to compare with. */
static uint8_t kem_ek[EK], kem_dk[DK], kem_ct[CT], kem_ss[32], kem_m[32];

static void mlkem_prepare(void)
{
	uint8_t seed[64];

	fill(seed, 64, 6);
	fill(kem_m, 32, 7);
	sotto_mlkem768_keypair(kem_ek, kem_dk, seed);
	MUST(sotto_mlkem768_encaps(kem_ct, kem_ss, kem_ek, kem_m) == 0);
}

static void mlkem_encaps(void)
{
	uint8_t m[32], ct[CT], ss[32];
	int result;

	mlkem_prepare();
	memcpy(m, kem_m, 32);
	secret(m, 32);
	result = sotto_mlkem768_encaps(ct, ss, kem_ek, m);
	MUST(result == 0); /* depends on ek alone, so it is defined */
	public(ct, CT);
	public(ss, 32);
	MUST(memcmp(ct, kem_ct, CT) == 0 && memcmp(ss, kem_ss, 32) == 0);
}

static void mlkem_decaps_of(const uint8_t ct[CT], bool accepted)
{
	uint8_t dk[DK], ss[32];

	memcpy(dk, kem_dk, DK);
	secret(dk, S_OCTETS);
	secret(dk + DK - 32, 32);
	sotto_mlkem768_decaps(ss, ct, dk);
	public(ss, 32);
	MUST((memcmp(ss, kem_ss, 32) == 0) == accepted);
}

static void mlkem_decaps(void)
{
	mlkem_prepare();
	mlkem_decaps_of(kem_ct, true);
}

static void mlkem_decaps_rejected(void)
{
	mlkem_prepare();
	kem_ct[0] ^= 1; /* in u */
	mlkem_decaps_of(kem_ct, false);
	kem_ct[0] ^= 1;
	kem_ct[CT - 1] ^= 0x80; /* in v */
	mlkem_decaps_of(kem_ct, false);
}

static void equal(void)
{
	uint8_t a[16], b[16];
	bool same;

	fill(a, 16, 8);
	fill(b, 16, 8);
	secret(a, 16);
	secret(b, 16);
	same = sotto_equal(a, b, 16);
	public(&same, sizeof(same));
	MUST(same);
}

static void hkdf(void)
{
	uint8_t ikm[64], prk[32], okm[152];
	const struct sotto_part info = { ikm, sizeof(ikm) };

	fill(ikm, 64, 9);
	secret(ikm, 64);
	sotto_hkdf_extract(prk, ikm, 8, ikm, 64);
	MUST(sotto_hkdf_expand(okm, sizeof(okm), prk, &info, 1) == 0);
}

static const struct subject {
	const char *name;
	void (*run)(void);
	bool leaks;
} subjects[] = {
	{ "a branch on a secret", leaks_by_a_branch, true },
	{ "an address made of a secret", leaks_by_an_address, true },
	{ "a comparison that stops early", leaks_by_comparing, true },
	{ "x25519", x25519, false },
	{ "x25519, result zero", x25519_zero, false },
	{ "x25519 (other variant)", x25519_other, false },
	{ "x25519 (other variant), result zero", x25519_other_zero, false },
	{ "x25519_public", x25519_public, false },
	{ "mlkem768_keypair", mlkem_keypair, false },
	{ "mlkem768_encaps", mlkem_encaps, false },
	{ "mlkem768_decaps", mlkem_decaps, false },
	{ "mlkem768_decaps, rejected", mlkem_decaps_rejected, false },
	{ "equal", equal, false },
	{ "hkdf and hmac", hkdf, false },
};

int main(void)
{
	const size_t n = sizeof(subjects) / sizeof(subjects[0]);
	int bad = 0;

	if (!RUNNING_ON_VALGRIND) {
		fprintf(stderr, "to be run under valgrind: see check-ct.sh\n");
		return 2;
	}
	for (size_t i = 0; i < n; i++) {
		const struct subject *s = &subjects[i];
		unsigned int before = (unsigned int)VALGRIND_COUNT_ERRORS;
		unsigned int found;

		s->run();
		found = (unsigned int)VALGRIND_COUNT_ERRORS - before;
		if ((found != 0) == s->leaks)
			continue;
		bad = 1;
		if (s->leaks)
			printf("    %s: NOT NOTICED, so the rest proves nothing\n", s->name);
		else
			printf("    %s: depends on a secret in %u places\n", s->name, found);
	}
	if (!bad)
		printf("%zu functions clean, 3 leaks noticed that are meant to be\n", n - 3);
	return bad;
}
