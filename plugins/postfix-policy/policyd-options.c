/* SPDX-License-Identifier: ISC */
/* sotto-policyd's command line (postfix-sotto(7)). */
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "core/runtime/hop.h"
#include "core/runtime/log.h"
#include "core/runtime/version.h"
#include "plugins/postfix-policy/policyd.h"

enum { CONF = 256, STATE, RUN, PORT, SESSION, POSTFIX, LOG, HELP, VERSION };

static const struct option names[] = {
	{ "conf", required_argument, NULL, CONF },	   { "state", required_argument, NULL, STATE },
	{ "run", required_argument, NULL, RUN },	   { "port", required_argument, NULL, PORT },
	{ "session", required_argument, NULL, SESSION },   { "postfix-config", required_argument, NULL, POSTFIX },
	{ "log", required_argument, NULL, LOG },	   { "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },	   { NULL, 0, NULL, 0 },
};

static void print_help(void)
{
	puts("sotto-policyd [--conf FILE] [--state DIR] [--run DIR] [--port PORT] [--session PATH]\n"
	     "              [--postfix-config DIR] [--log syslog|stderr]\n"
	     "Tells Postfix which mail goes to which mail server through Sotto, and takes it there. Started by the unit\n"
	     "sotto-policyd.service as the user _sotto, in the foreground. See postfix-sotto(7).");
}

static int complain(const char *what, const char *value)
{
	fprintf(stderr, "sotto-policyd: %s%s%s; see postfix-sotto(7) or --help\n", what, value != NULL ? " " : "", value != NULL ? value : "");
	return -1;
}

static int read_port(uint16_t *port, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end != '\0' || n == 0 || n > 65535)
		return complain("--port takes a number from 1 to 65535, not", value);
	*port = (uint16_t)n;
	return 0;
}

static int read_log(bool *to_stderr, const char *value)
{
	*to_stderr = strcmp(value, "stderr") == 0;
	return *to_stderr || strcmp(value, "syslog") == 0 ? 0 : complain("--log takes syslog or stderr, not", value);
}

static int read_one(struct sotto_policyd *p, int option, const char *value)
{
	switch (option) {
	case CONF:
		p->conf_path = value;
		return 0;
	case STATE:
		p->state = value;
		return 0;
	case RUN:
		p->run = value;
		return 0;
	case SESSION:
		p->session = value;
		return 0;
	case POSTFIX:
		p->postfix = value;
		return 0;
	case PORT:
		return read_port(&p->port, value);
	case LOG:
		return read_log(&p->log_stderr, value);
	case HELP:
		print_help();
		exit(0);
	case VERSION:
		puts("sotto-policyd " SOTTO_RELEASE);
		exit(0);
	}
	return complain("unknown or incomplete option", NULL);
}

static int derive(struct sotto_policyd *p)
{
	char path[sizeof(p->conf_dir)];

	if (strlen(p->conf_path) >= 2000 || strlen(p->run) >= 80 || strlen(p->state) >= 2000)	/* a socket's path is short */
		return complain("a path is too long", NULL);
	(void)snprintf(path, sizeof(path), "%s", p->conf_path);
	(void)snprintf(p->conf_dir, sizeof(p->conf_dir), "%s", dirname(path));
	(void)snprintf(p->hop_dir, sizeof(p->hop_dir), "%s/hop", p->run);
	return 0;
}

int sotto_policyd_options(struct sotto_policyd *p, int argc, char **argv)
{
	int c;

	memset(p, 0, sizeof(*p));
	p->conf_path = SOTTO_CONF_DIR "/sotto.conf";
	p->state = SOTTO_STATE_DIR;
	p->run = SOTTO_RUN_DIR;
	p->session = SOTTO_SESSION_PATH;
	p->port = SOTTO_HOP_PORT;
	opterr = 0;
	optind = 0;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == '?')
			return complain("unknown or incomplete option", argv[optind - 1]);
		if (read_one(p, c, optarg) != 0)
			return -1;
	}
	if (optind != argc)
		return complain("there is nothing but options to be given, not", argv[optind]);
	return derive(p);
}

void sotto_policyd_conf(struct sotto_policyd *p)
{
	char err[512] = "";
	int r = sotto_conf_load(&p->conf, p->conf_path, p->state, err, sizeof(err));

	p->conf_broken = r == 2;
	if (r != 0)
		sotto_log_limited(p->run, ".conf-limit", LOG_ERR, "%s; %s", err,
				  r == 1 ? "the last good settings stay in force" : "nothing is sealed until it is mended");
}
