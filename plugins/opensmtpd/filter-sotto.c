/* SPDX-License-Identifier: ISC */
/*
 * filter-sotto, see opensmtpd-sotto(7): what smtpd starts as a filter. smtpd ends when a filter does, so that this process only listens
 * (listeners.h), answers smtpd (talk.h), and keeps a worker alive that does all the rest (keeper.h). It ends when smtpd closes its standard
 * input, and never before. libc only. This file is the order of the steps.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/deadline.h"
#include "core/runtime/hop.h"
#include "core/runtime/log.h"
#include "plugins/opensmtpd/keeper.h"
#include "plugins/opensmtpd/listeners.h"
#include "plugins/opensmtpd/own-name.h"
#include "plugins/opensmtpd/passing.h"
#include "plugins/opensmtpd/talk.h"

#define OPEN_AGAIN_MS 200	/* listeners that the smtpd before us still has */
#define WORDS 32

static struct {
	struct sotto_listeners listeners;
	struct sotto_passing passing;
	struct sotto_keeper keeper;
	struct sotto_traces traces;
	struct sotto_talk talk;
	char *options[WORDS];		/* the worker's */
	char conf_dir[4096];
	bool check;
	bool open;			/* all listeners are */
} all;

/* ---- options ---- */

/* A sentence where an administrator looks, and on with what can be done: to end would end smtpd. */
static void complain(const char *what, const char *value)
{
	sotto_log(LOG_ERR, "%s: '%s'; see opensmtpd-sotto(7)", what, value);
	(void)fprintf(stderr, "filter-sotto: %s: '%s'; see opensmtpd-sotto(7)\n", what, value);
	if (all.check)
		exit(2);
}

static void for_worker(const char *option, char *value)
{
	unsigned n = 0;

	while (all.options[n] != NULL)
		n++;
	if (n + 3 > WORDS)
		return;
	all.options[n] = (char *)(uintptr_t)option;
	all.options[n + 1] = value;
}

static void set_conf(const char *path)
{
	char copy[sizeof(all.conf_dir)];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	(void)snprintf(all.conf_dir, sizeof(all.conf_dir), "%s", dirname(copy));
}

static void set_port(const char *text)
{
	char *end;
	long port = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || port < 0 || port > 65535)
		complain("not a port", text);
	else
		all.listeners.hop_port = (uint16_t)port;
}

static void set_option(int c, const char *word)
{
	switch (c) {
	case 'l':
		if (sotto_listeners_add(&all.listeners, optarg) != 0)
			complain("--listen takes ADDRESS:PORT or [ADDRESS]:PORT, 16 at most", optarg);
		break;
	case 'h':
		set_port(optarg);
		break;
	case 'w':
		all.keeper.program = optarg;
		break;
	case 'b':
		all.passing.backend = optarg;
		for_worker("--backend", optarg);
		break;
	case 'c':
		set_conf(optarg);
		for_worker("--conf", optarg);
		break;
	case 's':
		all.passing.state = optarg;
		for_worker("--state", optarg);
		break;
	case 'r':
		all.traces.run = optarg;
		for_worker("--run", optarg);
		break;
	case 'f':
		for_worker("--from", optarg);
		break;
	case 'g':
		for_worker("--log", optarg);
		break;
	case 'e':
		all.traces.by = optarg;
		for_worker("--helo", optarg);
		break;
	case 't':
		all.check = true;
		break;
	default:
		complain("unknown option, or one without a value", word);
		break;
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "listen", required_argument, NULL, 'l' }, { "hop-port", required_argument, NULL, 'h' },
		{ "worker", required_argument, NULL, 'w' }, { "backend", required_argument, NULL, 'b' },
		{ "conf", required_argument, NULL, 'c' }, { "state", required_argument, NULL, 's' },
		{ "run", required_argument, NULL, 'r' }, { "from", required_argument, NULL, 'f' },
		{ "log", required_argument, NULL, 'g' }, { "helo", required_argument, NULL, 'e' },
		{ "check", no_argument, NULL, 't' }, { NULL, 0, NULL, 0 },
	};
	int c;

	all.keeper.program = SOTTO_WORKER_PATH;
	all.listeners.hop_port = SOTTO_HOP_PORT;
	all.listeners.hop = -1;
	all.passing = (struct sotto_passing){ .backend = "127.0.0.1:10025", .conf_dir = SOTTO_CONF_DIR, .state = SOTTO_STATE_DIR };
	all.traces.run = SOTTO_RUN_DIR;
	all.traces.by = sotto_own_name();
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1)
		set_option(c, argv[optind - 1]);
	if (all.conf_dir[0] != '\0')
		all.passing.conf_dir = all.conf_dir;
	sotto_listeners_default(&all.listeners);
}

/* ---- the loop ---- */

static bool hand(void *arg, const char *line, size_t len)
{
	(void)arg;
	return sotto_keeper_tell(&all.keeper, line, len);
}

/* 0; -1: smtpd is gone. */
static int hear_children(int signals)
{
	struct signalfd_siginfo info;
	bool worker = false;
	int status;
	pid_t pid;

	while (read(signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		worker = sotto_keeper_ended(&all.keeper, pid, status) || worker;
	return worker ? sotto_talk_expire(&all.talk, true) : 0;
}

static int hear_worker(void)
{
	char text[128];

	while (sotto_keeper_hear(&all.keeper, text, sizeof(text)) > 0)
		if (sotto_talk_proceed(&all.talk, text) != 0)
			return -1;
	return 0;
}

/* The worker that gets what could not be opened at first takes the other's place; that one's sessions go on. */
static int64_t open_listeners(void)
{
	bool before = all.open;

	if (all.open)
		return INT64_MAX;
	all.open = sotto_listeners_open(&all.listeners);
	if (all.open && !before && all.keeper.worker > 0)
		sotto_keeper_renew(&all.keeper);
	return all.open ? INT64_MAX : sotto_now_ms() + OPEN_AGAIN_MS;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What is due, and how long nothing is: milliseconds, -1: for ever. */
static int due(void)
{
	int64_t next = open_listeners();	/* before a worker is started */

	next = least(next, sotto_keeper_tick(&all.keeper));
	next = least(next, sotto_talk_deadline(&all.talk));
	return next == INT64_MAX ? -1 : sotto_left_ms(next);
}

static void serve(int signals)
{
	for (;;) {
		struct pollfd polls[3] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signals, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
		int wait = due();

		if (signals < 0 && (wait < 0 || wait > SOTTO_AGAIN_MS))
			wait = SOTTO_AGAIN_MS;	/* nobody tells us of a child's end: we look */
		polls[2].fd = all.keeper.talk;
		(void)poll(polls, 3, wait);
		/* the worker first: one that has just become ready may have the session already that smtpd speaks of */
		if (hear_worker() != 0 || (polls[0].revents != 0 && sotto_talk_hear(&all.talk) != 0))
			return;
		if (hear_children(signals) != 0 || sotto_talk_expire(&all.talk, false) != 0)
			return;
	}
}

static int block_signals(void)
{
	sigset_t ours;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);	/* smtpd, in a terminal, has heard it too, and closes our input */
	(void)signal(SIGTERM, SIG_IGN);
	sigemptyset(&ours);
	sigaddset(&ours, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &ours, NULL);
	return signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	int signals;

	sotto_log_open("sotto-filter", false);
	read_options(argc, argv);
	if (all.check)
		return sotto_listeners_check(&all.listeners) == 0 ? 0 : 1;
	signals = block_signals();
	all.talk.in = STDIN_FILENO;
	all.talk.out = STDOUT_FILENO;
	all.talk.hand = hand;
	all.talk.traces = &all.traces;
	all.keeper.options = all.options;
	all.keeper.listeners = &all.listeners;
	all.keeper.passing = &all.passing;
	sotto_keeper_begin(&all.keeper);
	serve(signals);
	sotto_listeners_end(&all.listeners);
	sotto_keeper_let_go(&all.keeper);
	return 0;
}
