/* SPDX-License-Identifier: ISC */
/* Reads sotto-session's command line for its main. Opens nothing and checks no descriptor. */
#include "core/runtime/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/runtime/addr.h"
#include "core/runtime/version.h"

static int complain(const char *what, const char *value)
{
	fprintf(stderr, "sotto-session: %s%s%s; see sotto-session(8)\n", what, value != NULL ? ": " : "",
		value != NULL ? value : "");
	return -1;
}

static int read_fd(int *fd, const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0' || n > 1048576)
		return complain("not a descriptor's number", text);
	*fd = (int)n;
	return 0;
}

/* Digits, from 1 to 65535: getaddrinfo would take others too, and cut them down. */
static bool is_port(const char *text)
{
	size_t n = strlen(text);
	long port = n <= 5 && strspn(text, "0123456789") == n ? strtol(text, NULL, 10) : 0;

	return port >= 1 && port <= 65535;
}

/* Where the host ends that `text` begins with, without its brackets in `host`; NULL: it is none that could be an address. */
static const char *read_host(char *host, size_t size, const char *text)
{
	bool bracketed = text[0] == '[';
	const char *end = bracketed ? strchr(++text, ']') : strchr(text, ':');
	struct in_addr four;
	size_t n = end != NULL ? (size_t)(end - text) : 0;

	if (n == 0 || n >= size)
		return NULL;
	memcpy(host, text, n);
	host[n] = '\0';
	/* four numbers, and none of the other ways to write an address */
	if (strchr(host, ':') == NULL && inet_pton(AF_INET, host, &four) != 1)
		return NULL;
	return bracketed ? end + 1 : end;
}

int sotto_address_read(struct sockaddr_storage *out, socklen_t *len, const char *text)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *found;
	char host[64];
	const char *colon = read_host(host, sizeof(host), text);

	if (colon == NULL || *colon != ':' || !is_port(colon + 1) || getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -1;
	memcpy(out, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* Beyond what a letter could be: getopt says with optopt which of both was wrong. */
enum word { NET = 256, MTA, READY, BACKEND, TO, PEER, DOMAIN, CONF, STATE, RUN, ADAPTER, LOG, PEER_ADDR, STARTTLS, REQUIRE,
	    FROM, FAMILY, DANE, HELP, VERSION };

static const struct option names[] = {
	{ "net", required_argument, NULL, NET },
	{ "mta", required_argument, NULL, MTA },
	{ "ready", required_argument, NULL, READY },
	{ "backend", required_argument, NULL, BACKEND },
	{ "to", required_argument, NULL, TO },
	{ "peer", required_argument, NULL, PEER },
	{ "domain", required_argument, NULL, DOMAIN },
	{ "conf", required_argument, NULL, CONF },
	{ "state", required_argument, NULL, STATE },
	{ "run", required_argument, NULL, RUN },
	{ "adapter", required_argument, NULL, ADAPTER },
	{ "log", required_argument, NULL, LOG },
	{ "peer-addr", required_argument, NULL, PEER_ADDR },
	{ "starttls", required_argument, NULL, STARTTLS },
	{ "require", no_argument, NULL, REQUIRE },
	{ "from", required_argument, NULL, FROM },
	{ "family", required_argument, NULL, FAMILY },
	{ "dane", no_argument, NULL, DANE },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

static void print_help(void)
{
	puts("usage: sotto-session accept  --net FD --mta FD\n"
	     "       sotto-session accept  --net FD --backend unix:PATH|ADDRESS:PORT\n"
	     "       sotto-session connect --net FD --mta FD [--peer NAME] [--domain NAME]\n"
	     "       sotto-session connect --mta FD --to DOMAIN [--from ADDRESS] [--family ipv4|ipv6] [--dane]\n"
	     "One SMTP connection between two mail servers, sealed if the other side can (XSOTTO).\n"
	     "Mail servers' adapters start it; see sotto-session(8) for all options.");
}

static int read_word(const char *option, const char *value, const char *allowed)
{
	const char *at = strstr(allowed, value);
	size_t n = strlen(value);

	if (n > 0 && strchr(value, '|') == NULL && at != NULL && (at == allowed || at[-1] == '|') && (at[n] == '|' || at[n] == '\0'))
		return 0;
	fprintf(stderr, "sotto-session: --%s takes %s, not '%s'; see sotto-session(8)\n", option, allowed, value);
	return -1;
}

/* One of each family at most. */
static int read_from(struct sotto_options *o, const char *value)
{
	struct sockaddr_storage address, *to;

	if (sotto_addr_read(&address, value, 0) != 0)
		return complain("--from takes an address in numbers, not", value);
	sotto_addr_plain(&address);
	to = address.ss_family == AF_INET ? &o->from4 : &o->from6;
	if (to->ss_family != AF_UNSPEC)
		return complain("--from is given twice for one family", value);
	*to = address;
	return 0;
}

static int read_one(struct sotto_options *o, int option, const char *value)
{
	switch ((enum word)option) {
	case NET:
		return read_fd(&o->net, value);
	case MTA:
		return read_fd(&o->mta, value);
	case READY:
		return read_fd(&o->ready, value);
	case BACKEND:
		o->backend = value;
		return 0;
	case TO:
		o->to = value;
		return 0;
	case PEER:
		o->peer = value;
		return 0;
	case DOMAIN:
		o->domain = value;
		return 0;
	case CONF:
		o->conf = value;
		return 0;
	case STATE:
		o->state = value;
		return 0;
	case RUN:
		o->run = value;
		return 0;
	case ADAPTER:
		o->adapter = value;
		return read_word("adapter", value, "exim|postfix|opensmtpd");
	case LOG:
		o->log_stderr = strcmp(value, "stderr") == 0;
		return read_word("log", value, "syslog|stderr");
	case STARTTLS:
		o->keep_starttls = true;
		return read_word("starttls", value, "keep");
	case REQUIRE:
		o->require = true;
		return 0;
	case FROM:
		return read_from(o, value);
	case FAMILY:
		o->family = strcmp(value, "ipv4") == 0 ? AF_INET : AF_INET6;
		return read_word("family", value, "ipv4|ipv6");
	case DANE:
		o->dane = true;
		return 0;
	case PEER_ADDR:
		if (sotto_address_read(&o->peer_addr, &o->peer_addr_len, value) != 0)
			return complain("not ADDRESS:PORT in numbers", value);
		return 0;
	case HELP:
		print_help();
		exit(0);
	case VERSION:
		puts("sotto-session " SOTTO_RELEASE);
		exit(0);
	}
	return complain("unknown or incomplete option", NULL);
}

/* unix:PATH with a path that fits into a socket address, or ADDRESS:PORT. */
static bool is_backend(const char *text)
{
	struct sockaddr_storage address;
	struct sockaddr_un path;
	socklen_t len;

	if (strncmp(text, "unix:", 5) == 0)
		return text[5] == '/' && strlen(text + 5) < sizeof(path.sun_path);
	return sotto_address_read(&address, &len, text) == 0;
}

/* Which values make sense, apart and together. */
static int check_values(const struct sotto_options *o)
{
	if (o->backend != NULL && !is_backend(o->backend))
		return complain("--backend takes unix:/PATH or ADDRESS:PORT in numbers, not", o->backend);
	if (o->to != NULL && o->to[0] == '\0')
		return complain("--to takes a domain, and that is empty", NULL);
	if ((o->net >= 0 && (o->net == o->mta || o->net == o->ready)) || (o->mta >= 0 && o->mta == o->ready))
		return complain("--net, --mta and --ready are different descriptors", NULL);
	return 0;
}

/* Which combinations of options make sense. */
static int check(const struct sotto_options *o)
{
	if (o->role == SOTTO_ACCEPT && o->to != NULL)
		return complain("--to belongs to connect", NULL);
	if (o->role == SOTTO_CONNECT && o->backend != NULL)
		return complain("--backend belongs to accept", NULL);
	if (o->to == NULL && (o->from4.ss_family != AF_UNSPEC || o->from6.ss_family != AF_UNSPEC || o->family != 0 || o->dane))
		return complain("--from, --family and --dane belong to --to", NULL);
	if (o->net >= 0 && o->to != NULL)
		return complain("--net and --to exclude each other", NULL);
	if (o->mta >= 0 && o->backend != NULL)
		return complain("--mta and --backend exclude each other", NULL);
	if (o->net < 0 && o->to == NULL)
		return complain(o->role == SOTTO_ACCEPT ? "--net FD is missing" : "--net FD or --to DOMAIN is missing", NULL);
	if (o->mta < 0 && o->backend == NULL)
		return complain(o->role == SOTTO_ACCEPT ? "--mta FD or --backend is missing" : "--mta FD is missing", NULL);
	return check_values(o);
}

static int complain_of_option(char **argv)
{
	char letter[] = { '-', (char)optopt, '\0' };

	return complain("unknown or incomplete option", optopt > 0 && optopt < NET ? letter : argv[optind - 1]);
}

int sotto_options_read(struct sotto_options *o, int argc, char **argv)
{
	int c;

	*o = (struct sotto_options){
		.net = -1, .mta = -1, .ready = -1, .conf = SOTTO_CONF_DIR "/sotto.conf", .state = SOTTO_STATE_DIR,
		.run = SOTTO_RUN_DIR, .adapter = "exim",
	};
	opterr = 0;
	optind = 0;	/* from the start, whoever used getopt before */
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == '?')
			return complain_of_option(argv);
		if (read_one(o, c, optarg) != 0)
			return -1;
	}
	if (optind + 1 != argc)
		return complain("the first argument is accept or connect, and there is only one", NULL);
	if (strcmp(argv[optind], "accept") != 0 && strcmp(argv[optind], "connect") != 0)
		return complain("the first argument is accept or connect, not", argv[optind]);
	o->role = strcmp(argv[optind], "accept") == 0 ? SOTTO_ACCEPT : SOTTO_CONNECT;
	return check(o);
}
