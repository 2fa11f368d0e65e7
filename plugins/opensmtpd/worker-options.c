/* SPDX-License-Identifier: ISC */
/* Reads sotto-worker's command line for its main. It is filter-sotto's alone to write. */
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime/addr.h"
#include "core/runtime/options.h"
#include "core/runtime/version.h"
#include "plugins/opensmtpd/own-name.h"
#include "plugins/opensmtpd/worker.h"

static int complain(const char *what, const char *value)
{
	fprintf(stderr, "sotto-worker: %s%s%s; see opensmtpd-sotto(7)\n", what, value != NULL ? ": " : "", value != NULL ? value : "");
	return -1;
}

static int read_fd(int *fd, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > 1048576)
		return complain("not a descriptor's number", text);
	*fd = (int)n;
	return 0;
}

static int read_from(struct sotto_worker *w, const char *text)
{
	struct sockaddr_storage a;

	if (sotto_addr_read(&a, text, 0) != 0)
		return complain("--from takes an address", text);
	*(a.ss_family == AF_INET6 ? &w->from6 : &w->from4) = a;
	return 0;
}

static int read_one(struct sotto_worker *w, int c, const char *value)
{
	switch (c) {
	case 't':
		return read_fd(&w->talk, value);
	case 'h':
		return read_fd(&w->hop, value);
	case 'i':
		if (w->n_in == SOTTO_LISTENERS_MAX)
			return complain("too many", "--in");
		return read_fd(&w->in[w->n_in++], value);
	case 'b':
		return sotto_address_read(&w->backend, &w->backend_len, value) == 0 ? 0 : complain("--backend takes ADDRESS:PORT", value);
	case 'f':
		return read_from(w, value);
	case 'c':
		w->conf_path = value;
		return 0;
	case 's':
		w->state = value;
		return 0;
	case 'r':
		w->run = value;
		return 0;
	case 'e':
		w->helo = value;
		return 0;
	case 'g':
		w->log_stderr = strcmp(value, "stderr") == 0;
		return 0;
	case 'v':
		puts("sotto-worker " SOTTO_RELEASE);
		exit(0);
	default:
		return complain("unknown or incomplete option", NULL);
	}
}

/* The lists are looked for before sotto.conf is read. */
static int find_folders(struct sotto_worker *w)
{
	char copy[sizeof(w->conf_dir)];

	if (snprintf(w->hop_dir, sizeof(w->hop_dir), "%s/hop", w->state) >= (int)sizeof(w->hop_dir) ||
	    snprintf(copy, sizeof(copy), "%s", w->conf_path) >= (int)sizeof(copy))
		return complain("a path is too long", NULL);
	(void)snprintf(w->conf_dir, sizeof(w->conf_dir), "%s", dirname(copy));
	return 0;
}

int sotto_worker_options(struct sotto_worker *w, int argc, char **argv)
{
	static const struct option names[] = {
		{ "talk", required_argument, NULL, 't' }, { "in", required_argument, NULL, 'i' }, { "hop", required_argument, NULL, 'h' },
		{ "backend", required_argument, NULL, 'b' }, { "from", required_argument, NULL, 'f' }, { "conf", required_argument, NULL, 'c' },
		{ "state", required_argument, NULL, 's' }, { "run", required_argument, NULL, 'r' }, { "helo", required_argument, NULL, 'e' },
		{ "log", required_argument, NULL, 'g' }, { "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 },
	};
	int c;

	memset(w, 0, sizeof(*w));
	w->talk = w->hop = -1;
	w->conf_path = SOTTO_CONF_DIR "/sotto.conf";
	w->state = SOTTO_STATE_DIR;
	w->run = SOTTO_RUN_DIR;
	if (sotto_address_read(&w->backend, &w->backend_len, "127.0.0.1:10025") != 0)
		return -1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (read_one(w, c, optarg) != 0)
			return -1;
	if (w->helo == NULL)
		w->helo = sotto_own_name();
	if (w->talk < 0)
		return complain("only filter-sotto starts it", NULL);
	return find_folders(w);
}
