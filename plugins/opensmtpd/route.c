/* SPDX-License-Identifier: ISC */
/* Loads and saves routes (route.h). Never waits, never fails loudly. */
#include "plugins/opensmtpd/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/state-file.h"
#include "core/runtime/state-text.h"
#include "core/runtime/state.h"

#define HEAD "sotto-route 1"
#define FOLDER "table"
#define UNKNOWN "-"

/* key, space, value, LF. */
static bool word_line(struct sotto_text_in *in, const char *key, char *out, size_t size)
{
	const char *end;
	size_t n;

	if (!sotto_text_word(in, key) || !sotto_text_word(in, " "))
		return false;
	end = memchr(in->at, '\n', in->n);
	n = end == NULL ? size : (size_t)(end - in->at);
	if (n == 0 || n >= size)
		return false;
	memcpy(out, in->at, n);
	out[n] = '\0';
	in->at += n + 1;
	in->n -= n + 1;
	return true;
}

static bool host_line(struct sotto_text_in *in, struct sotto_route *r)
{
	char host[SOTTO_FILE_NAME], address[SOTTO_ADDR_TEXT];
	int64_t port = 0;

	if (!word_line(in, "host", host, sizeof(host)) || !word_line(in, "address", address, sizeof(address)) ||
	    !sotto_text_number_line(in, "port", 65535, &port))
		return false;
	if (strcmp(host, UNKNOWN) != 0 && sotto_name_of_host(r->host, host) != 0)
		return false;
	return strcmp(address, UNKNOWN) == 0 || sotto_addr_read(&r->address, address, (uint16_t)port) == 0;
}

static bool read_text(struct sotto_route *r, const char *text, size_t n)
{
	struct sotto_text_in in;
	char domain[SOTTO_FILE_NAME], hop[INET_ADDRSTRLEN];

	memset(r, 0, sizeof(*r));
	if (sotto_text_begin(&in, text, n, HEAD) && word_line(&in, "domain", domain, sizeof(domain)) &&
	    sotto_name_of_host(r->domain, domain) == 0 && word_line(&in, "hop", hop, sizeof(hop)) && inet_pton(AF_INET, hop, &r->hop) == 1 &&
	    sotto_text_number_line(&in, "until", SOTTO_TIME_MAX, &r->until) && host_line(&in, r) && in.n == 0)
		return true;
	memset(r, 0, sizeof(*r));
	return false;
}

static int write_text(struct sotto_text_out *out, const struct sotto_route *r)
{
	struct sotto_route again;
	char address[SOTTO_ADDR_TEXT] = UNKNOWN, hop[INET_ADDRSTRLEN];

	out->n = 0;
	if (sotto_addr_internet(&r->address))
		sotto_addr_write(address, &r->address);
	(void)inet_ntop(AF_INET, &r->hop, hop, sizeof(hop));
	sotto_text_put(out, HEAD "\ndomain %s\nhop %s\nuntil %" PRId64 "\nhost %s\naddress %s\nport %u\n", r->domain, hop, r->until,
		       r->host[0] != '\0' ? r->host : UNKNOWN, address, (unsigned)sotto_addr_port(&r->address));
	return sotto_text_finish(out) == 0 && read_text(&again, out->at, out->n) ? 0 : -EINVAL;
}

int sotto_route_load(const char *state, const char *which, struct sotto_route *out)
{
	char name[SOTTO_FILE_NAME], path[1024], text[SOTTO_TEXT_MAX + 1];
	ssize_t n = -1;
	int fd;

	memset(out, 0, sizeof(*out));
	if (sotto_name_of_domain(name, which) != 0 ||
	    snprintf(path, sizeof(path), "%s/" FOLDER "/%s", state, name) >= (int)sizeof(path))
		return -ENOENT;
	fd = sotto_file_open(AT_FDCWD, path);
	if (fd >= 0) {
		n = sotto_file_read(fd, text, sizeof(text));
		close(fd);
	}
	return n >= 0 && read_text(out, text, (size_t)n) ? 0 : -ENOENT;
}

static int put(int folder, const char *name, const struct sotto_text_out *text)
{
	char aside[SOTTO_ASIDE_NAME];
	struct stat before;
	bool created = fstatat(folder, name, &before, AT_SYMLINK_NOFOLLOW) != 0;
	int rc, fd = sotto_file_aside(folder, aside);

	if (fd < 0)
		return fd;
	rc = sotto_file_write(fd, text->at, text->n);
	if (rc == 0 && fchmod(fd, 0644) != 0)
		rc = -errno;
	close(fd);
	if (rc == 0 && renameat(folder, aside, folder, name) != 0)
		rc = -errno;
	if (rc != 0)
		(void)unlinkat(folder, aside, 0);
	else if (created)
		sotto_folder_grown(folder, 2 * SOTTO_STATE_FILES);	/* two a domain: for as many as the others remember */
	return rc;
}

int sotto_route_save(const char *state, const struct sotto_route *r)
{
	struct sotto_text_out text;
	char hop[INET_ADDRSTRLEN];
	int folder, rc = write_text(&text, r);

	if (rc != 0)
		return rc;
	(void)inet_ntop(AF_INET, &r->hop, hop, sizeof(hop));
	folder = sotto_folder_open(state, FOLDER, true);
	if (folder < 0)
		return folder;
	(void)fchmod(folder, 0711);
	rc = put(folder, hop, &text);
	if (rc == 0)
		rc = put(folder, r->domain, &text);
	close(folder);
	return rc;
}
