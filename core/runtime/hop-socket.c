/* SPDX-License-Identifier: ISC */
/*
 * The sockets of the loopback hop (hop.h): listening on all of it at once, and asking the kernel who connected. Called by the
 * daemons. Reads and writes nothing that goes between mail servers.
 */
#include "core/runtime/hop.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 100		/* the kernel answers before send(2) returns: a bound for what cannot happen */
#define ESTABLISHED 1		/* TCP_ESTABLISHED; netinet/tcp.h and linux/tcp.h exclude each other */

bool sotto_hop_is(const struct sockaddr *local)
{
	struct sockaddr_in in;

	if (local->sa_family != AF_INET)
		return false;
	memcpy(&in, local, sizeof(in));
	return (ntohl(in.sin_addr.s_addr) & 0xffc00000u) == 0x7f400000u;
}

/* NULL, or what could not be done. */
static const char *set_up(int fd, uint16_t port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1;

	/* first of all: without it the port would be open to the world */
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")) != 0)
		return "cannot bind to the loopback device";
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return "cannot set SO_REUSEADDR";
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0)
		return "cannot bind to it";
	return listen(fd, SOMAXCONN) != 0 ? "cannot listen" : NULL;
}

int sotto_hop_listen(uint16_t port, char *err, size_t len)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const char *what = fd < 0 ? "no socket" : set_up(fd, port);

	if (what == NULL)
		return fd;
	(void)snprintf(err, len, "loopback port %u: %s: %s%s", (unsigned)port, what, strerror(errno),
		       errno == EADDRINUSE ? " (another program listens there; choose another port)" : "");
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- whose socket it is ---- */

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

/* The other end as the kernel knows it: its own address is our peer's, and its peer is us. */
static int ask(struct question *q, int fd)
{
	struct sockaddr_in us = { 0 }, them = { 0 };
	socklen_t us_len = sizeof(us), them_len = sizeof(them);

	if (getsockname(fd, (struct sockaddr *)&us, &us_len) != 0 || getpeername(fd, (struct sockaddr *)&them, &them_len) != 0)
		return -errno;
	if (us.sin_family != AF_INET || them.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	*q = (struct question){
		.head = { .nlmsg_len = sizeof(*q), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = 1 },
		.body = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U,
			  .id = { .idiag_sport = them.sin_port, .idiag_dport = us.sin_port,
				  .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } },
	};
	q->body.id.idiag_src[0] = them.sin_addr.s_addr;
	q->body.id.idiag_dst[0] = us.sin_addr.s_addr;
	return 0;
}

static bool is_that_socket(const struct inet_diag_msg *m, const struct inet_diag_sockid *id)
{
	return m->idiag_family == AF_INET && m->id.idiag_sport == id->idiag_sport && m->id.idiag_dport == id->idiag_dport &&
	       m->id.idiag_src[0] == id->idiag_src[0] && m->id.idiag_dst[0] == id->idiag_dst[0];
}

/* A socket that no process has any more, or that waits for its end, has no owner, which the kernel writes as 0. */
static int judge(const struct inet_diag_msg *m, const struct inet_diag_sockid *id, uid_t *uid)
{
	if (!is_that_socket(m, id))
		return -ENOENT;
	if (m->idiag_state != ESTABLISHED || m->idiag_inode == 0)
		return -ENOTCONN;
	*uid = m->idiag_uid;
	return 0;
}

static int read_answer(const struct nlmsghdr *head, size_t n, const struct inet_diag_sockid *id, uid_t *uid)
{
	const struct nlmsgerr *error = NLMSG_DATA(head);

	if (!NLMSG_OK(head, n))
		return -EPROTO;
	if (head->nlmsg_type == NLMSG_ERROR)
		return head->nlmsg_len >= NLMSG_LENGTH(sizeof(*error)) && error->error < 0 ? error->error : -EPROTO;
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || head->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
		return -EPROTO;
	return judge(NLMSG_DATA(head), id, uid);
}

static int exchange(int netlink, const struct question *q, uid_t *uid)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	struct pollfd p = { .fd = netlink, .events = POLLIN };
	union {
		struct nlmsghdr head;
		char octets[1024];
	} answer = { .head = { 0 } };
	socklen_t len = sizeof(from);
	ssize_t n;

	if (sendto(netlink, q, sizeof(*q), MSG_DONTWAIT, (const struct sockaddr *)&from, sizeof(from)) != (ssize_t)sizeof(*q))
		return -errno;
	if (poll(&p, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	n = recvfrom(netlink, &answer, sizeof(answer), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n < 0)
		return -errno;
	/* any process of this host may send to a netlink socket; only the kernel is port 0 */
	return len == sizeof(from) && from.nl_pid == 0 ? read_answer(&answer.head, (size_t)n, &q->body.id, uid) : -EPROTO;
}

int sotto_hop_uid(int fd, uid_t *uid)
{
	struct question q = { .head = { 0 } };
	int netlink, rc = ask(&q, fd);

	if (rc != 0)
		return rc;
	netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (netlink < 0)
		return -errno;
	rc = exchange(netlink, &q, uid);
	close(netlink);
	return rc;
}
