# SPDX-License-Identifier: ISC
"""
DANE (RFC 7672) where Postfix's resolver validates: what TLSA records demand is demanded with Sotto as it is without, also where they come of an alias, cannot be had,
or appear when a domain's mail has been sealed already. Sealed is what has none, at the level dane.
"""

import contextlib
import socket

import pytest

from .administrator import administered, await_hop, deliver
from .certificates import AUTHORITY, certified
from .dnssec import FORGED, ZONE, Resolver
from .message import Message
from .test_postfix_tls import compare, receiving

pytestmark = pytest.mark.usefixtures("needs_sotto")
IN_CHECK = r"level\[3\.10-to-3\.7-dane\]|level\[3\.7-to-3\.10-dane-only\]|appear\[3\.7-to"
CLIENT = {"smtp_tls_loglevel": "1", "smtp_tls_CAfile": AUTHORITY, "smtp_dns_support_level": "dnssec", "dnssec_probe": f"ns:{ZONE}", "smtp_tls_session_cache_database": ""}
OTHER = "ab" * 32           # no certificate's
# {domain: its records}; {d} is its name, {v4} and {v6} are its mail server's addresses, {print} of the certificate that has; names without a dot at the end are of the signed zone
DOMAINS = {
    "match": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}", "_25._tcp.mx.{d} TLSA 3 0 1 {print}"],
    "other": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}", f"_25._tcp.mx.{{d}} TLSA 3 0 1 {OTHER}"],
    "none": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}"],
    "forged": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}", f"_25._tcp.mx.{{d}} TLSA 3 0 1 {FORGED}"],
    "silent": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}", "_tcp.mx.{d} NS nobody.{d}", "nobody.{d} A {nobody}"],
    # the names of the host: what it is an alias of, and its own
    "alias": ["{d} MX 10 mx.{d}", "mx.{d} CNAME real.{d}", "real.{d} A {v4}", "_25._tcp.real.{d} TLSA 3 0 1 {print}"],
    "alias-other": ["{d} MX 10 mx.{d}", "mx.{d} CNAME real.{d}", "real.{d} A {v4}", f"_25._tcp.real.{{d}} TLSA 3 0 1 {OTHER}"],
    "alias-of-none": ["{d} MX 10 mx.{d}", "mx.{d} CNAME real.{d}", "real.{d} A {v4}", f"_25._tcp.mx.{{d}} TLSA 3 0 1 {OTHER}"],
    "without-mx": ["{d} CNAME real.{d}", "real.{d} A {v4}", f"_25._tcp.real.{{d}} TLSA 3 0 1 {OTHER}"],
    "records-alias": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}", "_25._tcp.mx.{d} CNAME records.{d}", f"records.{{d}} TLSA 3 0 1 {OTHER}"],
    "second": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}", "{d} MX 20 second.{d}", "second.{d} AAAA {v6}", f"_25._tcp.second.{{d}} TLSA 3 0 1 {OTHER}"],
    "unsigned-mx": ["mx.{d} A {v4}", f"_25._tcp.mx.{{d}} TLSA 3 0 1 {OTHER}"],
    # records that nobody can use demand encryption by whatever certificate
    "unusable": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}", f"_25._tcp.mx.{{d}} TLSA 0 0 1 {OTHER}"],
    "late": ["{d} MX 10 mx.{d}", "mx.{d} A {v4}"],
}
UNSIGNED = ("unsigned", "unsigned-mx")      # domains of the lab's own name server, the second with a host in the signed zone
# what became without Sotto: (how TLS was established, status). None: that differs, where nothing was sent
GONE, WAITS, ANYHOW = ("Verified", "sent"), (None, "deferred"), ("Trusted", "sent")
DANE = {"match": GONE, "other": WAITS, "none": ANYHOW, "forged": WAITS, "silent": WAITS, "alias": GONE, "alias-other": WAITS, "alias-of-none": WAITS, "without-mx": WAITS,
        "records-alias": WAITS, "second": ANYHOW, "unusable": ANYHOW, "unsigned": ANYHOW, "unsigned-mx": WAITS}
DANE_ONLY = {"match": GONE, "other": WAITS, "none": WAITS, "forged": WAITS, "alias": GONE, "unsigned": WAITS}
FEW = {name: DANE[name] for name in ("match", "other", "none", "alias-other")}
STRIPPED = {"match": WAITS, "none": ("", "sent"), "unusable": WAITS, "alias-other": WAITS}
LINE = "smtp unix - - y - - smtp -o smtp_tls_security_level="
# (main.cf, master.cf, the domains and what becomes of them, about which of them the hop is asked, and which of those it seals)
LEVELS = {
    "dane": ({"smtp_tls_security_level": "dane"}, {}, DANE, DANE, ("none", "unsigned")),
    "dane-no-starttls": ({"smtp_tls_security_level": "dane"}, {}, STRIPPED, STRIPPED, ("none",)),
    "dane-in-master": ({"smtp_tls_security_level": "may"}, {"smtp/unix": LINE + "dane"}, FEW, FEW, ("none",)),
    "dane-only": ({"smtp_tls_security_level": "dane-only"}, {}, DANE_ONLY, (), ()),
    "dane-by-policy": ({"smtp_tls_security_level": "may", "smtp_tls_policy_maps": "inline:{ {.<zone> = dane} }"}, {}, {name: DANE[name] for name in DANE if name != "unsigned-mx"},
                       ("unsigned",), ("unsigned",)),
    "dane-only-by-policy": ({"smtp_tls_security_level": "dane", "smtp_tls_policy_maps": "inline:{ {.<zone> = dane-only} }"}, {}, {**DANE_ONLY, "unsigned": ANYHOW},
                            ("unsigned",), ("unsigned",)),
    "may-by-policy": ({"smtp_tls_security_level": "dane", "smtp_tls_policy_maps": "inline:{ {.<zone> = may} }"}, {}, dict.fromkeys(FEW, ANYHOW), FEW, ("none",)),
}


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def pair(postfixes, request):
    return tuple(postfixes[letter] for letter in request.param)


@pytest.fixture(scope="module")
def resolver(lab, postfixes):
    """It has nothing to say yet."""
    with postfixes["f"].host.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((postfixes["f"].host.v4, 53))      # a name server that takes questions, and that is all
        made = Resolver(lab)
        made.silent = postfixes["f"].host.v4
        yield made


@pytest.fixture(scope="module")
def domains(lab, postfixes, resolver):
    """{target: {name: domain}}"""
    found, records = {}, []
    for letter in "fg":
        target, zone = postfixes[letter], f"{letter}.{ZONE}"
        found[target] = {name: f"{name}.{zone}" for name in DOMAINS if name not in UNSIGNED}
        found[target].update({name: f"{name}.{target.domain}" for name in UNSIGNED})
        lab.dns.add(f"unsigned.{target.domain}. MX 10 {target.name}.", f"unsigned-mx.{target.domain}. MX 10 mx.unsigned-mx.{zone}.")
        fingerprint = certified(lab, target).replace(":", "")
        for name, lines in DOMAINS.items():
            records += [line.format(d=f"{name}.{letter}", v4=target.host.v4, v6=target.host.v6, nobody=resolver.silent, print=fingerprint) for line in lines]
    resolver.set(records)
    return found


@contextlib.contextmanager
def sending(lab, origin, resolver):
    certified(lab, origin)
    with resolver.used_by(origin):
        yield


def told(origin, mark, domain):
    """Why sotto-session did not connect for the domain."""
    origin.await_sotto(rf'connect .*cause="[^"]*TLSA records[^"]*" domain={domain}$', mark)


@pytest.mark.parametrize("level", LEVELS)
def test_level(lab, watch, pair, resolver, domains, level):
    """Each level, each way in which a domain may have TLSA records or none: first without Sotto, then with it, the hop being asked about each domain that it may serve."""
    origin, target = pair
    main, master, expected, asked, sealed = LEVELS[level]
    mine = domains[target]
    settings = {**CLIENT, **{key: value.replace("<zone>", mine["match"].partition(".")[2]) for key, value in main.items()}}
    letters = [[Message(f"anna@{origin.domain}", f"bert@{mine[name]}") for name in expected] for _ in range(2)]
    with receiving(lab, target, "no-starttls" if level == "dane-no-starttls" else "good", domains), sending(lab, origin, resolver):
        with administered(origin, settings, master, sotto=False):
            before = deliver(origin, letters[0])
        for name, (tls, status) in expected.items():
            one = before[f"bert@{mine[name]}"]
            assert tls in (None, one[0]) and one[3] == status, f"{name}: {one}"
        with administered(origin, settings, master):
            mark = len(origin.sotto_log())
            for name in asked:
                await_hop(origin, mine[name])
            now = deliver(origin, letters[1])
            for name in set(asked) - set(sealed):
                told(origin, mark, mine[name])
    content = {f"bert@{mine[name]}" for name in sealed}
    assert compare(watch, before, now, content, letters[1]) == content


def test_records_that_appear(lab, watch, pair, resolver, domains):
    """TLSA records of a domain whose mail has been sealed hold for the next letter: it waits while they do not match, and goes natively when they do."""
    origin, target = pair
    domain, records = domains[target]["late"], list(resolver.records)
    owner = f"_25._tcp.mx.{domain.removesuffix('.' + ZONE)}"
    with receiving(lab, target, "good", domains) as good, sending(lab, origin, resolver), administered(origin, {**CLIENT, "smtp_tls_security_level": "dane"}):
        try:
            messages = [Message(f"anna@{origin.domain}", f"bert@{domain}") for _ in range(3)]
            await_hop(origin, domain)
            became = [deliver(origin, messages[:1])]
            resolver.set([*records, f"{owner} TLSA 3 0 1 {OTHER}"])
            await_hop(origin, domain)
            became.append(deliver(origin, messages[1:2]))
            resolver.set([*records, f"{owner} TLSA 3 0 1 {good.replace(':', '')}"])
            origin.reload()     # Postfix keeps the records as long as they say themselves
            became.append(deliver(origin, messages[2:]))
        finally:
            resolver.set(records)
    became, at = [one[f"bert@{domain}"] for one in became], f"mx.{domain}[{target.host.v4}]:25"
    assert became[0][1].startswith("127.") and became[0][3] == "sent"
    assert became[1][1] == at and became[1][3] == "deferred"
    assert became[2] == ("Verified", at, "2.0.0", "sent")
    assert not watch.wire.find(*(message.subject for message in messages))


def test_required(lab, watch, pair, resolver, domains):
    """Mail to a domain in require that has TLSA records, at the level dane, waits, and the log says why: it can't be had sealed, and not past what the records demand."""
    origin, target = pair
    domain = domains[target]["match"]
    with receiving(lab, target, "good", domains), sending(lab, origin, resolver), administered(origin, {**CLIENT, "smtp_tls_security_level": "dane"}):
        with origin.sotto_conf(require=[domain]):
            message, mark = Message(f"anna@{origin.domain}", f"bert@{domain}"), len(origin.sotto_log())
            became = deliver(origin, [message])[message.recipients[0]]
            told(origin, mark, domain)
    assert became[1].startswith("127.") and became[3] == "deferred"
    assert not watch.wire.find(*message.secrets) and not watch.wire.to_port(25, origin.host.v4, target.host.v4)
