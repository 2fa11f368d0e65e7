/* SPDX-License-Identifier: ISC */
/*
 * Which address of the loopback hop means which domain (hop.h). Called by the daemons' lookups and when a connection comes in;
 * touches no socket (hop-socket.c), and never answers with a domain that it isn't sure of.
 */
#include "core/runtime/hop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/crypto/hash.h"
#include "core/runtime/state-file.h"
#include "core/runtime/state-name.h"

#define NET 0x7f400000u		/* 127.64.0.0 */
#define BITS 22
#define TRIES 8
#define CLAIM_AGAIN 3600	/* seconds */

static struct in_addr address_of(const char *domain, size_t n)
{
	uint8_t hash[SOTTO_SHA256_SIZE];
	struct sotto_sha256 sha;
	uint32_t bits;

	memset(&sha, 0, sizeof(sha));
	sotto_sha256_init(&sha);
	for (size_t i = 0; i < n; i++) {
		bool upper = domain[i] >= 'A' && domain[i] <= 'Z';
		char lower = (char)(upper ? domain[i] - 'A' + 'a' : domain[i]);

		sotto_sha256_update(&sha, &lower, 1);
	}
	sotto_sha256_final(&sha, hash);
	bits = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8;
	return (struct in_addr){ htonl(NET | bits >> (32 - BITS)) };
}

struct in_addr sotto_hop_address(const char *domain)
{
	size_t n = strlen(domain);

	return address_of(domain, n > 0 && domain[n - 1] == '.' ? n - 1 : n);
}

static void name_of(char out[INET_ADDRSTRLEN], struct in_addr address)
{
	(void)inet_ntop(AF_INET, &address, out, INET_ADDRSTRLEN);
}

/* 0; -EBADMSG: it is damaged, or names a domain that can't have this address. */
static int read_domain(int fd, struct in_addr address, char domain[SOTTO_FILE_NAME])
{
	char text[SOTTO_FILE_NAME + 2], again[SOTTO_FILE_NAME];
	ssize_t n = sotto_file_read(fd, text, sizeof(text));

	if (n < 0 && n != -EFBIG)
		return (int)n;
	if (n < 2 || text[n - 1] != '\n' || memchr(text, '\0', (size_t)n) != NULL)
		return -EBADMSG;
	text[n - 1] = '\0';
	if (sotto_name_of_host(again, text) != 0 || sotto_hop_address(again).s_addr != address.s_addr)
		return -EBADMSG;
	memcpy(domain, again, sizeof(again));
	return 0;
}

/* ---- claiming ---- */

/* So that what is in use is not among the oldest. */
static void note_again(int fd)
{
	struct stat st;
	int64_t now = (int64_t)time(NULL);

	if (fstat(fd, &st) == 0 && (st.st_mtime > now || now - st.st_mtime > CLAIM_AGAIN))
		(void)futimens(fd, NULL);
}

/* Whose it is. 0: ours; -EADDRINUSE; -ENOENT: nobody's, and the name is free (now, or soon). */
static int look(int folder, const char *name, struct in_addr address, const char *domain)
{
	char holder[SOTTO_FILE_NAME];
	int rc, fd = sotto_file_open(folder, name);

	if (fd < 0)
		return fd;
	rc = read_domain(fd, address, holder);
	if (rc == 0)
		rc = strcmp(holder, domain) == 0 ? 0 : -EADDRINUSE;
	if (rc == 0)
		note_again(fd);
	if (rc == -EBADMSG) {
		sotto_file_take_away(folder, name, fd);
		rc = -ENOENT;
	}
	close(fd);
	return rc;
}

/* 0; -EEXIST: somebody was faster. */
static int put(int folder, const char *name, const char *domain)
{
	char aside[SOTTO_ASIDE_NAME], text[SOTTO_FILE_NAME + 1];
	int fd = sotto_file_aside(folder, aside), rc;
	size_t n;

	if (fd < 0)
		return fd;
	n = (size_t)snprintf(text, sizeof(text), "%s\n", domain);
	rc = sotto_file_write(fd, text, n);
	if (close(fd) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && linkat(folder, aside, folder, name, 0) != 0)
		rc = -errno;
	(void)unlinkat(folder, aside, 0);
	return rc;
}

static int claim(int folder, struct in_addr address, const char *domain)
{
	char name[INET_ADDRSTRLEN];
	int rc = -ENOENT;

	name_of(name, address);
	for (unsigned tries = 0; rc == -ENOENT && tries < TRIES; tries++) {
		rc = look(folder, name, address, domain);
		if (rc != -ENOENT)
			break;
		rc = put(folder, name, domain);
		if (rc == 0)
			sotto_folder_grown(folder, SOTTO_HOP_FILES);
		if (rc == -EEXIST)
			rc = -ENOENT;
	}
	return rc == -ENOENT ? -EBUSY : rc;
}

static int open_folder(const char *dir)
{
	int folder = sotto_folder_open(dir, NULL, false);

	if (folder != -ENOENT)
		return folder;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return -errno;
	return sotto_folder_open(dir, NULL, false);
}

int sotto_hop_claim(const char *dir, const char *domain, struct in_addr *out)
{
	char name[SOTTO_FILE_NAME];
	int folder, rc = sotto_name_of_domain(name, domain);

	if (rc != 0)
		return rc;
	*out = sotto_hop_address(name);
	folder = open_folder(dir);
	if (folder < 0)
		return folder;
	rc = claim(folder, *out, name);
	close(folder);
	return rc;
}

/* ---- what an address means ---- */

int sotto_hop_domain(const char *dir, struct in_addr address, char *domain, size_t len)
{
	char name[INET_ADDRSTRLEN], found[SOTTO_FILE_NAME];
	int folder = sotto_folder_open(dir, NULL, false), fd, rc;

	if (len > 0)
		domain[0] = '\0';
	if (folder < 0)
		return folder;
	name_of(name, address);
	fd = sotto_file_open(folder, name);
	close(folder);
	if (fd < 0)
		return fd;
	rc = read_domain(fd, address, found);
	close(fd);
	if (rc != 0)
		return rc == -EBADMSG ? -ENOENT : rc;
	if (strlen(found) >= len)
		return -ENAMETOOLONG;
	memcpy(domain, found, strlen(found) + 1);
	return 0;
}
