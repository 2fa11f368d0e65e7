/* SPDX-License-Identifier: ISC */
/*
 * Makes the filters of sandbox.h, by libseccomp, while Sotto is built: writes sandbox-filters.h to stdout, for the architecture that
 * it runs on. Called by the GNUmakefile; no part of what is installed. The tables below are the sandbox: a call that is in none of
 * them fails with EPERM, and so does every call of another architecture's.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <linux/seccomp.h>

#define SELF 0x5e1f5e1fu	/* stands for the process id, and is more than one can be; sandbox.c puts the real one in */
#define REFUSE SCMP_ACT_ERRNO(EPERM)
#ifdef __s390__
#define CLONE_FLAGS 1u	/* which argument they are */
#else
#define CLONE_FLAGS 0u
#endif

/* Whatever their arguments. What an architecture or a libseccomp does not know is left out. */
static const char *const always[] = {
	/* waiting and time */
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "ppoll_time64", "eventfd2",
	"timerfd_create", "timerfd_settime", "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64",
	"clock_gettime", "clock_gettime64", "clock_getres", "gettimeofday", "time", "restart_syscall",
	/* octets, over what is open */
	"read", "write", "readv", "writev", "recvfrom", "sendto", "recv", "send", "splice", "pipe", "pipe2", "shutdown", "close",
	"getsockname", "getpeername", "getsockopt", "fcntl", "fcntl64",
	/* the state's files */
	"open", "openat", "pread64", "pwrite64", "lseek", "_llseek", "fstat", "fstat64", "newfstatat", "fstatat64", "stat", "stat64",
	"lstat", "lstat64", "statx", "access", "faccessat", "faccessat2", "rename", "renameat", "renameat2", "unlink", "unlinkat",
	"link", "linkat", "rmdir", "mkdir", "mkdirat", "getdents64", "ftruncate", "ftruncate64", "flock", "utimensat",
	"utimensat_time64", "fchmod", "umask", "readlink", "readlinkat", "getcwd",
	/* memory; qsort asks how much there is, malloc how many processors */
	"brk", "munmap", "mremap", "madvise", "sysinfo", "sched_getaffinity", "sched_yield", "futex", "futex_time64",
	/* random octets, who we are, signals, the end */
	"getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack", "exit", "exit_group",
};

/* Each stage may do what the one before it may. */
enum stage { SETTLED, CONNECTING, SERVING, FORKING };

/* From CONNECTING on. connect is also what log.c takes up a new /dev/log with. */
static const char *const connecting[] = { "connect", "bind" };

/* A daemon's: its listeners are open already. */
static const char *const serving[] = { "accept4" };

/* ... and of one that forks a process for a session (serve.h). */
static const char *const forking[] = { "wait4", "recvmsg", "set_robust_list", "alarm", "setitimer" };

struct limited {
	const char *call;
	enum stage from;
	unsigned n;
	struct scmp_arg_cmp args[3];
};

#define IS(arg, value) { (arg), SCMP_CMP_EQ, (value), 0 }
#define IS_OF(arg, mask, value) { (arg), SCMP_CMP_MASKED_EQ, (mask), (value) }
#define NEVER_EXEC(call) { call, SETTLED, 1, { IS_OF(2, PROT_EXEC, 0) } }

/* The kernel takes an int: what stands above it does not count. */
#define SOCKET_TYPE (0xffffffffu & ~(unsigned)(SOCK_NONBLOCK | SOCK_CLOEXEC))
#define SOCKET(family, type, protocol) \
	{ "socket", CONNECTING, 3, { IS(0, family), IS_OF(1, SOCKET_TYPE, type), IS(2, protocol) } }
#define INET_SOCKETS(family) \
	SOCKET(family, SOCK_STREAM, 0), SOCKET(family, SOCK_STREAM, IPPROTO_TCP), \
	SOCKET(family, SOCK_DGRAM, 0), SOCKET(family, SOCK_DGRAM, IPPROTO_UDP)
/* Options by name: among the others are programs for the kernel to run, and protocols over TCP. */
#define OPTION(level, name) { "setsockopt", SETTLED, 2, { IS(1, level), IS(2, name) } }

/* Only with these arguments. */
static const struct limited limits[] = {
	NEVER_EXEC("mmap"), NEVER_EXEC("mmap2"), NEVER_EXEC("mprotect"),
	INET_SOCKETS(AF_INET), INET_SOCKETS(AF_INET6),
	SOCKET(AF_UNIX, SOCK_STREAM, 0), SOCKET(AF_UNIX, SOCK_DGRAM, 0),
	OPTION(SOL_SOCKET, SO_KEEPALIVE), OPTION(SOL_SOCKET, SO_LINGER), OPTION(SOL_SOCKET, SO_REUSEADDR),
	OPTION(SOL_SOCKET, SO_SNDBUF), OPTION(SOL_SOCKET, SO_RCVBUF),
	OPTION(IPPROTO_TCP, TCP_NODELAY), OPTION(IPPROTO_TCP, TCP_KEEPIDLE), OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
	OPTION(IPPROTO_TCP, TCP_KEEPCNT), OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT), OPTION(IPPROTO_TCP, TCP_FASTOPEN_CONNECT),
	OPTION(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
	{ "ioctl", SETTLED, 1, { IS(1, SIOCOUTQ) } }, { "ioctl", SETTLED, 1, { IS(1, FIONREAD) } },
	{ "ioctl", SETTLED, 1, { IS(1, FIONBIO) } },
	/* who connects to the hop (hop-socket.c) */
	{ "socket", SERVING, 3, { IS(0, AF_NETLINK), IS_OF(1, SOCKET_TYPE, SOCK_RAW), IS(2, NETLINK_SOCK_DIAG) } },
	/* fork(3), and nothing else that could be made this way */
	{ "clone", FORKING, 1, { IS(CLONE_FLAGS, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD) } },
	{ "prctl", FORKING, 1, { IS(0, PR_SET_NAME) } },
	/* abort() */
	{ "tgkill", SETTLED, 1, { IS(0, SELF) } },
	/* a limit is read, not set */
	{ "prlimit64", SETTLED, 2, { IS(0, 0), IS(2, 0) } },
	/* the way on to SETTLED, from where there is none */
	{ "prctl", CONNECTING, 2, { IS(0, PR_SET_NO_NEW_PRIVS), IS(1, 1) } },
	{ "prctl", CONNECTING, 2, { IS(0, PR_SET_SECCOMP), IS(1, SECCOMP_MODE_FILTER) } },
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void need(int result, const char *what)
{
	if (result >= 0)
		return;
	(void)fprintf(stderr, "make-sandbox: %s: error %d\n", what, -result);
	exit(1);
}

/* True with its number where the call is one of this architecture's. */
static bool known(const char *call, int *number)
{
	*number = seccomp_syscall_resolve_name(call);
	return *number >= 0;
}

static void allow_all(scmp_filter_ctx filter, const char *const *calls, size_t n)
{
	int number;

	for (size_t i = 0; i < n; i++)
		if (known(calls[i], &number))
			need(seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0), calls[i]);
}

static scmp_filter_ctx make(enum stage stage)
{
	scmp_filter_ctx filter = seccomp_init(REFUSE);
	int number;

	if (filter == NULL)
		need(-ENOMEM, "seccomp_init");
	need(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, REFUSE), "SCMP_FLTATR_ACT_BADARCH");
	need(seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2), "SCMP_FLTATR_CTL_OPTIMIZE");	/* a tree: few steps a call */
	allow_all(filter, always, COUNT(always));
	if (stage >= CONNECTING)
		allow_all(filter, connecting, COUNT(connecting));
	if (stage >= SERVING)
		allow_all(filter, serving, COUNT(serving));
	if (stage >= FORKING)
		allow_all(filter, forking, COUNT(forking));
	for (size_t i = 0; i < COUNT(limits); i++)
		if (stage >= limits[i].from && known(limits[i].call, &number))
			need(seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, number, limits[i].n, limits[i].args),
			     limits[i].call);
	return filter;
}

/* As an array of C. Exactly one place must be left for the process id. */
static void print(enum stage stage, const char *name)
{
	scmp_filter_ctx filter = make(stage);
	FILE *program = tmpfile();
	struct sock_filter step;
	unsigned self = 0;

	if (program == NULL)
		need(-errno, "tmpfile");
	need(seccomp_export_bpf(filter, fileno(program)), "seccomp_export_bpf");
	rewind(program);
	printf("\nstatic const struct sock_filter %s[] = {\n", name);
	while (fread(&step, sizeof(step), 1, program) == 1) {
		self += step.k == SELF;
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", (unsigned)step.code, (unsigned)step.jt, (unsigned)step.jf,
		       (unsigned)step.k);
	}
	printf("};\n");
	if (self != 1)
		need(-EPROTO, "the place of the process id");
	(void)fclose(program);
	seccomp_release(filter);
}

int main(void)
{
	printf("/* Made by core/runtime/make-sandbox.c. */\n#ifndef SOTTO_SANDBOX_FILTERS_H\n#define SOTTO_SANDBOX_FILTERS_H\n\n"
	       "#include <linux/filter.h>\n\n#define SANDBOX_SELF 0x%08xu	/* to be exchanged for the process id */\n", SELF);
	print(FORKING, "sandbox_forking");
	print(SERVING, "sandbox_serving");
	print(CONNECTING, "sandbox_connecting");
	print(SETTLED, "sandbox_settled");
	printf("\n#endif\n");
	return ferror(stdout) != 0 || fflush(stdout) != 0;
}
