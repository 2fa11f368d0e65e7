/* SPDX-License-Identifier: ISC */
/* Loads and notes routes (route.h). Called by the worker, which writes them, and by those who read them. */
#include "plugins/opensmtpd/route.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/state-file.h"
#include "core/runtime/state-text.h"
#include "core/runtime/state.h"

#define HEAD "sotto-route 1"
#define FOLDER "routes"

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

static bool read_text(struct sotto_route *r, const char *text, size_t n)
{
	struct sotto_text_in in;
	char address[SOTTO_ADDR_TEXT], host[SOTTO_FILE_NAME], domain[SOTTO_FILE_NAME];
	int64_t port = 0;

	memset(r, 0, sizeof(*r));
	if (sotto_text_begin(&in, text, n, HEAD) && word_line(&in, "domain", domain, sizeof(domain)) &&
	    sotto_name_of_host(r->domain, domain) == 0 && word_line(&in, "host", host, sizeof(host)) && sotto_name_of_host(r->host, host) == 0 &&
	    word_line(&in, "address", address, sizeof(address)) && sotto_text_number_line(&in, "port", 65535, &port) && in.n == 0 &&
	    sotto_addr_read(&r->address, address, (uint16_t)port) == 0)
		return true;
	memset(r, 0, sizeof(*r));
	return false;
}

static int write_text(struct sotto_text_out *out, const struct sotto_route *r)
{
	struct sotto_route again;
	char address[SOTTO_ADDR_TEXT];

	out->n = 0;
	if (!sotto_addr_internet(&r->address))
		return -EINVAL;
	sotto_addr_write(address, &r->address);
	sotto_text_put(out, HEAD "\ndomain %s\nhost %s\naddress %s\nport %u\n", r->domain, r->host, address, (unsigned)sotto_addr_port(&r->address));
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

int sotto_route_note(const char *state, const char *which, const struct sotto_route *r)
{
	struct sotto_text_out text;
	struct sotto_route before;
	char name[SOTTO_FILE_NAME];
	bool created;
	int folder, rc = sotto_name_of_domain(name, which);

	if (rc == 0)
		rc = write_text(&text, r);
	if (rc != 0)
		return rc;
	if (sotto_route_load(state, which, &before) == 0 && strcmp(before.domain, r->domain) == 0 && strcmp(before.host, r->host) == 0 && sotto_addr_same(&before.address, &r->address))
		return 0;
	folder = sotto_folder_open(state, FOLDER, true);
	if (folder < 0)
		return folder;
	rc = sotto_file_replace(folder, name, text.at, text.n, &created);
	if (rc == 0 && created)
		sotto_folder_grown(folder, SOTTO_STATE_FILES);
	close(folder);
	return rc;
}
