/* SPDX-License-Identifier: ISC */
/*
 * sotto-connector map|policy SOCKET: stands between Postfix and sotto-policyd, under spawn(8), for as long as Postfix keeps its
 * connection. It passes questions and answers on; where the daemon is dead, slow or talks nonsense it answers itself that there is
 * nothing to say, within half a second, and Postfix goes on as if we were not there. Static, libc only; never resolves a name, and never
 * waits for anything but the client for longer than that.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "plugins/postfix-policy/daemon.h"
#include "core/runtime/deadline.h"
#include "plugins/postfix-policy/spawned.h"

#define ASK_MS 470	/* of 500: the rest is for reading require and for answering */

static struct sotto_daemon daemon_of = { .fd = -1 };	/* large */
static const char *require_file = SOTTO_CONF_DIR "/require";

/* ---- the client ---- */

static int wait_client(short events)
{
	struct pollfd p = { .fd = SOTTO_CLIENT, .events = events };

	return errno == EINTR || (errno == EAGAIN && (poll(&p, 1, -1) >= 0 || errno == EINTR)) ? 0 : -1;
}

/* Octets, 0 at the end, -1 where there will be no more. */
static ssize_t read_client(char *p, size_t n)
{
	ssize_t k;

	do
		k = recv(SOTTO_CLIENT, p, n, 0);
	while (k < 0 && wait_client(POLLIN) == 0);
	return k;
}

static int write_client(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = send(SOTTO_CLIENT, p, n, MSG_NOSIGNAL);

		if (k < 0 && wait_client(POLLOUT) != 0)
			return -1;
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

/* ---- one request ---- */

static void report(const char *why)
{
	bool map = daemon_of.protocol == SOTTO_MAP;

	sotto_spawned_report(map ? ".connector-map-limit" : ".connector-policy-limit", LOG_WARNING,
			     "sotto-policyd %s (%s); %s until it is back: see 'systemctl status sotto-policyd'", why, daemon_of.path,
			     map ? "mail goes out as without Sotto, and waits for the domains in the file require" :
				   "mail comes in without the header X-Sotto");
}

static int answer_alone(const char *request, size_t n)
{
	char answer[SOTTO_FALLBACK_MAX], err[512] = "";
	size_t len = sotto_fallback(daemon_of.protocol, request, n, require_file, answer, err, sizeof(err));
	int r = write_client(answer, len);

	if (err[0] != '\0')
		sotto_spawned_report(".lists-limit", LOG_ERR, "%s; that line counts for nobody", err);
	return r;
}

/* An empty line alone is a policy request without attributes, and one too long is none of Postfix's: nothing to ask. */
static int answer(const char *request, size_t n, bool too_long)
{
	const char *why = "";
	int r;

	if (too_long || n == 1 || (daemon_of.protocol == SOTTO_POLICY && n > SOTTO_POLICY_MAX))
		return answer_alone(request, n);
	if (sotto_daemon_ask(&daemon_of, request, n, sotto_now_ms() + ASK_MS, &why) == 0)
		return write_client(daemon_of.answer, daemon_of.have);
	r = answer_alone(request, n);
	report(why);
	return r;
}

/* ---- all of them ---- */

struct input {
	size_t have;
	bool skips;		/* a policy request too long, of which we await the end */
	char octets[SOTTO_REQUEST_MAX];
};

/* The end of a long request may begin with the last octet that is here; the other is no line's end. */
static void skip(struct input *in)
{
	char last = in->octets[in->have - 1];

	in->skips = true;
	in->octets[0] = '-';
	in->octets[1] = last;
	in->have = 2;
}

/* Answers every request that is there in full. 0; 1: the client is gone, or speaks something else. */
static int answer_all(struct input *in)
{
	size_t at = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = sotto_request_length(daemon_of.protocol, in->octets + at, in->have - at)) > 0) {
		r = answer(in->octets + at, (size_t)n, in->skips);
		in->skips = false;
		at += (size_t)n;
	}
	in->have -= at;
	memmove(in->octets, in->octets + at, in->have);
	if (r != 0)
		return 1;
	if (n < 0 && daemon_of.protocol == SOTTO_MAP) {
		sotto_spawned_report(".connector-client-limit", LOG_WARNING, "what came is no socketmap request; is something else but Postfix "
				     "connected to the service sotto-map?");
		return 1;
	}
	return 0;
}

static int serve(void)
{
	static struct input in;
	ssize_t k;

	while (answer_all(&in) == 0) {
		if (in.have >= SOTTO_POLICY_MAX && daemon_of.protocol == SOTTO_POLICY)
			skip(&in);
		k = read_client(in.octets + in.have, sizeof(in.octets) - in.have);
		if (k <= 0)
			return 0;
		in.have += (size_t)k;
	}
	return 1;
}

/* ---- the command line ---- */

static int usage(const char *what)
{
	sotto_spawned_complain("%s: usage: sotto-connector map|policy SOCKET [--require FILE]; see postfix-sotto(7)", what);
	return -1;
}

static int read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "require", required_argument, NULL, 'r' }, { "run", required_argument, NULL, 'u' },
		{ "log", required_argument, NULL, 'l' }, { NULL, 0, NULL, 0 },
	};
	const char *run = SOTTO_RUN_DIR;
	bool to_stderr = false;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'r')
			require_file = optarg;
		else if (c == 'u')
			run = optarg;
		else if (c == 'l')
			to_stderr = strcmp(optarg, "stderr") == 0;
		else
			return usage("an unknown option");
	}
	sotto_spawned_log(to_stderr, run);
	if (argc - optind != 2 || (strcmp(argv[optind], "map") != 0 && strcmp(argv[optind], "policy") != 0))
		return usage("the arguments are wrong");
	if (strlen(argv[optind + 1]) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return usage("the path of the socket is too long");
	daemon_of.protocol = argv[optind][0] == 'm' ? SOTTO_MAP : SOTTO_POLICY;
	daemon_of.path = argv[optind + 1];
	return 0;
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	sotto_spawned("sotto-connector");
	if (read_options(argc, argv) != 0 || sotto_spawned_check() != 0)
		return 1;
	return serve();
}
