/* SPDX-License-Identifier: ISC */
/* The files require and exclude (core/runtime/names.h): any octets; whoever is in no entry is not listed, and errors are sentences. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/runtime/names.h"
#include "tests/fuzz/files.h"

/* The file in lower case without '*' and without anything of who's: then nobody of them can be listed. */
static bool may_be_listed(const uint8_t *p, size_t n)
{
	return memchr(p, '*', n) != NULL || memchr(p, '/', n) != NULL || memmem(p, n, "192.0.2.77", 10) != NULL || memmem(p, n, ":", 1) != NULL ||
	       memchr(p, '.', n) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(25) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const char *path = fuzz_file(data, size);
	char err[512];

	(void)inet_pton(AF_INET, "192.0.2.77", &v4.sin_addr);
	(void)inet_pton(AF_INET6, "2001:db8:5::7", &v6.sin6_addr);
	for (unsigned i = 0; i < 3; i++) {
		const struct sotto_who who[] = { { .domain = "example.org", .host = "mx.example.net" },
						 { .addr = (const struct sockaddr *)&v4 }, { .addr = (const struct sockaddr *)&v6 } };
		int listed;

		err[0] = '\0';
		listed = sotto_names_match(path, &who[i], err, sizeof(err));
		MUST(listed == 0 || listed == 1);
		if (size == 0 || !may_be_listed(data, size))
			MUST(listed == 0);
		for (const char *p = err; *p != '\0'; p++)
			MUST((unsigned char)*p >= ' ' && *p != 0x7f);
	}
	return 0;
}
