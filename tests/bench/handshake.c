/* SPDX-License-Identifier: ISC */
/*
 * The CPU that one handshake takes, server and client apart: XSOTTO from init to sealed, IDENT checked, and OpenSSL's TLS 1.3 with
 * X25519 and a certificate of RSA-2048 or ECDSA P-256, no tickets, no resumption, the peer's name not looked at (as mail servers do
 * without DANE). Both in memory, neither touches a socket; OpenSSL's SSL_CTX is made once and not counted. In turns, so that
 * whatever else the machine does meets all three.
 *
 *      handshake [ROUNDS]
 */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/random.h"
#include "core/protocol/session.h"
#include "tests/bench/bench.h"

#define IN_A_ROUND 8

enum side { SERVER, CLIENT };
static double spent[2];		/* seconds of CPU, by side */

/* ---- XSOTTO ---- */

static struct sotto_session *sessions[2];	/* by side */

#define COUNTED(side, call)                          \
	do {                                         \
		double began = bench_cpu();          \
		call;                                \
		spent[side] += bench_cpu() - began;   \
	} while (0)

static void feed(enum side side, enum sotto_side from, const void *octets, size_t len)
{
	struct sotto_session *s = sessions[side];
	size_t space;
	uint8_t *to = sotto_session_space(s, from, &space);

	MUST(len <= space);
	memcpy(to, octets, len);
	COUNTED(side, sotto_session_got(s, from, len));
}

/* What a session has for one of its sides; it is taken as sent. */
static size_t take(enum side side, enum sotto_side to, uint8_t *octets, size_t cap)
{
	size_t len;
	const uint8_t *ready = sotto_session_ready(sessions[side], to, &len);

	MUST(len <= cap);
	if (len == 0)
		return 0;
	memcpy(octets, ready, len);
	COUNTED(side, sotto_session_sent(sessions[side], to, len));
	return len;
}

/* Carries octets between the two until none are left to be carried. */
static void carry(void)
{
	static uint8_t octets[SOTTO_OUT];
	bool moved;

	do {
		moved = false;
		for (unsigned side = 0; side < 2; side++) {
			size_t n = take((enum side)side, SOTTO_NET, octets, sizeof(octets));

			if (n > 0)
				feed((enum side)!side, SOTTO_NET, octets, n);
			moved = moved || n > 0;
		}
	} while (moved);
}

static void say(enum side from, const char *text)
{
	feed(from, SOTTO_MTA, text, strlen(text));
	carry();
}

static void one_xsotto(const uint8_t identity[32])
{
	struct sotto_session_config server = { .role = SOTTO_ACCEPT, .use = SOTTO_USE_SEAL, .padding = true, .has_identity = true,
					       .random = sotto_random };
	struct sotto_session_config client = { .role = SOTTO_CONNECT, .use = SOTTO_USE_SEAL, .padding = true, .random = sotto_random };
	uint8_t scratch[SOTTO_OUT];

	memcpy(server.identity, identity, 32);
	COUNTED(SERVER, sotto_session_init(sessions[SERVER], &server, 1));
	COUNTED(CLIENT, sotto_session_init(sessions[CLIENT], &client, 1));
	say(SERVER, "220 mx.b.example ESMTP\r\n");
	(void)take(CLIENT, SOTTO_MTA, scratch, sizeof(scratch));
	say(CLIENT, "EHLO mx.a.example\r\n");
	(void)take(SERVER, SOTTO_MTA, scratch, sizeof(scratch));
	say(SERVER, "250-mx.b.example\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-PIPELINING\r\n250 HELP\r\n");
	MUST(sotto_session_is_sealed(sessions[SERVER]) && sotto_session_is_sealed(sessions[CLIENT]));
	MUST(sessions[CLIENT]->report.identity == SOTTO_IDENTITY_FIRST);
	for (unsigned side = 0; side < 2; side++)
		COUNTED(side, sotto_session_wipe(sessions[side]));
}

/* ---- OpenSSL ---- */

static X509 *certify(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	MUST(X509_set_version(cert, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1);
	MUST(X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL && X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL);
	MUST(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.b.example", -1, -1, 0) == 1);
	MUST(X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

static SSL_CTX *new_server(EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = certify(key);

	MUST(SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
	MUST(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 && SSL_CTX_set1_groups_list(ctx, "X25519") == 1);
	MUST(SSL_CTX_set_num_tickets(ctx, 0) == 1);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	X509_free(cert);
	return ctx;
}

static SSL_CTX *new_client(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	MUST(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 && SSL_CTX_set1_groups_list(ctx, "X25519") == 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

static void one_tls(SSL_CTX *server, SSL_CTX *client)
{
	SSL *ssl[2];
	BIO *to[2] = { BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()) };	/* what is on its way to that side */

	COUNTED(SERVER, ssl[SERVER] = SSL_new(server));
	COUNTED(CLIENT, ssl[CLIENT] = SSL_new(client));
	MUST(ssl[0] != NULL && ssl[1] != NULL);
	for (unsigned side = 0; side < 2; side++) {
		MUST(BIO_up_ref(to[0]) == 1 && BIO_up_ref(to[1]) == 1);
		SSL_set_bio(ssl[side], to[side], to[!side]);
	}
	for (unsigned turn = 0; turn < 6; turn++) {
		if (!SSL_is_init_finished(ssl[CLIENT]))
			COUNTED(CLIENT, (void)SSL_connect(ssl[CLIENT]));
		if (!SSL_is_init_finished(ssl[SERVER]))
			COUNTED(SERVER, (void)SSL_accept(ssl[SERVER]));
	}
	MUST(SSL_is_init_finished(ssl[SERVER]) && SSL_is_init_finished(ssl[CLIENT]) && SSL_version(ssl[SERVER]) == TLS1_3_VERSION);
	for (unsigned side = 0; side < 2; side++) {
		BIO_free(to[side]);
		COUNTED(side, SSL_free(ssl[side]));
	}
}

/* ---- rounds ---- */

enum kind { XSOTTO, RSA_2048, P_256, KINDS };
static const char *const kind_names[] = { "xsotto", "rsa2048", "p256" };

int main(int argc, char **argv)
{
	unsigned rounds = bench_number(argc, argv, 1, 100);
	double *figures[KINDS][2];
	SSL_CTX *server[KINDS] = { NULL, new_server(EVP_RSA_gen(2048)), new_server(EVP_EC_gen("P-256")) }, *client = new_client();
	uint8_t identity[32];
	char name[64];

	MUST(sotto_random(identity, sizeof(identity)) == 0);
	for (unsigned side = 0; side < 2; side++) {
		sessions[side] = malloc(sizeof(*sessions[side]));
		MUST(sessions[side] != NULL);
		for (unsigned kind = 0; kind < KINDS; kind++)
			figures[kind][side] = calloc(rounds, sizeof(double));
	}
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned kind = 0; kind < KINDS; kind++) {
			spent[SERVER] = spent[CLIENT] = 0;
			for (unsigned i = 0; i < IN_A_ROUND; i++)
				kind == XSOTTO ? one_xsotto(identity) : one_tls(server[kind], client);
			for (unsigned side = 0; side < 2; side++)
				figures[kind][side][round] = spent[side] / IN_A_ROUND * 1e6;
		}
	}
	for (unsigned kind = 0; kind < KINDS; kind++) {
		for (unsigned side = 0; side < 2; side++) {
			(void)snprintf(name, sizeof(name), "handshake.%s.%s_us", kind_names[kind], side == SERVER ? "server" : "client");
			bench_say(name, bench_median(figures[kind][side], rounds));
		}
	}
	return 0;
}
