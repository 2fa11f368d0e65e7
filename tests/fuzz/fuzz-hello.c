/* SPDX-License-Identifier: ISC */
/*
 * The XSOTTO command, the answer to it, and both hellos (core/protocol/hello.h, handshake.h). First octet: what the rest is.
 * A hello of ours, with some octets changed, never gives keys to the client.
 */
#include "core/protocol/handshake.h"
#include "core/protocol/smtp.h"
#include "tests/fuzz/fuzz.h"

static void command(const uint8_t *p, size_t n)
{
	size_t line, length = 0;

	if (sotto_smtp_line(p, n, SOTTO_SMTP_COMMAND_MAX, &line) != SOTTO_FOUND_WHOLE || !sotto_smtp_verb(p, line, "XSOTTO"))
		return;
	if (sotto_command_read(p, line, &length) != SOTTO_COMMAND_NO_LENGTH)
		MUST(length <= SOTTO_HELLO_MAX);
}

static void answer(const uint8_t *p, size_t n)
{
	size_t line = 0;
	unsigned code = 0;
	enum sotto_answer a = sotto_answer_read(p, n, &line, &code);

	if (a == SOTTO_ANSWER_GO)
		MUST(code == 220 && line <= n && line <= SOTTO_GO_MAX && memcmp(p + line - 2, "\r\n", 2) == 0);
	if (a == SOTTO_ANSWER_REFUSED)
		MUST((code == 454 || code == 501 || code == 503 || code == 504) && line == n);
}

/* Changes octets of p: three of the input each, where (16 bits) and by what. Whether any is another now. */
static bool change(uint8_t *p, size_t len, const uint8_t *by, size_t n)
{
	uint8_t *before = fuzz_copy(p, len);
	bool changed;

	for (; n >= 3; by += 3, n -= 3)
		p[(size_t)(by[0] << 8 | by[1]) % len] ^= by[2];
	changed = memcmp(before, p, len) != 0;
	free(before);
	return changed;
}

static void transcript(struct sotto_transcript *t, const uint8_t *hello)
{
	sotto_transcript_begin(t);
	sotto_transcript_lines(t, (const uint8_t *)"EHLO x\r\n", 8);
	sotto_transcript_octets(t, hello, SOTTO_CLIENT_HELLO);
}

/* The server hello of a server that saw `seen` in place of hello, changed on its way back. */
static void exchange(const uint8_t *by, size_t n, bool forward)
{
	uint8_t hello[SOTTO_CLIENT_HELLO], seen[SOTTO_CLIENT_HELLO], back[SOTTO_SERVER_HELLO], random[SOTTO_CLIENT_RANDOM];
	struct sotto_client_secrets secrets;
	struct sotto_keys client, server;
	struct sotto_transcript t;
	bool changed = false;

	memset(random, 0x42, sizeof(random));
	sotto_client_hello(hello, &secrets, random);
	memcpy(seen, hello, sizeof(seen));
	if (forward)
		changed = change(seen, sizeof(seen), by, n);
	transcript(&t, seen);
	if (sotto_server_hello(back, &server, &t, seen, random) != 0)
		return;
	if (!forward)
		changed = change(back, sizeof(back), by, n);
	transcript(&t, hello);
	if (sotto_client_finish(&client, &t, &secrets, back) == 0) {
		MUST(!changed);
		MUST(memcmp(&client, &server, sizeof(client)) == 0);
	} else {
		static const struct sotto_keys none;

		MUST(changed);
		MUST(memcmp(&client, &none, sizeof(client)) == 0);
	}
}

/* A hello that is the input's, filled up with what a good one has. */
static void strange_hello(const uint8_t *p, size_t n)
{
	uint8_t hello[SOTTO_CLIENT_HELLO], back[SOTTO_SERVER_HELLO], random[SOTTO_CLIENT_RANDOM] = { 1 };
	struct sotto_client_secrets secrets;
	struct sotto_keys keys;
	struct sotto_transcript t;

	sotto_client_hello(hello, &secrets, random);
	memcpy(hello, p, n < sizeof(hello) ? n : sizeof(hello));
	transcript(&t, hello);
	(void)!sotto_server_hello(back, &keys, &t, hello, random);
	(void)!sotto_ident_make(back, random, hello + SOTTO_MLKEM768_EK, keys.h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *rest;

	if (size == 0)
		return 0;
	rest = fuzz_copy(data + 1, size - 1);
	switch (data[0] % 5) {
	case 0: command(rest, size - 1); break;
	case 1: answer(rest, size - 1); break;
	case 2: exchange(rest, size - 1, true); break;
	case 3: exchange(rest, size - 1, false); break;
	default: strange_hello(rest, size - 1);
	}
	free(rest);
	return 0;
}
