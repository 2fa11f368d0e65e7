/* SPDX-License-Identifier: ISC */
/*
 * PROXY headers (core/runtime/proxy.h) from two socket addresses of any kind and content, read back by hand after haproxy's
 * proxy-protocol.txt, 2.2; and addresses as text (core/runtime/addr.h).
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/runtime/addr.h"
#include "core/runtime/proxy.h"
#include "tests/fuzz/fuzz.h"

static void header(const struct sockaddr_storage *peer, const struct sockaddr_storage *local)
{
	uint8_t out[SOTTO_PROXY_MAX];
	size_t n, six;

	memset(out, 0xa5, sizeof(out));
	n = sotto_proxy_header(out, peer, local);
	MUST((n > 0) == (sotto_addr_internet(peer) && sotto_addr_internet(local)));
	if (n == 0)
		return;
	MUST(memcmp(out, "\r\n\r\n\0\r\nQUIT\n", 12) == 0);
	MUST(out[12] == 0x21);					/* version 2, PROXY: never LOCAL */
	six = out[13] == 0x21;
	MUST(out[13] == (six ? 0x21 : 0x11));
	MUST(n == (six ? 52u : 28u) && (size_t)(out[14] << 8 | out[15]) == n - 16);
	MUST((uint16_t)(out[n - 4] << 8 | out[n - 3]) == sotto_addr_port(peer));
	MUST((uint16_t)(out[n - 2] << 8 | out[n - 1]) == sotto_addr_port(local));
}

static void text(const uint8_t *p, size_t n)
{
	struct sockaddr_storage a, again;
	char word[256], written[SOTTO_ADDR_TEXT];

	n = n < sizeof(word) - 1 ? n : sizeof(word) - 1;
	memcpy(word, p, n);
	word[n] = '\0';
	if (sotto_addr_read(&a, word, 25) != 0)
		return;
	sotto_addr_plain(&a);
	sotto_addr_write(written, &a);
	MUST(sotto_addr_read(&again, written, 25) == 0 && sotto_addr_same(&a, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage a = { 0 }, b = { 0 };
	size_t half = size / 2;

	text(data, size);
	memcpy(&a, data, half < sizeof(a) ? half : sizeof(a));
	memcpy(&b, data + half, size - half < sizeof(b) ? size - half : sizeof(b));
	if (size > 0 && data[0] & 1)
		a.ss_family = b.ss_family = AF_INET;
	else if (size > 0 && data[0] & 2)
		a.ss_family = b.ss_family = AF_INET6;
	header(&a, &b);
	return 0;
}
