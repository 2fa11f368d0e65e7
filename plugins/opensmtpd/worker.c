/* SPDX-License-Identifier: ISC */
/*
 * sotto-worker, see opensmtpd-sotto(7): all sessions between an OpenSMTPD and other mail servers, on one loop (worker.h). This file is the order
 * of the steps, and the conversation with the parent.
 */
#include "plugins/opensmtpd/worker.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "core/crypto/memory.h"
#include "core/runtime/identity.h"
#include "core/runtime/lock.h"
#include "core/runtime/log.h"
#include "core/runtime/sandbox.h"
#include "plugins/opensmtpd/keeper.h"
#include "plugins/opensmtpd/probes.h"
#include "plugins/opensmtpd/smtpd-user.h"
#include "plugins/opensmtpd/table.h"
#include "plugins/opensmtpd/talk.h"

#define SESSIONS_OWN (128 * 1024)	/* a session's buffers are larger, nothing else that is allocated is */
#define RESOLV_CONF "/etc/resolv.conf"
#define OLD_S 120	/* no lookup takes that long */

enum { WELL = 0, FAILED = 1, USAGE = 2 };

static void log_cannot_happen(const char *file, int line)
{
	sotto_log(LOG_CRIT, "what cannot happen has happened at %s:%d; please report it", file, line);
}

/* Keys must not end up in a core dump, nor be read by another process of the same user. */
static void harden(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);	/* a limit on files is a full disk: nothing is remembered */
	(void)umask(077);
	sotto_cannot_happen_hook = log_cannot_happen;
}

/*
 * Says to table-sotto, by a lock that ends with us, that somebody serves the hop. Without it mail goes natively: no reason to end, but to tell.
 * table-sotto takes it for a moment; whoever keeps it is not waited for.
 */
static int be_seen(const struct sotto_worker *w)
{
	char path[4200];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/" SOTTO_WORKER_LOCK, w->run);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || fchmod(fd, 0644) != 0 || sotto_lock(fd, LOCK_SH) != 0)
		sotto_log_limited(w->run, ".lock-limit", LOG_ERR, "%s: %s; mail goes out natively", path, strerror(errno));
	return fd;
}

void sotto_worker_look(struct sotto_worker *w)
{
	if (sotto_disk_look(&w->disk))
		(void)snprintf(w->hop_dir, sizeof(w->hop_dir), "%s/hop", w->state);
}

static struct timespec resolv_written(void)
{
	struct stat st;

	return stat(RESOLV_CONF, &st) == 0 ? st.st_mtim : (struct timespec){ 0 };
}

/* The last of its questions has been answered, or given up. */
static void on_old(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sotto_mx_close(arg);
}

/* The name servers are others, as after a change of network: there is nobody who tells us. Questions that are open go to those before. */
static void look_at_resolv(struct sotto_worker *w)
{
	const struct timeval long_enough = { .tv_sec = OLD_S };
	struct timespec now = resolv_written();
	struct sotto_mx *mx;

	if ((now.tv_sec == w->resolv.tv_sec && now.tv_nsec == w->resolv.tv_nsec) || now.tv_sec == 0)
		return;
	mx = sotto_mx_open(w->base, NULL);
	if (mx == NULL)
		return;
	w->resolv = now;
	if (event_base_once(w->base, -1, EV_TIMEOUT, on_old, w->mx, &long_enough) != 0)
		sotto_log(LOG_WARNING, "no memory to end with the name servers of before");
	w->mx = mx;
	sotto_log(LOG_INFO, "/etc/resolv.conf has changed, and was read again");
}

/* So that sessions which are under way find another state in time; and the parent hears that we live. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_worker *w = arg;

	(void)fd;
	(void)what;
	if (w->n > 0 || w->disk.hangs)	/* else whoever comes next looks: an idle host's disk may sleep */
		sotto_worker_look(w);
	look_at_resolv(w);
	(void)!send(w->talk, SOTTO_WORKER_ALIVE, strlen(SOTTO_WORKER_ALIVE), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The parent has let go of us. */
static void let_go(struct sotto_worker *w)
{
	if (w->lock >= 0)
		close(w->lock);
	w->lock = -1;
	event_free(w->told);
	w->told = NULL;
	sotto_connections_end(w);
}

static void on_told(evutil_socket_t fd, short what, void *arg)
{
	struct sotto_worker *w = arg;
	char line[SOTTO_HANDED_MAX + 1];
	ssize_t n;

	(void)what;
	sotto_worker_look(w);
	while ((n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT)) > 0) {
		line[n] = '\0';
		sotto_probes_hear(w->probes, line);
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		let_go(w);
}

/* Keys of ours, and octets from everywhere, are in this process. All that has to be opened is open. */
static void enter_sandbox(const struct sotto_worker *w)
{
	int r;

	sotto_smtpd_user_know();
	r = sotto_sandbox_enter(SOTTO_SANDBOX_SERVING);
	if (r != 0)
		sotto_log_limited(w->state, "sandbox-limit", LOG_NOTICE, "no sandbox: %s; going on without", strerror(-r));
}

static void on_term(evutil_socket_t number, short what, void *arg)
{
	struct sotto_worker *w = arg;

	(void)number;
	(void)what;
	(void)event_base_loopbreak(w->base);
}

/*
 * A session's memory is given back when it ends. The C library would keep it after the first one, for the next: all of it, as it is wiped to
 * the last octet, and for as many as ever were open at once.
 */
static void give_back(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, SESSIONS_OWN);
}

static int open_all(struct sotto_worker *w)
{
	const struct timeval second = { .tv_sec = 1 };

	w->base = event_base_new();
	if (w->base == NULL)
		return -1;
	w->resolv = resolv_written();
	w->mx = sotto_mx_open(w->base, NULL);
	w->probes = sotto_probes_open(w);
	w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	w->told = event_new(w->base, w->talk, EV_READ | EV_PERSIST, on_told, w);
	w->term = evsignal_new(w->base, SIGTERM, on_term, w);
	if (w->mx == NULL || w->probes == NULL || w->told == NULL || w->term == NULL || w->tick == NULL ||
	    event_add(w->told, NULL) != 0 || event_add(w->tick, &second) != 0 || event_add(w->term, NULL) != 0)
		return -1;
	return sotto_connections_open(w);
}

int main(int argc, char **argv)
{
	static struct sotto_worker w;

	harden();
	give_back();
	if (sotto_worker_options(&w, argc, argv) != 0)
		return USAGE;
	sotto_log_open("sotto-session", w.log_stderr);
	sotto_disk_begin(&w.disk, w.state);
	w.state = w.disk.state;
	sotto_worker_look(&w);
	(void)!sotto_identity_load(w.identity, w.state);	/* whatever is wrong with it is told by the first session */
	if (open_all(&w) != 0) {
		sotto_log(LOG_ERR, "no event loop, no DNS, or not enough descriptors to be had: %s", strerror(errno));
		return FAILED;
	}
	w.lock = be_seen(&w);
	enter_sandbox(&w);
	if (send(w.talk, "ready", 5, MSG_NOSIGNAL) != 5)
		return FAILED;
	sotto_log(LOG_INFO, "connections are taken: %u listeners%s", w.n_in, w.hop >= 0 ? ", and the hop" : "");
	(void)event_base_dispatch(w.base);
	sotto_wipe(w.identity, sizeof(w.identity));
	return WELL;	/* the kernel takes back what is left: nobody is waited for */
}
