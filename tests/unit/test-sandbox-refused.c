/* SPDX-License-Identifier: ISC */
/*
 * sandbox.h's promises, second half: what an intruder would want fails with EPERM and ends nobody; there is no way back. Each call
 * here is one that would succeed, or fail with another error, for root outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "tests/unit/sandbox-child.h"

/* ---- programs and processes ---- */

static void start_programs(enum way way)
{
	char *const argv[] = { (char []){ "/bin/true" }, NULL };

	enter(way);
	REFUSED(execve(argv[0], argv, argv + 1));
	REFUSED(syscall(SYS_execveat, AT_FDCWD, argv[0], argv, argv + 1, 0));
	REFUSED(fork());
	REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
#ifdef SYS_clone3
	REFUSED(syscall(SYS_clone3, NULL, 0));
#endif
#ifdef SYS_fork
	REFUSED(syscall(SYS_fork));
#endif
	REFUSED(unshare(CLONE_NEWUSER));
}

static void load_code(enum way way)
{
	const size_t page = (size_t)getpagesize();
	int fd = open("/proc/self/exe", O_RDONLY);
	void *p;

	enter(way);
	NEED((p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
	NEED(mprotect(p, page, PROT_READ) == 0);
	REFUSED(mprotect(p, page, PROT_READ | PROT_EXEC));
	REFUSED(mprotect(p, page, PROT_EXEC));
	REFUSED(mprotect(p, page, PROT_READ | PROT_WRITE | PROT_EXEC));
	REFUSED((long)mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
	REFUSED((long)mmap(NULL, page, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	REFUSED(personality(READ_IMPLIES_EXEC));	/* with which every mapping could be run */
#ifdef SYS_memfd_create
	REFUSED(syscall(SYS_memfd_create, "code", 0));
#endif
#ifdef SYS_pkey_mprotect
	REFUSED(syscall(SYS_pkey_mprotect, p, page, PROT_EXEC, -1));
#endif
}

static pid_t parent;

static void reach_others(enum way way)
{
	struct rlimit limit;
	char octet;

	enter(way);
	REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0));
	REFUSED(ptrace(PTRACE_ATTACH, parent, 0, 0));
	REFUSED(kill(parent, 0));
	REFUSED(kill(getpid(), 0));
	REFUSED(syscall(SYS_tgkill, parent, parent, 0));
	REFUSED(syscall(SYS_tkill, parent, 0));
	NEED(syscall(SYS_tgkill, getpid(), gettid(), 0) == 0);
	REFUSED(syscall(SYS_process_vm_readv, parent, NULL, 0UL, NULL, 0UL, 0UL));
	NEED(prlimit(0, RLIMIT_NOFILE, NULL, &limit) == 0);
	REFUSED(prlimit(parent, RLIMIT_NOFILE, NULL, &limit));
	REFUSED(prlimit(0, RLIMIT_CORE, &limit, NULL));
	NEED(read(-1, &octet, 1) == -1 && errno == EBADF);
}

static void programs_are_not_started(void **state)
{
	(void)state;
	in_both_stages(start_programs);
}

static void code_is_not_loaded(void **state)
{
	(void)state;
	in_both_stages(load_code);
}

static void other_processes_are_out_of_reach(void **state)
{
	(void)state;
	parent = getpid();
	in_both_stages(reach_others);
}

/* ---- the system ---- */

static void change_the_system(enum way way)
{
	enter(way);
	REFUSED(setuid(getuid()));
	REFUSED(setgid(getgid()));
	REFUSED(chroot("/"));
	REFUSED(chdir("/"));
	REFUSED(chown("/nowhere", 0, 0));
	REFUSED(symlink("x", "/nowhere/x"));
	REFUSED(mknod("/nowhere/x", S_IFIFO | 0600, 0));
	REFUSED(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL));
	REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	REFUSED(syscall(SYS_userfaultfd, 0));
	REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	REFUSED(syscall(SYS_io_uring_setup, 1, NULL));
	REFUSED(syscall(SYS_init_module, NULL, 0, NULL));
	REFUSED(syscall(0x3fffffff));	/* of no kernel yet */
}

static void ask_for_more(enum way way)
{
	struct ifreq r = { .ifr_name = "lo" };
	struct sock_filter nothing = { 0 };
	struct sock_fprog program = { .len = 1, .filter = &nothing };
	struct sockaddr_in at;
	int l = listener(&at), fds[2], pipe_fds[2], on = 1;

	tcp_pair(fds);
	NEED(pipe(pipe_fds) == 0);
	enter(way);
	REFUSED(ioctl(l, SIOCGIFFLAGS, &r));
	REFUSED(ioctl(0, TIOCSTI, "x"));
	REFUSED(ioctl(pipe_fds[0], 0xffffffffu, NULL));
	REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	REFUSED(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	REFUSED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0));
	REFUSED(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL));
	REFUSED(setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
	REFUSED(setsockopt(fds[0], IPPROTO_TCP, TCP_ULP, "tls", 3));
	REFUSED(setsockopt(fds[0], SOL_SOCKET, SO_BROADCAST, &on, sizeof on));
	REFUSED(listen(l, 4));
	if (way != SERVING)
		REFUSED(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	REFUSED(accept(l, NULL, NULL));
	REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	REFUSED(recvmsg(fds[0], &(struct msghdr){ 0 }, MSG_DONTWAIT));
	REFUSED(sendmsg(fds[0], &(struct msghdr){ 0 }, MSG_DONTWAIT));
}

static void the_system_is_not_changed(void **state)
{
	(void)state;
	in_both_stages(change_the_system);
}

static void there_is_no_more_than_is_needed(void **state)
{
	(void)state;
	in_both_stages(ask_for_more);
}

/* ---- sockets ---- */

static void open_odd_sockets(enum way way)
{
	enter(way);
	REFUSED(socket(AF_PACKET, SOCK_DGRAM, 0));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));
	REFUSED(socket(AF_NETLINK, SOCK_DGRAM, 0));
	REFUSED(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	REFUSED(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
	REFUSED(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	REFUSED(socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
	REFUSED(socket(AF_INET, SOCK_SEQPACKET, 0));
	REFUSED(socket(AF_UNIX, SOCK_SEQPACKET, 0));
	for (int family = 0; family < 64; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
			REFUSED(socket(family, SOCK_STREAM, 0));
}

static void connect_once_settled(enum way way)
{
	struct sockaddr_in at, any = loopback(0);
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/nowhere" };
	int l = listener(&at), tcp = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_DGRAM, 0);

	enter(way);
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP));
	REFUSED(socket(AF_UNIX, SOCK_DGRAM, 0));
	REFUSED(bind(tcp, (struct sockaddr *)&any, sizeof any));
	REFUSED(connect(tcp, (struct sockaddr *)&at, sizeof at));
	REFUSED(connect(local, (struct sockaddr *)&un, sizeof un));
	NEED(poll(&(struct pollfd){ .fd = l, .events = POLLIN }, 1, 0) == 0);
}

static void only_plain_sockets_are_opened(void **state)
{
	(void)state;
	in_both_stages(open_odd_sockets);
}

static void nothing_connects_once_settled(void **state)
{
	(void)state;
	in_child(connect_once_settled, SETTLED);
	in_child(connect_once_settled, BOTH);
}

/* ---- no way back ---- */

static void widen(enum way way)
{
	struct sockaddr_in at = loopback(25);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	enter(way);
	for (unsigned i = 0; i < 2; i++) {
		NEED(sotto_sandbox_enter(SOTTO_SANDBOX_CONNECTING) == -EPERM);
		NEED(sotto_sandbox_enter(SOTTO_SANDBOX_SETTLED) == -EPERM);
	}
	REFUSED(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(connect(fd, (struct sockaddr *)&at, sizeof at));
}

static void settled_stays_settled(void **state)
{
	(void)state;
	in_child(widen, SETTLED);
	in_child(widen, BOTH);
}

static void narrow_by_a_filter_that_allows_all(enum way way)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &allow };

	enter(way);
	NEED(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
	NEED(sotto_sandbox_enter(SOTTO_SANDBOX_CONNECTING) == 0);
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));
	REFUSED(fork());
}

static void another_filter_widens_nothing(void **state)
{
	(void)state;
	in_child(narrow_by_a_filter_that_allows_all, CONNECTING);
}

static void enter_nothing(enum way way)
{
	(void)way;
	NEED(sotto_sandbox_enter((enum sotto_sandbox)7) == -EINVAL);
	NEED(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
}

static void read_status(enum way way)
{
	char status[8192];
	ssize_t n;
	int fd;

	enter(way);
	NEED((fd = open("/proc/self/status", O_RDONLY)) >= 0 && (n = read(fd, status, sizeof status - 1)) > 0);
	status[n] = 0;
	NEED(strstr(status, "NoNewPrivs:\t1\n") != NULL && strstr(status, "Seccomp:\t2\n") != NULL);
}

static void privileges_cannot_be_gained(void **state)
{
	(void)state;
	in_child(enter_nothing, WAYS);
	in_both_stages(read_status);
}

/* ---- by another door ---- */

#ifdef __x86_64__

/* getpid of 32-bit programs. */
static long by_int80(long number)
{
	long result;

	__asm__ volatile ("int $0x80" : "=a" (result) : "a" (number) : "memory", "r8", "r9", "r10", "r11");
	return result;
}

static void probe_int80(enum way way)
{
	(void)way;
	_exit(by_int80(20) == getpid() ? 0 : 1);
}

static void enter_by_int80(enum way way)
{
	enter(way);
	NEED(by_int80(20) == -EPERM);
	NEED(by_int80(2) == -EPERM);
	NEED(by_int80(102) == -EPERM);
	NEED(getpid() > 0);
}

static void call_by_x32(enum way way)
{
	enter(way);
	REFUSED(syscall(0x40000000L + SYS_getpid));
	REFUSED(syscall(0x40000000L + SYS_socket, AF_INET, SOCK_STREAM, 0));
	REFUSED(syscall(0x40000000L + 520, "/bin/true", NULL, NULL));	/* execve */
}

static void other_architectures_are_refused(void **state)
{
	(void)state;
	in_both_stages(call_by_x32);
	if (child_status(probe_int80, WAYS) == 0)
		in_both_stages(enter_by_int80);
	else
		printf("NOT RUN: test-sandbox-refused: this kernel runs no 32-bit programs\n");
}

#else

static void other_architectures_are_refused(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_are_not_started),
		cmocka_unit_test(code_is_not_loaded),
		cmocka_unit_test(other_processes_are_out_of_reach),
		cmocka_unit_test(the_system_is_not_changed),
		cmocka_unit_test(there_is_no_more_than_is_needed),
		cmocka_unit_test(only_plain_sockets_are_opened),
		cmocka_unit_test(nothing_connects_once_settled),
		cmocka_unit_test(settled_stays_settled),
		cmocka_unit_test(another_filter_widens_nothing),
		cmocka_unit_test(privileges_cannot_be_gained),
		cmocka_unit_test(other_architectures_are_refused),
	};

	return can_run("test-sandbox-refused") ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
