/* SPDX-License-Identifier: ISC */
/*
 * A client that floods a server with cover records (PROTOCOL.md 5: DATA without content, which the receiver drops), and then says QUIT.
 * Called by the lab; IPv4 only, blocking, ends with the first thing that is not as expected.
 *
 *     covers ADDRESS COUNT       0: the server answered QUIT with 221, sealed; its words are on standard output
 *     covers ADDRESS COUNT N     opens N sessions, sends COUNT records in each, says "open", and holds them until standard input ends
 */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/crypto/random.h"
#include "core/protocol/handshake.h"
#include "core/protocol/hello.h"
#include "core/protocol/record.h"
#include "core/protocol/smtp.h"

#define EHLO "EHLO mx.x.example\r\n"
#define BATCH 32	/* records in one write */

static int net;

static void put(const void *p, size_t n)
{
	for (const char *at = p; n > 0;) {
		ssize_t done = send(net, at, n, MSG_NOSIGNAL);

		if (done <= 0)
			err(1, "send");
		at += done;
		n -= (size_t)done;
	}
}

static void get(void *p, size_t n)
{
	for (char *at = p; n > 0;) {
		ssize_t done = recv(net, at, n, 0);

		if (done <= 0)
			errx(1, "the server has ended the connection");
		at += done;
		n -= (size_t)done;
	}
}

/* A whole reply, octet by octet, so that nothing behind it is read. */
static size_t get_reply(uint8_t *out, size_t room)
{
	struct sotto_reply reply;
	size_t n = 0;

	do {
		if (n == room)
			errx(1, "a reply that is too long");
		get(out + n++, 1);
	} while (sotto_smtp_reply(out, n, &reply) == SOTTO_FOUND_PART);
	return n;
}

static void exchange(struct sotto_keys *keys)
{
	static uint8_t reply[SOTTO_SMTP_REPLY_MAX], hello[SOTTO_CLIENT_HELLO], answer[SOTTO_SERVER_HELLO], random[SOTTO_CLIENT_RANDOM];
	static struct sotto_client_secrets secrets;
	struct sotto_transcript t;
	size_t n;

	get_reply(reply, sizeof(reply));
	put(EHLO, strlen(EHLO));
	n = get_reply(reply, sizeof(reply));
	if (sotto_random(random, sizeof(random)) != 0)
		errx(1, "no randomness");
	sotto_client_hello(hello, &secrets, random);
	sotto_transcript_begin(&t);
	sotto_transcript_lines(&t, (const uint8_t *)EHLO, strlen(EHLO));
	sotto_transcript_lines(&t, reply, n);
	sotto_transcript_lines(&t, (const uint8_t *)SOTTO_COMMAND, strlen(SOTTO_COMMAND));
	sotto_transcript_octets(&t, hello, sizeof(hello));
	put(SOTTO_COMMAND, strlen(SOTTO_COMMAND));
	put(hello, sizeof(hello));
	n = get_reply(reply, 512);
	sotto_transcript_lines(&t, reply, n);
	if (memcmp(reply, "220 ", 4) != 0)
		errx(1, "refused: %.*s", (int)n, (const char *)reply);
	get(answer, sizeof(answer));
	if (sotto_client_finish(keys, &t, &secrets, answer) != 0)
		errx(1, "a wrong server hello");
}

static void flood(struct sotto_direction *seal, unsigned long count)
{
	static uint8_t out[BATCH * SOTTO_RECORD_WIRE];
	size_t n = 0;

	for (unsigned long i = 1; i <= count; i++) {
		long size = sotto_record_seal(seal, out + n, SOTTO_DATA, NULL, 0, true);

		if (size < 0)
			errx(1, "cannot seal");
		n += (size_t)size;
		if (i % BATCH == 0 || i == count) {
			put(out, n);
			n = 0;
		}
	}
}

/* What the server says until it closes, or until its words end with a reply to QUIT. */
static int answered(struct sotto_direction *open)
{
	static uint8_t wire[SOTTO_RECORD_WIRE], plain[SOTTO_RECORD_PLAINTEXT];
	enum sotto_record_type type;
	long n;

	for (;;) {
		get(wire, 2);
		n = 2 + ((wire[0] << 8) | wire[1]);
		get(wire + 2, (size_t)n - 2);
		n = sotto_record_open(open, plain, &type, wire, (size_t)n);
		if (n < 0 || type == SOTTO_CLOSE)
			return 1;
		if (type != SOTTO_DATA)
			continue;
		fwrite(plain, 1, (size_t)n, stdout);
		if (n >= 4 && memcmp(plain, "221 ", 4) == 0)
			return 0;
	}
}

/* A new one, sealed, in net. */
static void open_session(const struct sockaddr_in *to, struct sotto_direction *seal, struct sotto_direction *open)
{
	struct sotto_keys keys;

	net = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (net < 0 || connect(net, (const struct sockaddr *)to, sizeof(*to)) != 0)
		err(1, "connect");
	exchange(&keys);
	*seal = *open = (struct sotto_direction){ .counter = 0 };
	memcpy(seal->key, keys.c2s_key, sizeof(seal->key));
	memcpy(seal->iv, keys.c2s_iv, sizeof(seal->iv));
	memcpy(open->key, keys.s2c_key, sizeof(open->key));
	memcpy(open->iv, keys.s2c_iv, sizeof(open->iv));
}

static int hold(const struct sockaddr_in *to, unsigned long count, unsigned long sessions)
{
	struct rlimit files = { sessions + 64, sessions + 64 };
	struct sotto_direction seal, open;
	char octet;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned long i = 0; i < sessions; i++) {
		open_session(to, &seal, &open);
		flood(&seal, count);
	}
	puts("open");
	(void)fflush(stdout);
	while (read(STDIN_FILENO, &octet, 1) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(25) };
	struct sotto_direction seal, open;
	static uint8_t quit[SOTTO_RECORD_WIRE];
	long n;

	if (argc < 3 || argc > 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		errx(2, "usage: covers ADDRESS COUNT [N]");
	if (argc == 4)
		return hold(&to, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	open_session(&to, &seal, &open);
	flood(&seal, strtoul(argv[2], NULL, 10));
	n = sotto_record_seal(&seal, quit, SOTTO_DATA, (const uint8_t *)"QUIT\r\n", 6, true);
	if (n < 0)
		errx(1, "cannot seal");
	put(quit, (size_t)n);
	return answered(&open);
}
