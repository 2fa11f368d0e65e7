/* SPDX-License-Identifier: ISC */
/* What `sotto check` looks at among files and of the host (findings.h). As the owner of the state folder, whose rights count. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/cli/adapters.h"
#include "core/cli/findings.h"
#include "core/cli/show.h"
#include "core/runtime/counters.h"
#include "core/runtime/version.h"

#define EARLIEST 1735689600	/* 2025: no clock that is right says less */
#define AHEAD 3600

/* ---- folders and files ---- */

static const char *owner_of(const struct stat *st, char out[64])
{
	const struct passwd *p = getpwuid(st->st_uid);

	(void)snprintf(out, 64, "%s", p != NULL ? p->pw_name : "nobody that is known");
	return out;
}

static bool has_room(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) != 0 || (fs.f_bavail > 0 && (fs.f_files == 0 || fs.f_favail > 0));
}

static const char *user_here(const json_t *hooks)
{
	for (unsigned i = 0; i < SOTTO_CLI_ADAPTERS; i++)
		if (json_object_get(hooks, sotto_adapters[i].name) != NULL)
			return sotto_adapters[i].user;
	return NULL;
}

static void check_folder(json_t *list, const char *check, const char *path, mode_t more, const char *user, const char *loss)
{
	char owner[64], remedy[512];
	struct stat st;

	(void)snprintf(remedy, sizeof(remedy), "install -d -o %s -g %s -m 0%o %s", user != NULL ? user : "OWNER", user != NULL ? user : "OWNER", 0700 | more, path);
	if (stat(path, &st) != 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, check, remedy, "%s: %s; %s", path, strerror(errno), loss);
	else if (user != NULL && strcmp(owner_of(&st, owner), user) != 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, check, remedy, "%s belongs to %s, not to %s; %s", path, owner_of(&st, owner), user, loss);
	else if ((st.st_mode & 0777 & ~(0700u | more)) != 0)
		sotto_finding(list, SOTTO_CLI_WARNING, check, remedy, "%s is open to more than its owner", path);
	else if ((st.st_mode & more) != more)
		sotto_finding(list, SOTTO_CLI_WARNING, check, remedy, "%s is closed to programs of the mail server's that have to get at what is in it", path);
	else if (access(path, R_OK | W_OK | X_OK) != 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, check, geteuid() == st.st_uid ? remedy : "do it as root", "%s cannot be used: %s; %s", path, strerror(errno), loss);
	else if (!has_room(path))
		sotto_finding(list, SOTTO_CLI_WARNING, check, "make room there", "%s has no room left; %s", path, loss);
	else
		sotto_finding(list, SOTTO_CLI_OK, check, "", "%s", path);
}

static void check_identity(const struct sotto_cli *cli, json_t *list)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/identity", cli->state) >= (int)sizeof(path))
		return;
	if (lstat(path, &st) != 0) {
		if (errno == ENOENT)
			sotto_finding(list, SOTTO_CLI_OK, "identity", "", "no key yet; the first session makes one");
		return;
	}
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || st.st_uid != geteuid())
		sotto_finding(list, SOTTO_CLI_WARNING, "identity", "chmod 600 it, if nobody else can have read it; otherwise remove it",
			      "%s is not for its owner alone, and so is not used", path);
	else
		sotto_finding(list, SOTTO_CLI_OK, "identity", "", "%s", path);
}

static void check_session(json_t *list)
{
	static const struct sotto_adapter session = { .script = SOTTO_SESSION_PATH };
	char said[SOTTO_ADAPTER_SAID];
	int code = sotto_adapter_run(&session, "--version", NULL, said);

	if (code != 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, "sotto-session", "install Sotto again", "%s cannot be started %s", SOTTO_SESSION_PATH, said);
	else if (strcmp(said, "sotto-session " SOTTO_RELEASE) != 0)
		sotto_finding(list, SOTTO_CLI_WARNING, "sotto-session", "install all of Sotto's packages in the same version", "this is sotto %s, and %s", SOTTO_RELEASE, said);
	else
		sotto_finding(list, SOTTO_CLI_OK, "sotto-session", "", "%s", SOTTO_SESSION_PATH);
}

/* A daemon of ours listens there. */
static void check_daemon(const struct sotto_cli *cli, json_t *list, const struct sotto_adapter *a)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), n;
	char remedy[128];

	n = snprintf(to.sun_path, sizeof(to.sun_path), "%s/map.sock", cli->run);
	(void)snprintf(remedy, sizeof(remedy), "systemctl restart %s; its log says why: journalctl -u %s", a->unit, a->unit);
	if (fd < 0 || n >= (int)sizeof(to.sun_path))
		return;
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 || errno == EAGAIN)
		sotto_finding(list, SOTTO_CLI_OK, a->unit, "", "it is running");
	else
		sotto_finding(list, SOTTO_CLI_CRITICAL, a->unit, remedy, "%s does not answer at %s (%s): mail goes out as it did without Sotto", a->unit, to.sun_path,
			      strerror(errno));
	close(fd);
}

void sotto_check_files(const struct sotto_cli *cli, json_t *list, const json_t *hooks)
{
	const char *user = user_here(hooks);
	mode_t more = user != NULL && strcmp(user, SOTTO_OWN_USER) == 0 ? 011 : 0;
	/* table-sotto is smtpd's user */
	mode_t table = json_object_get(hooks, "opensmtpd") != NULL ? 011 : 0;

	check_folder(list, "state folder", cli->state, table, user, "nothing is remembered of other mail servers");
	check_folder(list, "run folder", cli->run, more, user, "there is no trace in mail that comes in, and no list of sessions");
	check_identity(cli, list);
	check_session(list);
	for (unsigned i = 0; i < SOTTO_CLI_ADAPTERS; i++) {
		const char *word = sotto_show_text(hooks, sotto_adapters[i].name);

		if (sotto_adapters[i].unit != NULL && (strcmp(word, "on") == 0 || strcmp(word, "drifted") == 0))
			check_daemon(cli, list, &sotto_adapters[i]);
	}
}

/* ---- the host ---- */

static void check_loopback(json_t *list)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(0x7f400001) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
		sotto_finding(list, SOTTO_CLI_CRITICAL, "loopback", "ip link set lo up; ip address add 127.0.0.1/8 dev lo",
			      "127.0.0.0/8 cannot be used (%s): sessions are not sealed", strerror(errno));
	else
		sotto_finding(list, SOTTO_CLI_OK, "loopback", "", "127.0.0.0/8");
	if (fd >= 0)
		close(fd);
}

/* A filter that is nowhere is a bad address where there are filters. */
static void check_sandbox(json_t *list)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) != 0 && errno == EFAULT)
		sotto_finding(list, SOTTO_CLI_OK, "sandbox", "", "seccomp");
	else
		sotto_finding(list, SOTTO_CLI_WARNING, "sandbox", "use a kernel with CONFIG_SECCOMP_FILTER", "this kernel has no seccomp filters: sessions run without a sandbox");
}

static void last_time(void *arg, const struct sotto_counted *c)
{
	int64_t *last = arg;

	if (c->at > *last)
		*last = c->at;
}

static void check_clock(const struct sotto_cli *cli, json_t *list)
{
	int64_t now = (int64_t)time(NULL), last = 0;
	char text[SOTTO_SHOW_TIME];

	(void)!sotto_counters_read(cli->state, NULL, last_time, &last);
	sotto_show_time(text, now < EARLIEST ? now : last);
	if (now < EARLIEST)
		sotto_finding(list, SOTTO_CLI_CRITICAL, "clock", "set it: systemctl status systemd-timesyncd", "the clock says %s", text);
	else if (last > now + AHEAD)
		sotto_finding(list, SOTTO_CLI_WARNING, "clock", "if it is right now, no more is to be done; what was remembered ends by itself",
			      "the clock was set back: a session ended at %s", text);
	else
		sotto_finding(list, SOTTO_CLI_OK, "clock", "", "no session is from the future");
}

void sotto_check_host(const struct sotto_cli *cli, json_t *list)
{
	check_loopback(list);
	check_sandbox(list);
	check_clock(cli, list);
}
