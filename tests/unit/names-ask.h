/* SPDX-License-Identifier: ISC */
/*
 * What the tests of names.c ask. Included once by each.
 */
#ifndef SOTTO_TESTS_NAMES_ASK_H
#define SOTTO_TESTS_NAMES_ASK_H

#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/runtime/names.h"
#include "tests/unit/conf-files.h"

static char err[256];

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		ss.ss_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		ss.ss_family = AF_INET6;
	}
	return ss;
}

/* Whether the list in the directory matches; err is "" where nothing was said. */
static int ask(const char *path, const char *domain, const char *host, const char *addr)
{
	struct sockaddr_storage ss = addr != NULL ? address(addr) : (struct sockaddr_storage){ 0 };
	struct sotto_who who = { .domain = domain, .host = host, .addr = addr != NULL ? (struct sockaddr *)&ss : NULL };

	err[0] = '\0';
	return sotto_names_match(path, &who, err, sizeof(err));
}

static inline int domain_in(const char *text, const char *domain)
{
	return ask(put("list", text), domain, NULL, NULL);
}

static inline int address_in(const char *text, const char *addr)
{
	return ask(put("list", text), NULL, NULL, addr);
}

#define assert_said(line, what) assert_said_(line, what, __LINE__)

/* Exactly "PATH:LINE: WHAT", or "PATH: WHAT" for line 0. */
static void assert_said_(unsigned line, const char *what, int at)
{
	char want[512];

	if (line > 0)
		snprintf(want, sizeof(want), "%s:%u: %s", in_dir("list"), line, what);
	else
		snprintf(want, sizeof(want), "%s: %s", in_dir("list"), what);
	if (strcmp(err, want) != 0)
		fail_msg("line %d: said \"%s\" instead of \"%s\"", at, err, want);
}

#define assert_matches(call) do { assert_int_equal((call), 1); assert_string_equal(err, ""); } while (0)
#define assert_no_match(call) do { assert_int_equal((call), 0); assert_string_equal(err, ""); } while (0)

#endif
