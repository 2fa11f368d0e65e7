/* SPDX-License-Identifier: ISC */
/* The reader of DNS replies (core/runtime/dns.h): it ends, stays inside, and gives no name that is none. */
#include "core/runtime/dns.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sotto_dns_reader r;
	struct sotto_dns_record record;
	char again[SOTTO_DNS_NAME];
	unsigned records = 0;
	int more;

	if (size > 65535 || sotto_dns_begin(&r, data, size) != 0)
		return 0;
	while ((more = sotto_dns_next(&r, &record)) == 1) {
		MUST(++records <= 65535);
		MUST(record.type == SOTTO_DNS_A || record.type == SOTTO_DNS_AAAA || record.type == SOTTO_DNS_MX ||
		     record.type == SOTTO_DNS_TLSA);
		MUST(memchr(record.name, '\0', sizeof(record.name)) != NULL);
		if (record.name[0] != '\0')
			MUST(!record.odd && sotto_dns_host_name(again, record.name) == 0 && strcmp(again, record.name) == 0);
	}
	MUST(more == 0 || more == SOTTO_DNS_BROKEN);
	return 0;
}
