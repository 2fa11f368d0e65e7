/* SPDX-License-Identifier: ISC */
/*
 * What Postfix's own configuration says about the loopback hop: may mail for a domain be answered with it, "only where nothing of
 * the administrator's speaks against it"? For sotto-policyd, on its libevent loop.
 *
 * No file of Postfix is parsed here. Postfix's own programs are asked, as children with a clean environment, two seconds each, and a
 * bound on what they may say: `postconf -x`, `postconf -xP` and `postconf -M` once (and again when main.cf or master.cf has changed),
 * `postmap -q -` for the tables, many keys at a time. (The one exception: a /file/name in a list like mydestination, which no
 * program of Postfix shows.) -o options in master.cf count: those of smtp/unix for what the SMTP client does, those of rewrite/unix
 * for what decides where mail goes.
 *
 * Nothing is diverted at all (usable is false, and why says what to do) where
 *     postconf fails or is slow; a table cannot be asked by our user; there are several instances; IPv4 is off;
 *     default_transport is not smtp, relayhost or a sender-dependent map is set, or what address verification has in their place;
 *     smtp/unix in master.cf is not smtp(8); hosts aren't found by DNS alone (smtp_host_lookup, smtp_dns_support_level,
 *     disable_dns_lookups, smtp_dns_reply_filter, use_srv_lookup), or not on port 25 (smtp_tcp_port);
 *     the SMTP client demands TLS of everybody (encrypt and up, dane-only, wrapper mode), or smtp_tls_per_site is used;
 *     passwords depend on the sender; a table stands behind ours in transport_maps (it would have answered for full addresses before).
 * A single domain is left alone (SOTTO_SITE_NATIVE) where
 *     it is local, virtual or a relay domain; transport_maps says something of it, of a .parent, or of `*` that is not just
 *     what would happen anyway (`:`, `smtp:`). What transport_maps says of a full address wins in Postfix by itself: the tables stand
 *     in front of ours;
 *     it is no plain domain: an address literal, a name without a dot, one beyond ASCII.
 * A single connection is not allowed (sotto_site_check) where
 *     smtp_tls_policy_maps says anything of the domain or a .parent that the hop would not do as well: a level above may, `none` where
 *     the default is may, attributes; MTA-STS maps are such maps;
 *     smtp_sasl_password_maps has the domain or one of its MX hosts; smtp_discard_ehlo_keyword_address_maps or
 *     smtp_pix_workaround_maps has an address of one of them. These three make MX lookups necessary, and only then they are made;
 *     anything of that isn't known when time is over.
 *
 * `proxy:TYPE:NAME` is asked as `TYPE:NAME`: proxymap's socket is closed to all users but Postfix's own. Our own elements are known by
 * their socket's name, "sotto-map".
 *
 * What tables said is believed for 5 minutes, or for an hour where the table is a file on this host; until it changes, in both
 * cases, which is noticed within two seconds, and at once in sotto_site_check. Busy domains are asked about again before that time is over.
 *
 * One thread. The process must not wait for children that it did not start (waitpid(-1)).
 */
#ifndef SOTTO_POSTFIX_SITE_H
#define SOTTO_POSTFIX_SITE_H

#include <stdbool.h>
#include <sys/types.h>

struct event_base;
struct sotto_site;
struct sotto_site_question;

struct sotto_site_facts {
	bool usable;	/* false: nothing is diverted */
	char why[256];	/* not usable: a sentence for the log. Otherwise "" */
	char myhostname[256];
	uid_t mail_owner;	/* whose connections the hop takes; (uid_t)-1 as long as it is not known */
	char from4[46], from6[46];	/* the address to connect from; "": the kernel's choice */
	bool ipv4, ipv6;	/* which the SMTP client may use */
	bool dane;	/* the level is dane: TLSA records have to be asked for */
};

/*
 * Begins to read in the background; until that is done it isn't usable. config_dir: NULL for postconf's own. changed(arg) is called
 * from the loop whenever the facts are others than before; it may call anything here but sotto_site_close. NULL: no memory.
 */
struct sotto_site *sotto_site_open(struct event_base *base, const char *config_dir, void (*changed)(void *arg), void *arg);

/* Reads everything again and forgets what tables said. The facts stay what they are until that is done. */
void sotto_site_reload(struct sotto_site *site);

/* Ends children, and all questions without an answer. NULL is nothing. */
void sotto_site_close(struct sotto_site *site);

/* NULL: they are those of the configuration as it is now. Otherwise why they are not yet: "" while it is being read. */
const char *sotto_site_unsettled(const struct sotto_site *site);

/* They stay valid, and the same, until `changed` is called. */
const struct sotto_site_facts *sotto_site_facts(const struct sotto_site *site);

enum sotto_site_answer { SOTTO_SITE_NATIVE, SOTTO_SITE_MAY, SOTTO_SITE_UNKNOWN };

/*
 * From memory only; never waits. UNKNOWN has started the question, which takes about 10 ms: answer NOTFOUND this time. Where no table
 * has to be asked, the first answer is the answer.
 */
enum sotto_site_answer sotto_site_transport(struct sotto_site *site, const char *domain);

/* allowed is false: why says which setting speaks against it, or that time is over. why is valid during the call. */
typedef void sotto_site_done(void *arg, bool allowed, const char *why);

/*
 * done is called exactly once unless cancelled, out of the loop, never from inside this call, at the latest when timeout_ms is
 * over; the question is gone then. NULL: no memory, done is not called.
 */
struct sotto_site_question *sotto_site_check(struct sotto_site *site, const char *domain, unsigned timeout_ms, sotto_site_done *done,
					     void *arg);
void sotto_site_cancel(struct sotto_site_question *question);	/* NULL is nothing */

#endif
