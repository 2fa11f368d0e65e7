/* SPDX-License-Identifier: ISC */
/*
 * What table-sotto promises smtpd, which is this test, in both protocols: which domains take the hop and where to, from the files alone; that each
 * question is answered, also while its child is away; and that it ends with its input and not before.
 */
#include "tests/unit/postfix-lab.h"

#include <dirent.h>
#include <limits.h>
#include <sys/file.h>

#include "core/runtime/hop.h"
#include "plugins/opensmtpd/route.h"
#include "plugins/opensmtpd/table-talk.h"

static char self[PATH_MAX], judge[512];

struct stage {
	struct started s;
	int smtpd, lock;
	char paths[1024];
	char url[64];		/* of offers.example */
};

static void put_route(const char *domain, int64_t until, const char *host)
{
	struct sotto_route r = { .until = until };

	(void)snprintf(r.domain, sizeof(r.domain), "%s", domain);
	(void)snprintf(r.host, sizeof(r.host), "%s", host);
	r.hop = sotto_hop_address(domain);
	assert_int_equal(sotto_route_save(lab_dir, &r), 0);
}

/* As the worker has it. */
static int serve_hop(void)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/" SOTTO_WORKER_LOCK, lab_dir);
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	return fd;
}

static void write_conf(const char *text)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/sotto.conf", lab_dir);
	lab_write(path, text, 0644);
}

static void begin(struct stage *t)
{
	const char *const words[] = { t->paths, NULL };
	struct in_addr hop = sotto_hop_address("offers.example");
	char address[INET_ADDRSTRLEN];
	int pair[2];

	write_conf("[sotto]\n");
	put_route("offers.example", (int64_t)time(NULL) + 1000, "mx.offers.example");
	put_route("over.example", (int64_t)time(NULL) - 1, "mx.over.example");
	put_route("required.example", 0, "mx.required.example");
	put_route("by-host.example", 0, "mx.required-host.example");
	put_route("excluded.example", (int64_t)time(NULL) + 1000, "mx.excluded.example");
	put_route("future.example", (int64_t)time(NULL) + 1000000, "mx.future.example");
	lab_write(lab_require, "required.example\nunseen.example\nmx.required-host.example\n", 0644);
	(void)snprintf(t->paths, sizeof(t->paths), "%s/exclude", lab_dir);
	lab_write(t->paths, "excluded.example\n", 0644);
	(void)snprintf(t->paths, sizeof(t->paths), "%s:%s/sotto.conf:%s:%s", lab_dir, lab_dir, lab_dir, judge);
	(void)inet_ntop(AF_INET, &hop, address, sizeof(address));
	(void)snprintf(t->url, sizeof(t->url), "smtp://%s:10027", address);
	t->lock = serve_hop();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	lab_start(&t->s, pair[1], words);
	close(pair[1]);
	t->smtpd = pair[0];
}

static void end(struct stage *t)
{
	close(t->smtpd);
	if (t->lock >= 0)
		close(t->lock);
	assert_int_equal(lab_ended(&t->s), 0);
}

/* ---- lines ---- */

static void begin_text(struct stage *t)
{
	begin(t);
	lab_put(t->smtpd, "config|smtpd-version|7.6.0\nconfig|protocol|0.1\nconfig|tablename|sotto\nconfig|ready\n");
	lab_expect(t->smtpd, "register|domain\nregister|relayhost\nregister|ready\n");
}

static void ask_text(const struct stage *t, const char *question, const char *answer)
{
	char line[512];

	(void)snprintf(line, sizeof(line), "table|0.1|1713795097.394049|sotto|%s\n", question);
	lab_put(t->smtpd, line);
	(void)snprintf(line, sizeof(line), "%s\n", answer);
	lab_expect(t->smtpd, line);
}

static void relays_to(const struct stage *t, const char *domain, const char *url)
{
	char question[300], answer[300];

	(void)snprintf(question, sizeof(question), "lookup|relayhost|0c4a9b11|%s", domain);
	(void)snprintf(answer, sizeof(answer), "lookup-result|0c4a9b11|found|%s", url);
	ask_text(t, question, answer);
}

static void test_match(void **state)
{
	static const struct {
		const char *domain, *answer;
	} all[] = {
		{ "offers.example", "found" }, { "OFFERS.example", "found" }, { "offers.example.", "found" }, { "other.example", "not-found" },
		{ "over.example", "not-found" }, { "future.example", "not-found" }, { "excluded.example", "not-found" }, { "required.example", "found" },
		{ "unseen.example", "found" }, { "by-host.example", "found" }, { "../offers.example", "not-found" }, { "[192.0.2.1]", "not-found" }, { "a|b", "not-found" }, { ".", "not-found" },
	};
	struct stage t;
	char question[300], answer[300];

	(void)state;
	begin_text(&t);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		(void)snprintf(question, sizeof(question), "check|domain|00ff00ff|%s", all[i].domain);
		(void)snprintf(answer, sizeof(answer), "check-result|00ff00ff|%s", all[i].answer);
		ask_text(&t, question, answer);
	}
	ask_text(&t, "lookup|domain|1|offers.example", "lookup-result|1|found|offers.example");
	ask_text(&t, "update|abcd", "update-result|abcd|ok");
	ask_text(&t, "fetch|domain|5", "fetch-result|5|not-found");
	ask_text(&t, "check|alias|6|offers.example", "check-result|6|not-found");
	end(&t);
}

/* One that has claimed this address. */
static void put_route_at(const char *domain, struct in_addr hop)
{
	struct sotto_route r = { .hop = hop };

	(void)snprintf(r.domain, sizeof(r.domain), "%s", domain);
	assert_int_equal(sotto_route_save(lab_dir, &r), 0);
}

static const char *hop_of(char url[64], const char *domain)
{
	struct in_addr hop = sotto_hop_address(domain);
	char address[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &hop, address, sizeof(address));
	(void)snprintf(url, 64, "smtp://%s:10027", address);
	return url;
}

static void test_relay(void **state)
{
	struct stage t;
	char url[64];
	struct in_addr hop = sotto_hop_address("required.example");

	(void)state;
	begin_text(&t);
	relays_to(&t, "offers.example", t.url);
	(void)snprintf(url, sizeof(url), "smtp://%s:10027", inet_ntoa(hop));
	relays_to(&t, "required.example", url);
	/* what is required and has no address yet waits */
	relays_to(&t, "unseen.example", hop_of(url, "unseen.example"));
	/* but not where its address is another one's */
	put_route_at("other.example", sotto_hop_address("unseen.example"));
	relays_to(&t, "unseen.example", "smtp://127.127.255.255:10027");
	end(&t);
}

/* Nobody serves the hop: new mail goes natively, what took it goes to the mail server by its name, and what is required waits. */
static void test_without_worker(void **state)
{
	struct stage t;

	(void)state;
	begin_text(&t);
	close(t.lock);
	t.lock = -1;
	ask_text(&t, "check|domain|1|offers.example", "check-result|1|not-found");
	ask_text(&t, "check|domain|1|required.example", "check-result|1|found");
	relays_to(&t, "offers.example", "smtp://mx.offers.example");
	t.lock = serve_hop();
	ask_text(&t, "check|domain|1|offers.example", "check-result|1|found");
	relays_to(&t, "offers.example", t.url);
	end(&t);
}

static void test_modes(void **state)
{
	struct stage t;

	(void)state;
	begin_text(&t);
	write_conf("[sotto]\nmode = observe\n");
	ask_text(&t, "check|domain|1|offers.example", "check-result|1|not-found");
	ask_text(&t, "check|domain|1|required.example", "check-result|1|found");
	write_conf("[sotto]\nmode = off\n");
	ask_text(&t, "check|domain|1|offers.example", "check-result|1|not-found");
	ask_text(&t, "check|domain|1|required.example", "check-result|1|not-found");
	write_conf("[sotto]\nmode = nonsense\n");
	ask_text(&t, "check|domain|1|offers.example", "check-result|1|not-found");
	ask_text(&t, "check|domain|1|required.example", "check-result|1|found");
	end(&t);
}

/* ---- its child ---- */

static pid_t child_of(pid_t parent)
{
	char path[64];
	FILE *f;
	int pid = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	f = fopen(path, "re");
	assert_non_null(f);
	if (fscanf(f, "%d", &pid) != 1)		/* NOLINT(cert-err34-c) */
		pid = 0;
	(void)fclose(f);
	return pid;
}

static void test_child_killed(void **state)
{
	struct stage t;
	int64_t until = lab_now() + PATIENCE;
	char answer[64] = "";
	pid_t first;

	(void)state;
	begin_text(&t);
	relays_to(&t, "offers.example", t.url);
	first = child_of(t.s.pid);
	assert_true(first > 0);
	assert_int_equal(kill(first, SIGKILL), 0);
	ask_text(&t, "check|domain|1|required.example", "check-result|1|found");
	relays_to(&t, "over.example", "smtp://mx.over.example");
	/* it is back */
	while (strncmp(answer, "check-result|1|found", 20) != 0 && lab_now() < until) {
		lab_put(t.smtpd, "table|0.1|1.0|sotto|check|domain|1|offers.example\n");
		lab_get(t.smtpd, answer, strlen("check-result|1|"));
		lab_get(t.smtpd, answer + strlen("check-result|1|"), 1);
		while (strchr(answer, '\n') == NULL)
			lab_get(t.smtpd, answer + strlen(answer), 1);
		if (answer[15] == 'n')
			memset(answer, 0, sizeof(answer));
	}
	assert_string_equal(answer, "check-result|1|found\n");
	assert_int_not_equal(child_of(t.s.pid), first);
	end(&t);
}

/* One that hangs is not waited for. */
static void test_child_stopped(void **state)
{
	struct stage t;

	(void)state;
	begin_text(&t);
	relays_to(&t, "offers.example", t.url);
	assert_int_equal(kill(child_of(t.s.pid), SIGSTOP), 0);
	ask_text(&t, "check|domain|1|offers.example", "check-result|1|not-found");
	relays_to(&t, "offers.example", "smtp://mx.offers.example");
	end(&t);
}

/* Nor can the route be had, which alone says that the mail server is required: what was so when it was last asked for does not go natively. */
static void test_required_by_host_without_its_route(void **state)
{
	struct stage t;
	char route[128];

	(void)state;
	(void)snprintf(route, sizeof(route), "%s/table/by-host.example", lab_dir);
	for (unsigned still = 0; still < 2; still++) {
		begin_text(&t);
		ask_text(&t, "check|domain|1|by-host.example", "check-result|1|found");
		if (!still) {
			lab_write(lab_require, "other-host.example\n", 0644);
			ask_text(&t, "check|domain|1|by-host.example", "check-result|1|not-found");
		}
		assert_int_equal(kill(child_of(t.s.pid), SIGSTOP), 0);
		assert_int_equal(unlink(route), 0);
		ask_text(&t, "check|domain|1|By-Host.example.", still ? "check-result|1|found" : "check-result|1|not-found");
		ask_text(&t, "check|domain|1|other.example", "check-result|1|not-found");
		relays_to(&t, "by-host.example", "smtp://127.127.255.255:10027");
		end(&t);
	}
}

/* There is none, or it cannot be started: a library is missing, say. The files that need none still count. */
static void test_no_child(void **state)
{
	static const char *const programs[] = { "/nonexistent", "/dev/null", "/bin/false" };
	char good[sizeof(judge)];

	(void)state;
	memcpy(good, judge, sizeof(good));
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		struct stage t;

		(void)snprintf(judge, sizeof(judge), "%s", programs[i]);
		begin_text(&t);
		ask_text(&t, "check|domain|1|offers.example", "check-result|1|not-found");
		ask_text(&t, "check|domain|1|required.example", "check-result|1|found");
		relays_to(&t, "offers.example", "smtp://mx.offers.example");
		relays_to(&t, "required.example", "smtp://127.127.255.255:10027");
		/* required by the mail server's name, which the route has */
		ask_text(&t, "check|domain|1|by-host.example", "check-result|1|found");
		relays_to(&t, "by-host.example", "smtp://127.127.255.255:10027");
		end(&t);
	}
	memcpy(judge, good, sizeof(judge));
}

static const char *const odd[] = {
	"", "table", "table|", "table|0.1", "table|0.1|1.0|sotto|dance|domain|1|x", "table|0.1|1.0|sotto", "table|0.1|1.0|sotto|", "config|ready|",
	"config|later|news", "t", "zzz|||", "table|9.9|||||", "check-result|1|found",
};

static void test_odd_lines(void **state)
{
	struct stage t;
	char line[9000];

	(void)state;
	begin_text(&t);
	for (size_t i = 1; i < sizeof(odd) / sizeof(*odd); i++) {
		lab_put(t.smtpd, odd[i]);
		lab_put(t.smtpd, "\n");
		relays_to(&t, "offers.example", t.url);
	}
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	memcpy(line, "table|0.1|1.0|sotto|check|domain|77|", 36);
	lab_put(t.smtpd, line);
	lab_put(t.smtpd, "\n");
	lab_expect(t.smtpd, "check-result|77|not-found\n");
	end(&t);
}

/* ---- frames ---- */

struct frame {
	uint32_t type;
	uint16_t len, flags;
	uint32_t peer, pid;
};

static void put_frame(const struct stage *t, uint32_t type, const void *data, size_t n)
{
	struct frame f = { .type = type, .len = (uint16_t)(sizeof(f) + n) };

	lab_put_octets(t->smtpd, (const char *)&f, sizeof(f));
	if (n > 0)
		lab_put_octets(t->smtpd, data, n);
}

static size_t get_frame(const struct stage *t, char *data)
{
	struct frame f;

	lab_get(t->smtpd, (char *)&f, sizeof(f));
	assert_int_equal(f.type, 0);
	assert_true(f.len >= sizeof(f));
	lab_get(t->smtpd, data, f.len - sizeof(f));
	return f.len - sizeof(f);
}

/* type 5: check, 6: lookup; service 2: domain, 0x200: relayhost. value NULL: not found; "": found, and no more is said. */
static void ask_frame(const struct stage *t, uint32_t type, uint32_t service, const char *key, const char *value)
{
	char data[600] = "";
	size_t none = 0, n = 4 + sizeof(none) + strlen(key) + 1;
	int32_t found;

	memcpy(data, &service, 4);
	memcpy(data + 4, &none, sizeof(none));
	memcpy(data + 4 + sizeof(none), key, strlen(key) + 1);
	put_frame(t, type, data, n);
	n = get_frame(t, data);
	memcpy(&found, data, 4);
	assert_int_equal(found, value != NULL);
	if (value == NULL || value[0] == '\0')
		assert_int_equal(n, 4);
	else
		assert_string_equal(data + 4, value);
}

static void test_frames(void **state)
{
	struct stage t;
	char data[2048] = "";
	int32_t r;

	(void)state;
	begin(&t);
	put_frame(&t, 2, data, 2048 - 100);
	assert_int_equal(get_frame(&t, data), 0);
	put_frame(&t, 4, NULL, 0);
	assert_int_equal(get_frame(&t, data), 4);
	memcpy(&r, data, 4);
	assert_int_equal(r, 1);
	ask_frame(&t, 5, 2, "offers.example", "");
	ask_frame(&t, 6, 2, "offers.example", "offers.example");
	ask_frame(&t, 6, 0x200, "offers.example", t.url);
	ask_frame(&t, 5, 2, "other.example", NULL);
	ask_frame(&t, 6, 0x200, "no domain", NULL);
	ask_frame(&t, 5, 1, "offers.example", NULL);
	put_frame(&t, 7, "\2\0\0\0\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(get_frame(&t, data), 4);
	put_frame(&t, 5, "xx", 2);		/* too short */
	assert_int_equal(get_frame(&t, data), 4);
	put_frame(&t, 99, NULL, 0);		/* nothing that we know */
	assert_int_equal(get_frame(&t, data), 4);
	ask_frame(&t, 5, 2, "offers.example", "");
	put_frame(&t, 3, NULL, 0);
	lab_expect_end(t.smtpd);
	end(&t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_match, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_relay, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_without_worker, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_modes, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_child_killed, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_child_stopped, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_required_by_host_without_its_route, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_no_child, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_odd_lines, lab_set_up, lab_tear_down),
		cmocka_unit_test_setup_teardown(test_frames, lab_set_up, lab_tear_down),
	};

	(void)argc;
	(void)signal(SIGPIPE, SIG_IGN);
	if (realpath(argv[0], self) == NULL)
		return 1;
	lab_find(self, "sotto-table");
	(void)snprintf(judge, sizeof(judge), "%s", lab_program);
	lab_find(self, "table-sotto");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
