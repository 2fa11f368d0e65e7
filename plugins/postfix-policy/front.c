/* SPDX-License-Identifier: ISC */
/*
 * sotto-front --backend unix:PATH: what Postfix's spawn(8) starts for each connection to port 25. Hands it to the process that sotto-policyd
 * has ready for the first commands, and waits for its end, or passes it through from there on; or becomes sotto-session; where that cannot be had, passes the
 * connection through to the smtpd at PATH from its beginning, and smtpd's own STARTTLS works as before. From a peer that the file require lists
 * nothing is taken then (451). Static, libc only; never parses SMTP.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "core/runtime/addr.h"
#include "core/runtime/deadline.h"
#include "core/runtime/goodbye.h"
#include "core/runtime/names.h"
#include "core/runtime/pass.h"
#include "core/runtime/proxy.h"
#include "plugins/postfix-policy/hand-over.h"
#include "plugins/postfix-policy/spawned.h"
#include "plugins/postfix-policy/start.h"

#define WORDS 64	/* of sotto-session's command line */
#define BACKEND_MS 5000	/* for smtpd to take a connection */
#define UNREACHABLE "421 4.3.2 Our mail server cannot be reached at the moment\r\n"
#define REQUIRED "451 4.7.0 Encryption (XSOTTO) is required here, and could not be had\r\n"

struct front {
	const char *session, *backend, *require, *run;
	char **extra;		/* options for the session; NULL ends them */
	bool to_stderr;
	struct sockaddr_storage peer;
	uint8_t header[SOTTO_PROXY_MAX];	/* for smtpd */
	size_t header_len;			/* 0: the client has no Internet address */
};

/* ---- without a session ---- */

/* False: the peer has gone. */
static bool find_addresses(struct front *f)
{
	struct sockaddr_storage local;
	socklen_t peer_len = sizeof(f->peer), local_len = sizeof(local);

	if (getpeername(SOTTO_CLIENT, (struct sockaddr *)&f->peer, &peer_len) != 0 ||
	    getsockname(SOTTO_CLIENT, (struct sockaddr *)&local, &local_len) != 0)
		return false;
	sotto_addr_plain(&f->peer);
	sotto_addr_plain(&local);
	f->header_len = sotto_proxy_header(f->header, &f->peer, &local);
	return true;
}

static bool is_required(const struct front *f)
{
	const struct sotto_who who = { .addr = (const struct sockaddr *)&f->peer };
	char err[512] = "";
	bool required = sotto_names_match(f->require, &who, err, sizeof(err)) == 1;

	if (err[0] != '\0')
		sotto_spawned_report(".lists-limit", LOG_ERR, "%s; that line counts for nobody", err);
	return required;
}

static int pass_through(const struct front *f)
{
	const char *path = f->backend + strlen("unix:");
	int backend = -1;

	if (f->header_len > 0)
		backend = sotto_spawned_connect(path, sotto_now_ms() + BACKEND_MS);
	if (backend < 0) {
		sotto_spawned_report(".front-backend-limit", LOG_ERR, "cannot connect to our mail server at %s: %s; does master.cf have that "
				     "service, and may this user enter the folder (group postdrop)? See postfix-sotto(7)", path,
				     f->header_len > 0 ? strerror(errno) : "the client has no Internet address");
		sotto_goodbye(SOTTO_CLIENT, UNREACHABLE);
		return 1;
	}
	(void)sotto_pass(SOTTO_CLIENT, backend, f->header, f->header_len);
	close(backend);
	return 0;
}

/* Descriptors 1 and 2 may still be the client's, and would keep the connection open. */
static int serve_alone(struct front *f, const char *why)
{
	char text[SOTTO_ADDR_TEXT];
	bool required;

	sotto_addr_write(text, &f->peer);
	required = is_required(f);
	sotto_spawned_report(".front-limit", LOG_WARNING, "%s; the connection from [%s] %s", why, text,
			     required ? "is ended with 451, as encryption is required of it" : "goes on without Sotto, not sealed");
	if (!required)
		return pass_through(f);
	sotto_goodbye(SOTTO_CLIENT, REQUIRED);
	return 0;
}

/* ---- with one ---- */

/* False: without it, then. What that process is told is what try_session's session would be, but for the PROXY header, which is written here. */
static bool was_handed_over(const struct front *f)
{
	static char adapter[] = "--adapter", postfix[] = "postfix";
	char *words[WORDS] = { adapter, postfix }, path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const struct sotto_hand_over h = {
		.path = path, .backend = f->backend + strlen("unix:"), .header = f->header, .header_len = f->header_len, .words = words,
		.keep_stderr = f->to_stderr,
	};
	bool late = false, done;
	size_t n = 2;

	for (char **extra = f->extra; *extra != NULL && n < WORDS - 1; extra++)
		words[n++] = *extra;
	/* who has taken sotto-session away wants none */
	if (f->header_len == 0 || access(f->session, X_OK) != 0 ||
	    (size_t)snprintf(path, sizeof(path), "%s/first.sock", f->run) >= sizeof(path))
		return false;
	done = sotto_hand_over(&h, &late);
	if (late)
		sotto_spawned_report(".hand-over-limit", LOG_NOTICE, "%s: nobody took the connection within %d ms; a session is started for it instead", path, SOTTO_HAND_OVER_MS);
	return done;
}

static void try_session(const struct front *f, char *why, size_t len)
{
	static char accept[] = "accept", net[] = "--net", zero[] = "0", backend[] = "--backend", adapter[] = "--adapter", postfix[] = "postfix",
		    ready[] = "--ready";
	char *argv[WORDS] = { (char *)(uintptr_t)f->session, accept, net, zero, backend, (char *)(uintptr_t)f->backend, adapter, postfix, ready,
			      NULL };
	size_t at = 9, n = at + 1;

	for (char **extra = f->extra; *extra != NULL && n < WORDS - 1; extra++)
		argv[n++] = *extra;
	sotto_start(argv, at, f->to_stderr, why, len);
}

/* ---- the command line ---- */

/* Nobody can be served with a wrong one, but everybody be told. */
static int usage(const char *what)
{
	sotto_spawned_complain("%s: usage: sotto-front --backend unix:PATH [--session PATH] [--require FILE] [-- OPTION...]; see postfix-sotto(7)",
			       what);
	if (sotto_spawned_check() == 0)
		sotto_goodbye(SOTTO_CLIENT, UNREACHABLE);
	return -1;
}

static bool is_backend(const char *text)
{
	return text != NULL && strncmp(text, "unix:/", 6) == 0 && strlen(text + 5) < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

static int read_options(struct front *f, int argc, char **argv)
{
	static const struct option names[] = {
		{ "backend", required_argument, NULL, 'b' }, { "session", required_argument, NULL, 'x' },
		{ "require", required_argument, NULL, 'r' }, { "run", required_argument, NULL, 'u' },
		{ "log", required_argument, NULL, 'l' }, { NULL, 0, NULL, 0 },
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+", names, NULL)) != -1) {
		if (c == 'b')
			f->backend = optarg;
		else if (c == 'x')
			f->session = optarg;
		else if (c == 'r')
			f->require = optarg;
		else if (c == 'u')
			f->run = optarg;
		else if (c == 'l')
			f->to_stderr = strcmp(optarg, "stderr") == 0;
		else
			return usage("an unknown option");
	}
	sotto_spawned_log(f->to_stderr, f->run);
	f->extra = argv + optind;
	if (!is_backend(f->backend))
		return usage("--backend takes unix: and the path of a socket");
	if (argc > optind && strcmp(argv[optind - 1], "--") != 0)
		return usage("what is for sotto-session stands behind --");
	return argc - optind <= WORDS - 12 ? 0 : usage("too many options");
}

int main(int argc, char **argv)
{
	struct front f = { .session = SOTTO_SESSION_PATH, .require = SOTTO_CONF_DIR "/require", .run = SOTTO_RUN_DIR };
	char why[512] = "";

	(void)signal(SIGPIPE, SIG_IGN);
	sotto_spawned("sotto-front");
	if (read_options(&f, argc, argv) != 0 || sotto_spawned_check() != 0)
		return 1;
	if (!find_addresses(&f) || was_handed_over(&f))
		return 0;
	try_session(&f, why, sizeof(why));
	return serve_alone(&f, why);
}
