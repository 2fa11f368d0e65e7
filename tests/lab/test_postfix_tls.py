# SPDX-License-Identifier: ISC
"""
The TLS that the administrator demands of a peer stays in force: for each policy of Postfix's, what happened without Sotto is what happens with it, or the session is
sealed, and that only where the policy would have been content without TLS. None is weakened.
"""

import contextlib

import pytest

from .administrator import administered, await_hop, deliver, results
from .certificates import AUTHORITY, USED, certified
from .message import Message
from .promise import Letter, Mailbox
from .test_exim import letter

pytestmark = [pytest.mark.usefixtures("needs_sotto"), pytest.mark.in_turn("two", "pair", "postfix")]
NOBODYS = ":".join(["00"] * 32)
# what smtp_tls_policy_maps says of a domain; {host} is its mail server, {print} the fingerprint of the certificate that a good one has
LEVELS = {"unlisted": "", "none": "none", "may": "may", "may-with-an-attribute": "may protocols=TLSv1.2", "encrypt": "encrypt", "encrypt-with-an-attribute": "encrypt ciphers=high",
          "dane": "dane", "dane-tlsa": "dane", "dane-only": "dane-only", "verify": "verify", "verify-match": "verify match={host}", "secure": "secure",
          "secure-match": "secure match={host}", "fingerprint": "fingerprint match={print}", "fingerprint-other": f"fingerprint match={NOBODYS}"}
CONTENT_WITHOUT_TLS = ("unlisted", "none", "may")       # of the levels above; with the default being `may`
CLIENT = {"smtp_tls_security_level": "may", "smtp_tls_loglevel": "1", "smtp_tls_CAfile": AUTHORITY, "smtp_tls_fingerprint_digest": "sha256",
          "smtp_dns_support_level": "dnssec", "smtp_tls_session_cache_database": ""}


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def pair(postfixes, request):
    return tuple(postfixes[letter] for letter in request.param)


@pytest.fixture(scope="module")
def domains(lab, postfixes):
    """{target: {level: a domain of its own}}; one of the levels has a mail server with a TLSA record, which nobody has signed."""
    records, found = [], {}
    for target in (postfixes["f"], postfixes["g"]):
        found[target] = {level: f"{level}.tls.{target.domain}" for level in LEVELS}
        records += [f"{domain}. MX 10 {'tlsa' if level == 'dane-tlsa' else 'mx'}.{target.domain}." for level, domain in found[target].items()]
        records += [f"tlsa.{target.domain}. A {target.host.v4}", f"_25._tcp.tlsa.{target.domain}. TLSA 3 1 1 {'ab' * 32}"]
    lab.dns.add(*records)
    return found


@contextlib.contextmanager
def receiving(lab, target, how, domains):
    """The target takes mail for all the domains, and has a good certificate, one for another name, or no STARTTLS. Gives the good one's fingerprint."""
    good = certified(lab, target)
    if how == "another-name":
        certified(lab, target, "somebody.else.example")
    level = "none" if how == "no-starttls" else "may"
    mine = ", ".join([target.settings["mydestination"], *domains[target].values()])
    with target.configured(**USED, smtpd_tls_security_level=level, mydestination=mine):
        yield good


def compare(watch, before, now, content, messages):
    """None is weakened: as before, or sealed where that is allowed. Which were sealed."""
    sealed = [to for to, one in now.items() if one[1].startswith("127.")]
    assert {to: one for to, one in now.items() if to not in sealed} == {to: one for to, one in before.items() if to not in sealed}
    assert set(sealed) <= set(content), "a TLS policy was set aside"
    for message in messages:
        if message.recipients[0] in sealed:
            assert now[message.recipients[0]][3] == "sent"
            assert not watch.wire.find(message.subject, message.message_id)
    return set(sealed)


def entries(target, fingerprint, domains):
    texts = {domains[target][level]: text.format(host=target.name, print=fingerprint) for level, text in LEVELS.items() if text}
    return "inline:{ " + ", ".join(f"{{ {domain} = {text} }}" for domain, text in texts.items()) + " }"


# before. None: that differs between versions, where nothing was sent. "": no TLS at all
EXPECTED = {
    "good": {"unlisted": ("Trusted", "sent"), "none": ("", "sent"), "may": ("Trusted", "sent"), "encrypt": ("Trusted", "sent"), "verify": ("Verified", "sent"),
             "verify-match": ("Verified", "sent"), "secure": (None, "deferred"), "secure-match": ("Verified", "sent"), "fingerprint": ("Verified", "sent"),
             "fingerprint-other": (None, "deferred")},
    "another-name": {"may": ("Trusted", "sent"), "encrypt": ("Trusted", "sent"), "verify": (None, "deferred"), "secure-match": (None, "deferred"),
                     "fingerprint": (None, "deferred")},
    "no-starttls": {"none": ("", "sent"), "may": ("", "sent"), "encrypt": ("", "deferred"), "verify": ("", "deferred"), "secure-match": ("", "deferred"),
                    "fingerprint": ("", "deferred")},
}


@pytest.mark.parametrize("how", EXPECTED)
def test_policy_maps(lab, watch, pair, domains, how):
    """smtp_tls_policy_maps, each level, with a peer that meets it, one with another certificate, and one without STARTTLS."""
    origin, target = pair
    with receiving(lab, target, how, domains) as good:
        settings = dict(CLIENT, smtp_tls_policy_maps=entries(target, good, domains))
        letters = [[Message(f"anna@{origin.domain}", f"bert@{domain}") for domain in domains[target].values()] for _ in range(2)]
        certified(lab, origin)
        with administered(origin, settings, sotto=False):
            before = deliver(origin, letters[0])
        for level, (tls, status) in EXPECTED[how].items():
            one = before[f"bert@{domains[target][level]}"]
            assert tls in (None, one[0]) and one[3] == status, f"{level}: {one}"
        with administered(origin, settings):
            await_hop(origin, domains[target]["unlisted"])
            now = deliver(origin, letters[1])
    sealed = compare(watch, before, now, [f"bert@{domains[target][level]}" for level in CONTENT_WITHOUT_TLS], letters[1])
    assert sealed >= {f"bert@{domains[target][level]}" for level in ("unlisted", "may")}, "nothing was sealed, and so nothing was tried"


# the level for all peers: in main.cf, or in the line of the client in master.cf; and whether a session may be sealed
DEFAULTS = {"none": ({"smtp_tls_security_level": "none"}, True), "unset": ({"smtp_tls_security_level": ""}, True), "may": ({}, True),
            "encrypt": ({"smtp_tls_security_level": "encrypt"}, False), "enforced-of-old": ({"smtp_tls_security_level": "", "smtp_enforce_tls": "yes"}, False),
            "dane": ({"smtp_tls_security_level": "dane"}, True), "dane-only": ({"smtp_tls_security_level": "dane-only"}, False),
            "verify": ({"smtp_tls_security_level": "verify"}, False), "secure": ({"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "hostname"}, False),
            "fingerprint": ({"smtp_tls_security_level": "fingerprint", "smtp_tls_fingerprint_cert_match": "{print}"}, False), "in-master": ({}, False)}


@pytest.mark.parametrize("level", DEFAULTS)
def test_level_for_all(lab, watch, pair, domains, level):
    """smtp_tls_security_level, for all peers, with one that meets it."""
    origin, target = pair
    settings, may_seal = DEFAULTS[level]
    master = {"smtp/unix": "smtp unix - - y - - smtp -o smtp_tls_security_level=encrypt"} if level == "in-master" else {}
    with receiving(lab, target, "good", domains) as good:
        settings = {**CLIENT, **{key: value.format(print=good) for key, value in settings.items()}}
        certified(lab, origin)
        asked = ["unlisted", "dane-tlsa"] if level == "dane" else ["unlisted"]
        letters = [[Message(f"anna@{origin.domain}", f"bert@{domains[target][one]}") for one in asked] for _ in range(2)]
        with administered(origin, settings, master, sotto=False):
            before = deliver(origin, letters[0])
        with administered(origin, settings, master):
            if may_seal:
                await_hop(origin, domains[target]["unlisted"])
            now = deliver(origin, letters[1])
    content = {f"bert@{domains[target]['unlisted']}"} if may_seal else set()
    assert compare(watch, before, now, content, letters[1]) == content


TABLE = "/etc/postfix/tls_policy"


def policies(server, text):
    """As the administrator edits a table: nothing is reloaded, Postfix notices."""
    server.host.write(TABLE, text)
    server.host.run(["postmap", f"hash:{TABLE}"])


def test_policy_changed_between_two(lab, watch, pair, domains):
    """A policy that is written between two letters holds for the second: though Postfix believes for half a minute yet that the hop is the way to go."""
    origin, target = pair
    policies(origin, "")
    certified(lab, origin)
    with receiving(lab, target, "good", domains), administered(origin, dict(CLIENT, smtp_tls_policy_maps=f"hash:{TABLE}")):
        await_hop(origin, target.domain)
        first = letter(origin, target)
        became = deliver(origin, [first])
        assert became[first.recipients[0]][1].startswith("127.") and not watch.wire.find(*first.secrets)
        policies(origin, f"{target.domain} verify\n")
        second = letter(origin, target)
        became = deliver(origin, [second])
        assert became[second.recipients[0]] == ("Verified", f"{target.name}[{target.host.v4}]:25", "2.0.0", "sent")


@pytest.mark.parametrize("stronger", [True, False])
def test_policy_changed_while_mail_is_queued(lab, watch, pair, domains, stronger):
    """So for one that waits in the queue: what was allowed when it came is not what counts, but what is demanded when it goes; nor is what was demanded then."""
    origin, target = pair
    certified(lab, origin)
    policies(origin, "" if stronger else f"{target.domain} verify\n")
    with receiving(lab, target, "good", domains), administered(origin, dict(CLIENT, smtp_tls_policy_maps=f"hash:{TABLE}")):
        await_hop(origin, "somebody.example")
        sent = Letter(watch, origin, letter(origin, target), Mailbox(target))
        target.stop()
        try:
            sent.send().waits()
        finally:
            target.start()
        policies(origin, f"{target.domain} verify\n" if stronger else "")
        origin.forget()     # the domain, which was down, and Postfix's answers of half a minute
        mark = len(origin.log())
        sent.again().arrives()
        became = results(origin.log()[mark:])[sent.message.recipients[0]]
        assert became[0] == "Verified" if stronger else became[1].startswith("127."), became


def test_a_policy_is_not_weaker_when_the_daemon_is_gone(lab, watch, pair, domains):
    """... nor when sotto-policyd is not there: what is demanded is done natively."""
    origin, target = pair
    certified(lab, origin)
    with receiving(lab, target, "good", domains) as good, administered(origin, dict(CLIENT, smtp_tls_policy_maps=entries(target, good, domains))):
        origin.daemon.stop()
        try:
            message = Message(f"anna@{origin.domain}", f"bert@{domains[target]['verify']}")
            assert deliver(origin, [message])[message.recipients[0]] == ("Verified", f"{target.name}[{target.host.v4}]:25", "2.0.0", "sent")
        finally:
            origin.start_daemon()
    assert not watch.wire.find(message.subject)
