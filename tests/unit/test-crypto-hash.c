/* SPDX-License-Identifier: ISC */
/*
 * test-crypto-hash.c - hash.h against the examples that NIST publishes for FIPS 180-4 and FIPS 202.
 */
#include "tests/unit/vectors-hex.h"

#include "core/crypto/hash.h"

/* One shape for all of them, so that each promise is tested for each. */
union state {
	struct sotto_sha256 sha256;
	struct sotto_sha3_256 sha3_256;
	struct sotto_sha3_512 sha3_512;
	struct sotto_shake128 shake128;
	struct sotto_shake256 shake256;
};

static void init_sha256(union state *s) { sotto_sha256_init(&s->sha256); }
static void init_sha3_256(union state *s) { sotto_sha3_256_init(&s->sha3_256); }
static void init_sha3_512(union state *s) { sotto_sha3_512_init(&s->sha3_512); }
static void init_shake128(union state *s) { sotto_shake128_init(&s->shake128); }
static void init_shake256(union state *s) { sotto_shake256_init(&s->shake256); }

static void update_sha256(union state *s, const void *data, size_t len)
{
	sotto_sha256_update(&s->sha256, data, len);
}

static void update_sha3_256(union state *s, const void *data, size_t len)
{
	sotto_sha3_256_update(&s->sha3_256, data, len);
}

static void update_sha3_512(union state *s, const void *data, size_t len)
{
	sotto_sha3_512_update(&s->sha3_512, data, len);
}

static void update_shake128(union state *s, const void *data, size_t len)
{
	sotto_shake128_update(&s->shake128, data, len);
}

static void update_shake256(union state *s, const void *data, size_t len)
{
	sotto_shake256_update(&s->shake256, data, len);
}

static void final_sha256(union state *s, uint8_t *out) { sotto_sha256_final(&s->sha256, out); }

static void final_sha3_256(union state *s, uint8_t *out)
{
	sotto_sha3_256_final(&s->sha3_256, out);
}

static void final_sha3_512(union state *s, uint8_t *out)
{
	sotto_sha3_512_final(&s->sha3_512, out);
}

static void final_shake128(union state *s, uint8_t *out)
{
	sotto_shake128_squeeze(&s->shake128, out, 64);
	sotto_shake128_end(&s->shake128);
}

static void final_shake256(union state *s, uint8_t *out)
{
	sotto_shake256_squeeze(&s->shake256, out, 64);
	sotto_shake256_end(&s->shake256);
}

static const struct function {
	void (*init)(union state *);
	void (*update)(union state *, const void *, size_t);
	void (*final)(union state *, uint8_t *);
	size_t state_len;
	size_t out_len;
	/* of nothing, "abc", the 56 letters below, 200 octets 0xa3, a million letters a */
	const char *digests[5];
} functions[] = {
	{ init_sha256, update_sha256, final_sha256, sizeof(struct sotto_sha256), 32, {
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
		NULL,
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" } },
	{ init_sha3_256, update_sha3_256, final_sha3_256, sizeof(struct sotto_sha3_256), 32, {
		"a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
		"3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
		"41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376",
		"79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787",
		"5c8875ae474a3634ba4fd55ec85bffd661f32aca75c6d699d0cdcb6c115891c1" } },
	{ init_sha3_512, update_sha3_512, final_sha3_512, sizeof(struct sotto_sha3_512), 64, {
		"a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a6"
		"15b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26",
		"b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
		"10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
		"04a371e84ecfb5b8b77cb48610fca8182dd457ce6f326a0fd3d7ec2f1e91636d"
		"ee691fbe0c985302ba1b0d8dc78c086346b533b49c030d99a27daf1139d6e75e",
		"e76dfad22084a8b1467fcf2ffa58361bec7628edf5f3fdc0e4805dc48caeeca8"
		"1b7c13c30adf52a3659584739a2df46be589c51ca1a4a8416df6545a1ce8ba00",
		"3c3a876da14034ab60627c077bb98f7e120a2a5370212dffb3385a18d4f38859"
		"ed311d0a9d5141ce9cc5c66ee689b266a8aa18ace8282a0e0db596c90b0a7b87" } },
	{ init_shake128, update_shake128, final_shake128, sizeof(struct sotto_shake128), 64, {
		"7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"
		"3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2",
		NULL, NULL,
		"131ab8d2b594946b9c81333f9bb6e0ce75c3b93104fa3469d3917457385da037"
		"cf232ef7164a6d1eb448c8908186ad852d3f85a5cf28da1ab6fe343817197846",
		NULL } },
	{ init_shake256, update_shake256, final_shake256, sizeof(struct sotto_shake256), 64, {
		"46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
		"d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be",
		NULL, NULL,
		"cd8a920ed141aa0407a22d59288652e9d9f1a7ee0c1e7c1ca699424da84a904d"
		"2d700caae7396ece96604440577da4f3aa22aeb8857f961c4cd8e06f0ae6610b",
		NULL } },
};

#define EACH(f) \
	for (const struct function *f = functions; \
	     f < functions + sizeof(functions) / sizeof(functions[0]); f++)

static uint8_t million[1000000], a3[200];

static void the_published_digests_come_out(void **state)
{
	static const char letters[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	const struct {
		const void *data;
		size_t len;
	} messages[5] = {
		{ NULL, 0 }, { "abc", 3 }, { letters, 56 }, { a3, 200 }, { million, 1000000 },
	};

	(void)state;
	EACH(f) {
		for (size_t i = 0; i < 5; i++) {
			uint8_t digest[64];
			union state s;

			if (f->digests[i] == NULL)
				continue;
			f->init(&s);
			f->update(&s, messages[i].data, messages[i].len);
			f->final(&s, digest);
			assert_hex(digest, f->out_len, f->digests[i]);
		}
	}
}

/* Two pieces cut at each place, with nothing (as NULL) in between, over several blocks. */
static void it_does_not_matter_how_a_message_is_cut(void **state)
{
	uint8_t message[520], whole[64], cut[64];
	union state s;

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 7);
	EACH(f) {
		f->init(&s);
		f->update(&s, message, sizeof(message));
		f->final(&s, whole);
		for (size_t at = 0; at <= sizeof(message); at++) {
			f->init(&s);
			f->update(&s, message, at);
			f->update(&s, NULL, 0);
			f->update(&s, message + at, sizeof(message) - at);
			f->final(&s, cut);
			assert_memory_equal(cut, whole, f->out_len);
		}
	}
}

static void a_state_may_be_copied_and_is_wiped_at_the_end(void **state)
{
	uint8_t first[64], second[64], third[64];
	union state s, copy;

	(void)state;
	EACH(f) {
		f->init(&s);
		f->update(&s, a3, 150);
		copy = s;
		f->update(&s, a3, 50);
		f->final(&s, first);
		f->update(&copy, "abc", 3);
		f->final(&copy, second);
		f->init(&s);
		f->update(&s, a3, 150);
		f->update(&s, "abc", 3);
		f->final(&s, third);
		assert_memory_not_equal(first, second, f->out_len);
		assert_memory_equal(second, third, f->out_len);
		assert_all((const uint8_t *)&s, f->state_len, 0);
	}
}

static void many_squeezes_equal_one(void **state)
{
	uint8_t whole[600], parts[600];
	struct sotto_shake128 a;
	struct sotto_shake256 b;
	size_t len;

	(void)state;
	sotto_shake128_init(&a);
	sotto_shake128_update(&a, a3, sizeof(a3));
	sotto_shake128_squeeze(&a, whole, sizeof(whole));
	sotto_shake128_init(&a);
	sotto_shake128_update(&a, a3, sizeof(a3));
	sotto_shake128_squeeze(&a, NULL, 0);
	for (size_t at = 0, n = 1; at < sizeof(parts); at += len, n++) {
		len = n < sizeof(parts) - at ? n : sizeof(parts) - at;
		sotto_shake128_squeeze(&a, parts + at, len);
	}
	sotto_shake128_end(&a);
	assert_memory_equal(whole, parts, sizeof(whole));

	sotto_shake256_init(&b);
	sotto_shake256_squeeze(&b, whole, sizeof(whole));
	sotto_shake256_init(&b);
	for (size_t at = 0, n = 1; at < sizeof(parts); at += len, n++) {
		len = n < sizeof(parts) - at ? n : sizeof(parts) - at;
		sotto_shake256_squeeze(&b, parts + at, len);
	}
	sotto_shake256_end(&b);
	assert_memory_equal(whole, parts, sizeof(whole));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_digests_come_out),
		cmocka_unit_test(it_does_not_matter_how_a_message_is_cut),
		cmocka_unit_test(a_state_may_be_copied_and_is_wiped_at_the_end),
		cmocka_unit_test(many_squeezes_equal_one),
	};

	memset(million, 'a', sizeof(million));
	memset(a3, 0xa3, sizeof(a3));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
