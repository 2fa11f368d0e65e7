/* SPDX-License-Identifier: ISC */
/*
 * sotto(8): shows an administrator what Sotto does and remembers, finds what is wrong, and switches it on and off. This file reads the
 * command line; each subcommand stands in a file of its name.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cli/show.h"
#include "core/runtime/version.h"

int sotto_cli_fail(const char *format, ...)
{
	va_list ap;

	(void)fflush(stdout);
	(void)fputs("sotto: ", stderr);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	return SOTTO_CLI_UNKNOWN;
}

static int print_version(struct sotto_cli *cli)
{
	if (cli->json)
		return sotto_show_json(json_pack("{s:s, s:i}", "version", SOTTO_RELEASE, "protocol", 1), SOTTO_CLI_OK);
	puts("sotto " SOTTO_RELEASE);
	return SOTTO_CLI_OK;
}

static int print_help(struct sotto_cli *cli);

enum argument { NO_ARGUMENT, MAY, MUST, OR_ALL };

static const struct {
	const char *name, *argument, *what;
	enum argument takes;
	int (*run)(struct sotto_cli *cli);
} commands[] = {
	{ "status", "", "whether it is on, what became of the sessions, what is wrong", NO_ARGUMENT, sotto_cli_status },
	{ "check", "", "looks at settings, files, rights, the mail server, the clock", NO_ARGUMENT, sotto_cli_check },
	{ "probe", "HOST|DOMAIN", "tries another mail server; sends no mail", MUST, sotto_cli_probe },
	{ "peers", "[NAME]", "what is remembered of mail servers and domains", MAY, sotto_cli_peers },
	{ "forget", "NAME|--all", "drops it", OR_ALL, sotto_cli_forget },
	{ "sessions", "", "those open now", NO_ARGUMENT, sotto_cli_sessions },
	{ "metrics", "", "OpenMetrics text", NO_ARGUMENT, sotto_cli_metrics },
	{ "enable", "", "switches it on in the mail server, and tries it", NO_ARGUMENT, sotto_cli_enable },
	{ "disable", "", "switches it off", NO_ARGUMENT, sotto_cli_disable },
	{ "version", "", "", NO_ARGUMENT, print_version },
	{ "help", "", "", NO_ARGUMENT, print_help },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int print_help(struct sotto_cli *cli)
{
	json_t *list = cli->json ? json_array() : NULL;

	if (!cli->json)
		puts("usage: sotto COMMAND [OPTIONS]; sotto(8) tells more\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (cli->json)
			(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "command", commands[i].name, "argument",
								    commands[i].argument, "what", commands[i].what));
		else
			printf("  %-8s %-12s %s\n", commands[i].name, commands[i].argument, commands[i].what);
	}
	if (cli->json)
		return sotto_show_json(list, SOTTO_CLI_OK);
	puts("\n  --json            as JSON, whatever the command\n"
	     "  --yes             enable, disable: without a question\n"
	     "  --server NAME     exim, postfix or opensmtpd, where there are several\n"
	     "  --port PORT       probe: another than 25\n"
	     "  --conf FILE       /etc/sotto/sotto.conf unless said\n"
	     "  --state, --run    the folders of what is remembered and of what is open now");
	return SOTTO_CLI_OK;
}

/* ---- the command line ---- */

enum word { JSON = 256, YES, ALL, SERVER, PORT, CONF, STATE, RUN, HELP, VERSION };

static const struct option names[] = {
	{ "json", no_argument, NULL, JSON }, { "yes", no_argument, NULL, YES }, { "all", no_argument, NULL, ALL },
	{ "server", required_argument, NULL, SERVER }, { "port", required_argument, NULL, PORT }, { "conf", required_argument, NULL, CONF },
	{ "state", required_argument, NULL, STATE }, { "run", required_argument, NULL, RUN }, { "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION }, { NULL, 0, NULL, 0 },
};

static int read_port(struct sotto_cli *cli, const char *text)
{
	char *end;
	long port = strtol(text, &end, 10);

	if (*end != '\0' || text[0] < '0' || text[0] > '9' || port < 1 || port > 65535)
		return sotto_cli_fail("--port takes a number from 1 to 65535, not '%s'", text);
	cli->port = (uint16_t)port;
	return 0;
}

static int read_option(struct sotto_cli *cli, int option)
{
	switch ((enum word)option) {
	case JSON:
		cli->json = true;
		return 0;
	case YES:
		cli->yes = true;
		return 0;
	case ALL:
		cli->all = true;
		return 0;
	case SERVER:
		cli->server = optarg;
		return 0;
	case PORT:
		return read_port(cli, optarg);
	case CONF:
		cli->conf = optarg;
		return 0;
	case STATE:
		cli->state = optarg;
		return 0;
	case RUN:
		cli->run = optarg;
		return 0;
	case HELP:
		cli->command = "help";
		return 0;
	case VERSION:
		cli->command = "version";
		return 0;
	}
	return sotto_cli_fail("unknown or incomplete option; `sotto help` lists them");
}

static int read_words(struct sotto_cli *cli, int argc, char **argv)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (read_option(cli, c) != 0)
			return SOTTO_CLI_UNKNOWN;
	if (cli->command == NULL)
		cli->command = optind < argc ? argv[optind++] : "help";
	if (optind < argc)
		cli->arg = argv[optind++];
	return optind < argc ? sotto_cli_fail("too many words: '%s'; `sotto help` tells what there is", argv[optind]) : 0;
}

static int run(struct sotto_cli *cli, size_t i)
{
	enum argument takes = commands[i].takes;

	if (takes == NO_ARGUMENT && cli->arg != NULL)
		return sotto_cli_fail("`sotto %s` takes no word behind it, not '%s' either", cli->command, cli->arg);
	if ((takes == MUST && cli->arg == NULL) || (takes == OR_ALL && (cli->arg == NULL) == !cli->all))
		return sotto_cli_fail("`sotto %s` takes %s behind it", cli->command, commands[i].argument);
	return commands[i].run(cli);
}

static void cannot_happen(const char *file, int line)
{
	(void)sotto_cli_fail("what cannot happen has happened at %s:%d; please report it", file, line);
}

int main(int argc, char **argv)
{
	struct sotto_cli cli = {
		.conf = SOTTO_CONF_DIR "/sotto.conf", .state = SOTTO_STATE_DIR, .run = SOTTO_RUN_DIR, .port = 25,
		.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL,
	};
	int code;

	sotto_cannot_happen_hook = cannot_happen;
	(void)signal(SIGXFSZ, SIG_IGN);
	if (read_words(&cli, argc, argv) != 0)
		return SOTTO_CLI_UNKNOWN;
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, cli.command) != 0)
			continue;
		code = run(&cli, i);
		return fflush(stdout) == 0 ? code : SOTTO_CLI_UNKNOWN;
	}
	return sotto_cli_fail("there is no `sotto %s`; `sotto help` lists what there is", cli.command);
}
