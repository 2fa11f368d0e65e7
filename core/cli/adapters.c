/* SPDX-License-Identifier: ISC */
/* The mail servers on this host, by their plugins' scripts, and the change of user (adapters.h). Called by the subcommands. */
#include "core/cli/adapters.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534
#define SCRIPT_OFF 3
#define SCRIPT_DRIFTED 4

const struct sotto_adapter sotto_adapters[SOTTO_CLI_ADAPTERS] = {
	{ "exim", "Exim", "Debian-exim", "/usr/sbin/exim4", SOTTO_LIBEXEC_DIR "/sotto-exim", NULL },
	{ "postfix", "Postfix", SOTTO_OWN_USER, "/usr/sbin/postfix", SOTTO_LIBEXEC_DIR "/sotto-postfix", "sotto-policyd" },
	{ "opensmtpd", "OpenSMTPD", SOTTO_OWN_USER, "/usr/sbin/smtpd", SOTTO_LIBEXEC_DIR "/sotto-opensmtpd", NULL },
};

const char *const sotto_hooks_words[] = {
	[SOTTO_HOOKS_ON] = "on", [SOTTO_HOOKS_OFF] = "off", [SOTTO_HOOKS_DRIFTED] = "drifted", [SOTTO_HOOKS_UNKNOWN] = "unknown",
};

bool sotto_adapter_present(const struct sotto_adapter *a)
{
	return access(a->script, X_OK) == 0 && access(a->program, F_OK) == 0;
}

static const struct sotto_adapter *named(const char *name)
{
	for (unsigned i = 0; i < SOTTO_CLI_ADAPTERS; i++)
		if (strcmp(sotto_adapters[i].name, name) == 0)
			return &sotto_adapters[i];
	(void)sotto_cli_fail("--server takes exim, postfix or opensmtpd, not '%s'", name);
	return NULL;
}

const struct sotto_adapter *sotto_adapter_choose(const struct sotto_cli *cli)
{
	const struct sotto_adapter *found = NULL;

	if (cli->server != NULL) {
		found = named(cli->server);
		if (found != NULL && !sotto_adapter_present(found)) {
			(void)sotto_cli_fail("%s, or Sotto for it (%s), is not installed here", found->title, found->script);
			return NULL;
		}
		return found;
	}
	for (unsigned i = 0; i < SOTTO_CLI_ADAPTERS; i++) {
		if (!sotto_adapter_present(&sotto_adapters[i]))
			continue;
		if (found != NULL) {
			(void)sotto_cli_fail("both %s and %s are here; say which with --server", found->title, sotto_adapters[i].title);
			return NULL;
		}
		found = &sotto_adapters[i];
	}
	if (found == NULL)
		(void)sotto_cli_fail("there is no mail server here that Sotto is installed for; install exim4-sotto, postfix-sotto or opensmtpd-filter-sotto");
	return found;
}

/* ---- scripts ---- */

static void read_all(int fd, char said[SOTTO_ADAPTER_SAID])
{
	size_t n = 0;
	char rest[512] = "";
	ssize_t got = 1;

	while (got > 0 || (got < 0 && errno == EINTR)) {
		bool room = n + 1 < SOTTO_ADAPTER_SAID;

		got = read(fd, room ? said + n : rest, room ? SOTTO_ADAPTER_SAID - 1 - n : sizeof(rest));
		n += room && got > 0 ? (size_t)got : 0;
	}
	while (n > 0 && said[n - 1] == '\n')
		n--;
	said[n] = '\0';
}

static int end_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Its own words, and nothing of our environment but what a script needs. */
static int start(pid_t *pid, char *const *words, int out)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
	char *env[] = { path, locale, NULL };
	posix_spawn_file_actions_t acts;
	int rc = posix_spawn_file_actions_init(&acts);

	if (rc != 0)
		return rc;
	rc = posix_spawn_file_actions_addopen(&acts, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&acts, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&acts, out, STDERR_FILENO);
	if (rc == 0)
		rc = posix_spawn(pid, words[0], &acts, NULL, words, env);
	(void)posix_spawn_file_actions_destroy(&acts);
	return rc;
}

int sotto_adapter_run(const struct sotto_adapter *a, const char *word, const char *other, char said[SOTTO_ADAPTER_SAID])
{
	char *words[] = { (char *)a->script, (char *)word, (char *)other, NULL };
	int ends[2], rc;
	pid_t pid = -1;

	said[0] = '\0';
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	rc = start(&pid, words, ends[1]);
	close(ends[1]);
	if (rc == 0)
		read_all(ends[0], said);
	close(ends[0]);
	return rc == 0 ? end_of(pid) : -1;
}

const char *sotto_adapter_words(const struct sotto_adapter *a, const char *said)
{
	const char *name = strrchr(a->script, '/') + 1;
	size_t len = strlen(name);

	return strncmp(said, name, len) == 0 && strncmp(said + len, ": ", 2) == 0 ? said + len + 2 : said;
}

enum sotto_hooks sotto_adapter_hooks(const struct sotto_adapter *a, char said[SOTTO_ADAPTER_SAID])
{
	int code = geteuid() == 0 ? sotto_adapter_run(a, "status", NULL, said) : -1;
	char *rest;

	if (code == 0 || code == SCRIPT_OFF) {
		said[0] = '\0';
		return code == 0 ? SOTTO_HOOKS_ON : SOTTO_HOOKS_OFF;
	}
	if (code != SCRIPT_DRIFTED) {
		if (geteuid() != 0)
			(void)snprintf(said, SOTTO_ADAPTER_SAID, "only root can find out");
		return SOTTO_HOOKS_UNKNOWN;
	}
	/* the first line is the word itself */
	rest = strchr(said, '\n');
	memmove(said, rest != NULL ? rest + 1 : "", rest != NULL ? strlen(rest + 1) + 1 : 1);
	return SOTTO_HOOKS_DRIFTED;
}

/* ---- who we are ---- */

static void owner_of(const struct sotto_cli *cli, uid_t *uid, gid_t *gid)
{
	struct stat st;

	*uid = *gid = NOBODY;
	if (stat(cli->state, &st) == 0 && st.st_uid != 0) {
		*uid = st.st_uid;
		*gid = st.st_gid;
		return;
	}
	for (unsigned i = 0; i < SOTTO_CLI_ADAPTERS; i++) {
		const struct passwd *p = sotto_adapter_present(&sotto_adapters[i]) ? getpwnam(sotto_adapters[i].user) : NULL;

		if (p == NULL || p->pw_uid == 0)
			continue;
		*uid = p->pw_uid;
		*gid = p->pw_gid;
		return;
	}
}

/* Of a group of root's nothing is left either, so that what cannot be read by the mail server cannot be read here. */
int sotto_act_as_owner(const struct sotto_cli *cli)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return 0;
	owner_of(cli, &uid, &gid);
	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return sotto_cli_fail("cannot act as the owner of %s: %s", cli->state, strerror(errno));
	return 0;
}

int sotto_as_owner(const struct sotto_cli *cli, int (*function)(const struct sotto_cli *cli, void *arg), void *arg)
{
	pid_t pid;
	int code;

	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		return sotto_cli_fail("no process can be started: %s", strerror(errno));
	if (pid == 0) {
		code = sotto_act_as_owner(cli);
		if (code == 0)
			code = function(cli, arg);
		(void)fflush(stdout);
		_exit(code);
	}
	code = end_of(pid);
	return code >= 0 ? code : SOTTO_CLI_UNKNOWN;
}
