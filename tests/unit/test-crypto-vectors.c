/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-vectors.c - runs the published vectors that come as JSON: Wycheproof and NIST ACVP.
 *
 * Those in tests/vectors are part of the tree and must be there. The large collections are looked
 * for in the folder that the environment variable SOTTO_VECTORS names, ../shared/vectors by
 * default; without that folder the test says so, loudly, and passes.
 *
 * A file that is there must yield the number of vectors that it had when this was written: one
 * that is cut short or read wrongly fails. What is left out is counted, and said why.
 */
#include "tests/unit/vectors-x25519-other.h"

#include "tests/unit/vectors-hex.h"

#include <jansson.h>
#include <sys/stat.h>

#include "core/crypto/aead.h"
#include "core/crypto/kdf.h"
#include "core/crypto/mlkem768.h"

#define EK SOTTO_MLKEM768_EK
#define DK SOTTO_MLKEM768_DK
#define CT SOTTO_MLKEM768_CT

/* The octets of a member written in hex, on the heap until done_with(). */
struct octets {
	uint8_t *p;
	size_t len;
};

static struct octets member(const json_t *object, const char *name)
{
	const char *hex = json_string_value(json_object_get(object, name));
	struct octets o;

	if (hex == NULL) {
		fail_msg("no member \"%s\"", name);
		abort(); /* never reached, which the analyzers do not know */
	}
	o.p = hex_octets(hex, &o.len);
	return o;
}

static void done_with(struct octets *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i].p);
}

static bool is(const json_t *object, const char *name, const char *value)
{
	const char *got = json_string_value(json_object_get(object, name));

	return got != NULL && strcmp(got, value) == 0;
}

static bool flagged(const json_t *test, const char *flag)
{
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(test, "flags"), i, one) {
		if (strcmp(json_string_value(one), flag) == 0)
			return true;
	}
	return false;
}

static void assert_octets(const uint8_t *got, struct octets want, size_t len)
{
	assert_int_equal(want.len, len);
	assert_memory_equal(got, want.p, len);
}

/* ---- one vector of each kind: true if it was run, false if it is left out -------------------- */

static bool run_x25519(const json_t *group, const json_t *test)
{
	struct octets in[] = { member(test, "private"), member(test, "public"),
			       member(test, "shared") };
	int want = flagged(test, "ZeroSharedSecret") ? SOTTO_ERR_ZERO : 0;
	uint8_t out[32];

	(void)group;
	assert_int_equal(in[0].len, 32);
	assert_int_equal(in[1].len, 32);
	assert_int_equal(sotto_x25519(out, in[0].p, in[1].p), want);
	assert_octets(out, in[2], 32);
	assert_int_equal(sotto_x25519_other(out, in[0].p, in[1].p), want);
	assert_octets(out, in[2], 32);
	done_with(in, 3);
	return true;
}

static void seal_and_open(const json_t *test, struct octets *in)
{
	const struct octets key = in[0], nonce = in[1], ad = in[2];
	const struct octets msg = in[3], ct = in[4], tag = in[5];
	uint8_t *sealed = malloc(msg.len + SOTTO_AEAD_TAG), *opened = malloc(msg.len + 1);
	int want = 0;

	assert_non_null(sealed);
	assert_non_null(opened);
	if (msg.len == 0) { /* refused by our interface, whatever the tag */
		want = SOTTO_ERR_EMPTY;
	} else if (is(test, "result", "invalid")) {
		want = SOTTO_ERR_FORGED;
	} else {
		assert_int_equal(sotto_aead_seal(sealed, key.p, nonce.p, ad.p, ad.len, msg.p,
						 msg.len), 0);
		assert_octets(sealed, ct, msg.len);
		assert_octets(sealed + msg.len, tag, SOTTO_AEAD_TAG);
	}
	memcpy(sealed, ct.p, ct.len);
	memcpy(sealed + ct.len, tag.p, tag.len);
	assert_int_equal(sotto_aead_open(opened, key.p, nonce.p, ad.p, ad.len, sealed,
					 ct.len + SOTTO_AEAD_TAG), want);
	if (want == 0)
		assert_memory_equal(opened, msg.p, msg.len);
	else
		assert_all(opened, msg.len, 0);
	free(sealed);
	free(opened);
}

static bool run_aead(const json_t *group, const json_t *test)
{
	struct octets in[] = { member(test, "key"), member(test, "iv"), member(test, "aad"),
			       member(test, "msg"), member(test, "ct"), member(test, "tag") };
	bool ours = in[1].len == SOTTO_AEAD_NONCE;

	(void)group;
	if (ours)
		seal_and_open(test, in);
	else
		assert_true(is(test, "result", "invalid"));
	done_with(in, 6);
	return ours;
}

static bool run_hkdf(const json_t *group, const json_t *test)
{
	struct octets in[] = { member(test, "ikm"), member(test, "salt"), member(test, "info"),
			       member(test, "okm") };
	const struct sotto_part info = { in[2].p, in[2].len };
	size_t len = (size_t)json_integer_value(json_object_get(test, "size"));
	int want = is(test, "result", "valid") ? 0 : SOTTO_ERR_LENGTH;
	uint8_t prk[32];
	uint8_t *okm = malloc(len);

	(void)group;
	assert_non_null(okm);
	sotto_hkdf_extract(prk, in[1].p, in[1].len, in[0].p, in[0].len);
	assert_int_equal(sotto_hkdf_expand(okm, len, prk, &info, 1), want);
	if (want == 0)
		assert_octets(okm, in[3], len);
	free(okm);
	done_with(in, 4);
	return true;
}

static void assert_keypair(struct octets seed, struct octets ek, struct octets dk)
{
	uint8_t got_ek[EK], got_dk[DK];

	assert_int_equal(seed.len, SOTTO_MLKEM768_SEED);
	sotto_mlkem768_keypair(got_ek, got_dk, seed.p);
	assert_octets(got_ek, ek, EK);
	assert_octets(got_dk, dk, DK);
}

static bool run_keygen(const json_t *group, const json_t *test)
{
	struct octets in[] = { member(test, "seed"), member(test, "ek"), member(test, "dk") };

	(void)group;
	assert_keypair(in[0], in[1], in[2]);
	done_with(in, 3);
	return true;
}

static void assert_encaps(struct octets m, struct octets ek, struct octets c, struct octets k)
{
	uint8_t ct[CT], ss[32];

	assert_int_equal(m.len, 32);
	assert_int_equal(sotto_mlkem768_encaps(ct, ss, ek.p, m.p), 0);
	assert_octets(ct, c, CT);
	assert_octets(ss, k, 32);
}

static void assert_refused(struct octets m, struct octets ek)
{
	uint8_t ct[CT], ss[32];

	assert_int_equal(m.len, 32);
	assert_int_equal(sotto_mlkem768_encaps(ct, ss, ek.p, m.p), SOTTO_ERR_KEY);
	assert_all(ct, CT, 0);
	assert_all(ss, 32, 0);
}

static bool run_encaps(const json_t *group, const json_t *test)
{
	struct octets in[] = { member(test, "m"), member(test, "ek"), member(test, "c"),
			       member(test, "K") };
	bool ours = in[1].len == EK;

	(void)group;
	if (is(test, "result", "valid"))
		assert_encaps(in[0], in[1], in[2], in[3]);
	else if (ours)
		assert_refused(in[0], in[1]);
	done_with(in, 4);
	return ours;
}

static void assert_decaps(struct octets dk, struct octets c, struct octets k)
{
	uint8_t ss[32];

	assert_int_equal(dk.len, DK);
	assert_int_equal(c.len, CT);
	sotto_mlkem768_decaps(ss, c.p, dk.p);
	assert_octets(ss, k, 32);
}

/* A key pair from its seed, then a decapsulation. */
static bool run_mlkem(const json_t *group, const json_t *test)
{
	bool ours = is(test, "result", "valid");
	uint8_t ek[EK], dk[DK];

	(void)group;
	if (ours) {
		struct octets in[] = { member(test, "seed"), member(test, "ek"), member(test, "c"),
				       member(test, "K") };

		assert_int_equal(in[0].len, SOTTO_MLKEM768_SEED);
		sotto_mlkem768_keypair(ek, dk, in[0].p);
		assert_octets(ek, in[1], EK);
		assert_decaps((struct octets){ dk, DK }, in[2], in[3]);
		done_with(in, 4);
	}
	return ours;
}

static bool run_decaps(const json_t *group, const json_t *test)
{
	bool ours = is(test, "result", "valid");

	(void)group;
	if (ours) {
		struct octets in[] = { member(test, "dk"), member(test, "c"), member(test, "K") };

		assert_decaps(in[0], in[1], in[2]);
		done_with(in, 3);
	}
	return ours;
}

static bool run_acvp_keygen(const json_t *group, const json_t *test)
{
	bool ours = is(group, "parameterSet", "ML-KEM-768");

	if (ours) {
		struct octets in[] = { member(test, "d"), member(test, "z"), member(test, "ek"),
				       member(test, "dk") };
		uint8_t seed[SOTTO_MLKEM768_SEED];

		assert_int_equal(in[0].len, 32);
		assert_int_equal(in[1].len, 32);
		memcpy(seed, in[0].p, 32);
		memcpy(seed + 32, in[1].p, 32);
		assert_keypair((struct octets){ seed, sizeof(seed) }, in[2], in[3]);
		done_with(in, 4);
	}
	return ours;
}

static bool run_acvp_encap_decap(const json_t *group, const json_t *test)
{
	bool encaps = is(group, "function", "encapsulation");

	if (!is(group, "parameterSet", "ML-KEM-768"))
		return false;
	if (encaps) {
		struct octets in[] = { member(test, "m"), member(test, "ek"), member(test, "c"),
				       member(test, "k"), member(test, "dk") };

		assert_encaps(in[0], in[1], in[2], in[3]);
		assert_decaps(in[4], in[2], in[3]);
		done_with(in, 5);
	} else {
		struct octets in[] = { member(group, "dk"), member(test, "c"), member(test, "k") };

		assert_true(is(group, "function", "decapsulation"));
		assert_decaps(in[0], in[1], in[2]);
		done_with(in, 3);
	}
	return true;
}

/* ---- the files -------------------- */

struct file {
	const char *name;
	bool (*run)(const json_t *group, const json_t *test);
	unsigned int run_at_least;
	unsigned int left_out_at_most;
	const char *why_left_out;
};

static const char lengths[] = "wrong lengths, which our interface cannot express";

static const struct file tree[] = {
	{ "acvp-key-gen.json", run_acvp_keygen, 2, 0, "" },
	{ "acvp-encap-decap.json", run_acvp_encap_decap, 4, 0, "" },
};

static const struct file shared[] = {
	{ "x25519_test.json", run_x25519, 518, 0, "" },
	{ "chacha20_poly1305_test.json", run_aead, 316, 9, "nonces of another length than 12" },
	{ "hkdf_sha256_test.json", run_hkdf, 86, 0, "" },
	{ "mlkem_768_keygen_seed_test.json", run_keygen, 100, 0, "" },
	{ "mlkem_768_encaps_test.json", run_encaps, 245, 20, lengths },
	{ "mlkem_768_test.json", run_mlkem, 153, 40, lengths },
	{ "mlkem_768_semi_expanded_decaps_test.json", run_decaps, 3, 6,
	  "4 of a wrong length; 2 damaged decapsulation keys, as ours never leave the process" },
	{ "acvp-key-gen.json", run_acvp_keygen, 25, 50, "ML-KEM-512 and ML-KEM-1024" },
	{ "acvp-encap-decap.json", run_acvp_encap_decap, 35, 70, "ML-KEM-512 and ML-KEM-1024" },
};

static void run_file(const char *folder, const struct file *file)
{
	unsigned int run = 0, left_out = 0;
	char path[4096];
	json_error_t error;
	json_t *root, *group, *test;
	size_t i, j;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, file->name);
	root = json_load_file(path, 0, &error);
	if (root == NULL)
		fail_msg("%s: line %d: %s", path, error.line, error.text);
	json_array_foreach(json_object_get(root, "testGroups"), i, group) {
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			if (file->run(group, test))
				run++;
			else
				left_out++;
		}
	}
	json_decref(root);
	printf("%s: %u vectors run", path, run);
	if (left_out != 0)
		printf(", %u left out (%s)", left_out, file->why_left_out);
	printf("\n");
	if (run < file->run_at_least || left_out > file->left_out_at_most)
		fail_msg("%s: expected at least %u run and at most %u left out", path,
			 file->run_at_least, file->left_out_at_most);
}

static void vectors_in_the_tree(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tree) / sizeof(tree[0]); i++)
		run_file("tests/vectors", &tree[i]);
}

static void vectors_beside_the_tree(void **state)
{
	const char *folder = getenv("SOTTO_VECTORS");
	struct stat info;

	(void)state;
	if (folder == NULL)
		folder = "../shared/vectors";
	if (stat(folder, &info) != 0) {
		printf("NOT RUN: shared vectors are not here (%s; SOTTO_VECTORS names another)\n",
		       folder);
		return;
	}
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		run_file(folder, &shared[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_in_the_tree),
		cmocka_unit_test(vectors_beside_the_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
