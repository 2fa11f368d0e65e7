/* SPDX-License-Identifier: ISC */
/*
 * Tries another mail server as sotto-session would (probe.h): the same lookup, connection, session and loop, with a client of a few lines
 * in the place of our mail server. Called by `sotto probe` and `sotto enable`.
 */
#include "core/cli/probe.h"

#include <errno.h>
#include <event2/event.h>
#include <libgen.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/cli/show.h"
#include "core/protocol/smtp.h"
#include "core/runtime/addr.h"
#include "core/runtime/conf.h"
#include "core/runtime/deadline.h"
#include "core/runtime/dial.h"
#include "core/runtime/plan.h"
#include "core/runtime/relay.h"

#define LOOK_UP_MS 15000
#define DIAL_MS 20000
#define ALL_S 60
#define HOST_MAX 256

enum step { GREETING, EHLO, QUIT, OVER };

struct probe {
	const struct sotto_cli *cli;
	const char *target;
	json_t *found;
	struct event_base *base;
	struct sotto_mx *mx;
	struct sotto_dial *dial;
	struct sotto_relay *relay;
	int client;			/* our end of the pair whose other one stands for our mail server; -1: none */
	struct event *readable;
	enum step step;
	int64_t since;			/* of what is awaited; milliseconds */
	size_t n;
	uint8_t in[SOTTO_SMTP_REPLY_MAX];
};

static void note(struct probe *p, const char *key, json_t *value)
{
	(void)json_object_set_new(p->found, key, value);
}

static void note_time(struct probe *p, const char *key)
{
	note(p, key, json_integer((json_int_t)(sotto_now_ms() - p->since)));
	p->since = sotto_now_ms();
}

static void end(struct probe *p)
{
	(void)event_base_loopbreak(p->base);
}

static void give_up(struct probe *p, const char *why)
{
	note(p, "result", json_string("unreachable"));
	note(p, "cause", sotto_show_clean(why, strlen(why)));
	end(p);
}

/* ---- the client in the place of our mail server ---- */

static void client_close(struct probe *p)
{
	if (p->readable != NULL)
		event_free(p->readable);
	p->readable = NULL;
	if (p->client >= 0)
		close(p->client);
	p->client = -1;
	p->step = OVER;
}

static void say(struct probe *p, const char *line, enum step next)
{
	p->step = next;
	p->since = sotto_now_ms();
	if (send(p->client, line, strlen(line), MSG_NOSIGNAL) < 0)
		client_close(p);
}

/* The name of this host as a mail server would say it. */
static void say_ehlo(struct probe *p)
{
	char line[HOST_MAX + 16], name[HOST_MAX] = "";
	struct addrinfo hints = { .ai_flags = AI_CANONNAME }, *found = NULL;

	if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0')
		(void)snprintf(name, sizeof(name), "localhost");
	if (strchr(name, '.') == NULL && getaddrinfo(name, NULL, &hints, &found) == 0) {
		if (found->ai_canonname != NULL && strlen(found->ai_canonname) < sizeof(name))
			(void)snprintf(name, sizeof(name), "%s", found->ai_canonname);
		freeaddrinfo(found);
	}
	(void)snprintf(line, sizeof(line), "EHLO %s\r\n", name);
	say(p, line, EHLO);
}

/* Whether a line of the reply bears the keyword; its lines are whole, and begin with "250-" or "250 ". */
static bool offers(const uint8_t *p, size_t len, const char *keyword)
{
	size_t n = strlen(keyword), line;

	for (; sotto_smtp_line(p, len, SOTTO_SMTP_REPLY_MAX, &line) == SOTTO_FOUND_WHOLE; p += line, len -= line)
		if (line == 4 + n + 2 && strncasecmp((const char *)p + 4, keyword, n) == 0)
			return true;
	return false;
}

static void take_reply(struct probe *p, const struct sotto_reply *reply)
{
	switch (p->step) {
	case GREETING:
		note(p, "banner", sotto_show_clean((const char *)p->in, reply->first_len - 2));
		note_time(p, "banner_ms");
		if (reply->code == 220)
			say_ehlo(p);
		else
			say(p, "QUIT\r\n", QUIT);
		return;
	case EHLO:
		note_time(p, "ehlo_ms");
		if (reply->code == 250)
			note(p, "starttls", json_boolean(offers(p->in, reply->len, "STARTTLS")));
		else
			note(p, "ehlo_reply", sotto_show_clean((const char *)p->in, reply->first_len - 2));
		say(p, "QUIT\r\n", QUIT);
		return;
	case QUIT:
		note(p, "quit", json_boolean(reply->code == 221));
		client_close(p);
		return;
	case OVER:
		return;
	}
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	struct sotto_reply reply;
	ssize_t got = recv(fd, p->in + p->n, sizeof(p->in) - p->n, 0);

	(void)what;
	if (got <= 0) {
		client_close(p);
		return;
	}
	p->n += (size_t)got;
	while (p->step != OVER && p->n > 0) {
		enum sotto_found found = sotto_smtp_reply(p->in, p->n, &reply);

		if (found == SOTTO_FOUND_PART && p->n < sizeof(p->in))
			return;
		if (found != SOTTO_FOUND_WHOLE) {
			note(p, "odd", json_true());
			client_close(p);
			return;
		}
		take_reply(p, &reply);
		p->n -= reply.len;
		memmove(p->in, p->in + reply.len, p->n);
	}
}

/* ---- the session ---- */

static const char *const identities[] = {
	[SOTTO_IDENTITY_UNSEEN] = "unseen", [SOTTO_IDENTITY_NONE] = "none", [SOTTO_IDENTITY_FIRST] = "first",
	[SOTTO_IDENTITY_KNOWN] = "known", [SOTTO_IDENTITY_CHANGED] = "changed", [SOTTO_IDENTITY_ABSENT] = "absent",
};

static json_t *hex(const uint8_t *octets, size_t n)
{
	char text[2 * 32 + 1] = "";

	for (size_t i = 0; i < n && i < 32; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", octets[i]);
	return json_string(text);
}

static void note_sealed(struct probe *p, const struct sotto_report *r)
{
	bool has_key = r->identity == SOTTO_IDENTITY_FIRST || r->identity == SOTTO_IDENTITY_KNOWN || r->identity == SOTTO_IDENTITY_CHANGED;

	note(p, "version", json_integer((json_int_t)r->version));
	note(p, "id", hex(r->session_id, 8));
	note(p, "exchange_ms", json_integer((json_int_t)r->exchange_ms));
	note(p, "identity", json_string(identities[r->identity]));
	if (has_key)
		note(p, "identity_key", hex(r->identity_key, 32));
}

static void on_done(void *arg, const struct sotto_relay_end *ended)
{
	struct probe *p = arg;
	const struct sotto_report *r = ended->report;
	const char *result = "clear";

	p->relay = NULL;
	note(p, "offered", r->offer_known ? json_boolean(r->offered || r->outcome == SOTTO_OUTCOME_SEALED || r->failed) : json_null());
	if (r->outcome == SOTTO_OUTCOME_SEALED) {
		result = r->lost ? "failed" : "sealed";
		note_sealed(p, r);
	} else if (r->failed || r->refusal != 0) {
		result = "failed";
	} else if (!r->offer_known) {
		result = "unreachable";
	}
	if (strcmp(result, "sealed") != 0)
		note(p, "cause", json_string(sotto_cause_text(r->failed ? r->failure : r->cause)));
	if (r->refusal != 0)
		note(p, "refusal", json_integer((json_int_t)r->refusal));
	note(p, "result", json_string(result));
	end(p);
}

/* As with mail, but that it is always tried: who is avoided or excluded is only told. */
static void configure(struct probe *p, struct sotto_relay_config *c, const struct sotto_dial_result *r)
{
	char dir[PATH_MAX], err[512];
	struct sotto_plan_for f = { .role = SOTTO_CONNECT, .state = p->cli->state, .redial = true,
				    .who = { .domain = p->target, .host = r->host, .addr = (const struct sockaddr *)&r->peer } };
	struct sotto_plan plan;
	struct sotto_conf conf;

	(void)snprintf(dir, sizeof(dir), "%s", p->cli->conf);
	f.conf_dir = dirname(dir);
	if (sotto_conf_read(&conf, p->cli->conf, err, sizeof(err)) != 0)
		sotto_conf_defaults(&conf);
	conf.mode = SOTTO_MODE_OPPORTUNISTIC;
	sotto_plan_make(&plan, &f, &conf, (int64_t)time(NULL), err, sizeof(err));
	note(p, "required", json_boolean(plan.required));
	note(p, "excluded", json_boolean(plan.excluded));
	note(p, "avoided", json_boolean(plan.avoided));
	c->session = plan.session;
	c->session.use = SOTTO_USE_SEAL;
	c->session.clear = SOTTO_CLEAR_PASS;
	c->session.enforce_identity = c->session.hide_starttls = c->session.sealed_before = false;
	c->peer = r->peer;
	c->peer_len = r->peer_len;
	c->done = on_done;
	c->arg = p;
}

static void start(struct probe *p, const struct sotto_dial_result *r)
{
	struct sotto_relay_config c = { .arg = p };
	socklen_t len = sizeof(c.local);
	int pair[2];

	configure(p, &c, r);
	if (getsockname(r->fd, (struct sockaddr *)&c.local, &len) != 0)
		memset(&c.local, 0, sizeof(c.local));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		close(r->fd);
		give_up(p, strerror(errno));
		return;
	}
	p->relay = sotto_relay_start(p->base, r->fd, pair[1], &c, NULL, 0);
	p->client = pair[0];
	p->readable = event_new(p->base, p->client, EV_READ | EV_PERSIST, on_client, p);
	if (p->relay == NULL || p->readable == NULL || event_add(p->readable, NULL) != 0) {
		if (p->relay == NULL) {
			close(r->fd);
			close(pair[1]);
		}
		give_up(p, "no memory");
	}
}

/* ---- looking up and connecting ---- */

static void on_dialled(void *arg, const struct sotto_dial_result *r)
{
	struct probe *p = arg;
	char address[SOTTO_ADDR_TEXT] = "";

	p->dial = NULL;
	if (r->peer_len > 0)
		sotto_addr_write(address, &r->peer);
	note(p, "address", json_string(address));
	note(p, "host", sotto_show_clean(r->host != NULL ? r->host : "", HOST_MAX));
	if (r->fd < 0) {
		give_up(p, sotto_dial_error(r->error));
		return;
	}
	note_time(p, "connect_ms");
	start(p, r);
}

static void on_looked_up(void *arg, const struct sotto_mx_answer *answer)
{
	struct sotto_dial_options options = { .timeout_ms = DIAL_MS };
	struct probe *p = arg;
	json_t *hosts = json_array();

	for (size_t i = 0; i < answer->n; i++) {
		char address[SOTTO_ADDR_TEXT];

		sotto_addr_write(address, &answer->at[i].to);
		(void)json_array_append_new(hosts, json_pack("{s:o, s:I, s:s}", "host", sotto_show_clean(answer->at[i].host, HOST_MAX), "preference",
							     (json_int_t)answer->at[i].preference, "address", address));
	}
	note(p, "hosts", hosts);
	note_time(p, "lookup_ms");
	options.port = p->cli->port;
	if (answer->status != 0) {
		give_up(p, sotto_dial_error(answer->status));
		return;
	}
	p->dial = sotto_dial_mx(p->base, p->mx, p->target, &options, on_dialled, p);
	if (p->dial == NULL)
		give_up(p, "no memory");
}

/* 0, and *to: the target is an address, as a literal or without brackets. */
static int read_address(struct sockaddr_storage *to, const char *target, uint16_t port)
{
	char text[64];
	size_t n = strlen(target);

	if (n > 2 && n < sizeof(text) && target[0] == '[' && target[n - 1] == ']') {
		(void)snprintf(text, sizeof(text), "%.*s", (int)(n - 2), strncasecmp(target + 1, "IPv6:", 5) == 0 ? target + 6 : target + 1);
		if (strncasecmp(target + 1, "IPv6:", 5) == 0)
			text[n - 7] = '\0';
		return sotto_addr_read(to, text, port);
	}
	return sotto_addr_read(to, target, port);
}

static bool begin(struct probe *p)
{
	struct sockaddr_storage to;

	p->base = event_base_new();
	p->since = sotto_now_ms();
	if (p->base == NULL)
		return false;
	if (read_address(&to, p->target, p->cli->port) == 0) {
		p->dial = sotto_dial_address(p->base, (const struct sockaddr *)&to, to.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6),
					     NULL, DIAL_MS, on_dialled, p);
		return p->dial != NULL;
	}
	p->mx = sotto_mx_open(p->base, NULL);
	return p->mx != NULL && sotto_mx_lookup(p->mx, p->target, LOOK_UP_MS, on_looked_up, p) != NULL;
}

static void finish(struct probe *p)
{
	sotto_dial_cancel(p->dial);
	if (p->relay != NULL)
		sotto_relay_stop(p->relay);
	client_close(p);
	sotto_mx_close(p->mx);
	if (p->base != NULL)
		event_base_free(p->base);
}

json_t *sotto_probe(const struct sotto_cli *cli, const char *target)
{
	static struct probe p;
	struct timeval all = { .tv_sec = ALL_S };

	p = (struct probe){ .cli = cli, .target = target, .client = -1 };
	p.found = json_pack("{s:o}", "target", sotto_show_clean(target, HOST_MAX));
	if (begin(&p)) {
		(void)event_base_loopexit(p.base, &all);
		(void)event_base_dispatch(p.base);
	}
	if (p.relay != NULL)
		note(&p, "cause", json_string("it took longer than a minute"));
	finish(&p);
	if (json_object_get(p.found, "result") == NULL)
		note(&p, "result", json_string("unreachable"));
	return p.found;
}
