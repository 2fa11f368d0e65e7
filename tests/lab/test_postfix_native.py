# SPDX-License-Identifier: ISC
"""
What speaks against the hop: wherever the administrator has said how mail is to go, it goes as it did without Sotto. Each setting is tried twice, with Sotto off and on,
towards a mail server that offers XSOTTO; what Postfix logs of each delivery, and the words in which the message came by, must be the same. Beside it goes a domain that
nothing is said of, and that one is sealed, unless the setting is one for all mail: then our log says which it is.
"""

import re
from types import SimpleNamespace

import pytest

from .administrator import administered, ask, await_hop, deliver
from .message import Message, headers
from .test_exim import arrives, letter

pytestmark = pytest.mark.usefixtures("needs_sotto")
TABLE = "/etc/postfix/lab_table"
LABELS = ("plain", "own", "a.par", "relayed", "erring", "discarded", "colon", "user", "rewritten", "virtual", "mailbox", "also", "password")


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def pair(postfixes, request):
    return tuple(postfixes[letter] for letter in request.param)


@pytest.fixture(scope="module")
def zones(lab, postfixes):
    """Domains below nat.X.example whose mail server is mx.X.example, which takes their mail; that of self.nat.X.example is the other one."""
    kept, targets = list(lab.dns.records), [postfixes[one] for one in ("f", "g")]
    for target, other in (targets, targets[::-1]):
        names = [f"{label}.nat.{target.domain}" for label in LABELS]
        lab.dns.add(*(f"{name}. MX 10 {target.name}." for name in names), f"self.nat.{target.domain}. MX 10 {other.name}.")
        target.postconf("-e", f"mydestination={', '.join([target.settings['mydestination'], *names])}")
        target.reload()
    yield
    for target in targets:
        target.postconf("-e", f"mydestination={target.settings['mydestination']}")
    lab.dns.set(kept)


def words(text, origin, target):
    """A setting in the words of the pair at hand: Z the zone, T the target's name, 4 and 6 its addresses, O the origin's domain."""
    for sign, value in (("<Z>", f"nat.{target.domain}"), ("<T>", target.name), ("<4>", target.host.v4), ("<6>", target.host.v6), ("<O>", origin.domain)):
        text = text.replace(sign, value)
    return text


def came(server, message):
    """By which words of the Received header the message came to that server; None: it has not."""
    for one in server.delivered("bert"):
        if message.message_id.encode() in one:
            return re.findall(r"from (\S+) .*with (\w+)", dict(reversed(headers(one)))["received"].replace("\n", " "))
    return None


def what_becomes(origin, target, addresses):
    """{address: (what Postfix says of the delivery, how it came)}."""
    letters = [Message(f"anna@{origin.domain}", address) for address in addresses]
    became = deliver(origin, letters)
    there = (f"[{target.host.v4}]", f"[{target.host.v6}]", "[127.")
    for message in letters:
        _, relay, _, status = became[message.recipients[0]]
        if status == "sent" and any(address in relay for address in there):
            target.await_token("bert", message)
    return {message.recipients[0]: (*became[message.recipients[0]], came(target, message)) for message in letters}


def case(addresses, main=None, why=None, plain="sealed", **more):
    """plain: what becomes of the domain that nothing is said of. why: what our log says, where nothing is sealed. later: set when Sotto is on already."""
    return SimpleNamespace(addresses=addresses, main=main or {}, why=why, plain="native" if why else plain, later=more.pop("later", {}), table=more.pop("table", None),
                           mode=more.pop("mode", 0o644), master=more.pop("master", {}), restart=more.pop("restart", False))


TO = "smtp:[<T>]"
ROUTES = ("inline:{ { own.<Z> = smtp:[<T>] }, { .par.<Z> = smtp:[<T>] }, { relayed.<Z> = relay: }, { erring.<Z> = error:5.1.1 gone }, { discarded.<Z> = discard:away }, "
          "{ bert@user.<Z> = smtp:[<T>]:25 } }")
ANY = ["bert@own.<Z>"]
CASES = {
    "routes": case([f"bert@{name}.<Z>" for name in ("own", "a.par", "relayed", "erring", "discarded", "user")], {"transport_maps": ROUTES}),
    "routes-by-pattern": case(["bert@rewritten.<Z>"], {"transport_maps": "regexp:" + TABLE}, table="/@rewritten\\./ smtp:[<T>]\n"),
    "classes": case(["bert@also.<Z>", "bert@virtual.<Z>", "bert@mailbox.<Z>", "bert@<O>", "nobody.there@<O>", "bert@self.<Z>", "bert@[<4>]", "bert@nowhere.<Z>"],
                    {"relay_domains": "also.<Z>", "virtual_alias_domains": "virtual.<Z>", "virtual_alias_maps": "inline:{ bert@virtual.<Z>=bert@<O> }",
                     "virtual_mailbox_domains": "mailbox.<Z>", "virtual_mailbox_maps": "static:yes", "virtual_transport": TO}),
    "route-for-all": case(ANY, {"transport_maps": f"inline:{{ *={TO}, {{ colon.<Z> = : }} }}"}, plain="native"),
    "password-of-a-domain": case(["bert@password.<Z>"], {"smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "inline:{ password.<Z>=user:word }"}),
    "password-of-a-host": case(ANY, {"smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": "inline:{ <T>=user:word }"}, plain="native"),
    "discarded-keywords": case(ANY, {"smtp_discard_ehlo_keyword_address_maps": "inline:{ <4>=pipelining }"}, plain="native"),
    "workarounds": case(ANY, {"smtp_pix_workaround_maps": "inline:{ <4>=disable_esmtp }"}, plain="native"),
    "relayhost": case(ANY, {"relayhost": "[<T>]"}, "relayhost is"),
    "relayhost-by-sender": case(ANY, {"sender_dependent_relayhost_maps": "inline:{ anna@<O>=[<T>] }"}, "sender_dependent_relayhost_maps is"),
    "transport-by-sender": case(ANY, {"sender_dependent_default_transport_maps": "inline:{ anna@<O>=relay: }"}, "sender_dependent_default_transport_maps is"),
    "default-transport": case(ANY, {"default_transport": "relay"}, "default_transport is relay"),
    "default-transport-in-master": case(ANY, master={"rewrite/unix": "rewrite unix - - y - - trivial-rewrite -o default_transport=relay"}, why="default_transport is relay"),
    "passwords-by-sender": case(ANY, {"smtp_sasl_auth_enable": "yes", "smtp_sender_dependent_authentication": "yes", "smtp_sasl_password_maps": "inline:{ anna@<O>=u:w }"},
                                "smtp_sender_dependent_authentication"),
    "hosts-by-file": case(["bert@<T>"], {"smtp_host_lookup": "native"}, "smtp_host_lookup is native"),
    "without-dns": case(["bert@<T>"], {"smtp_dns_support_level": "disabled"}, "uses no DNS"),
    "ipv6-only": case(["bert@six.<TD>"], {"inet_protocols": "ipv6"}, "IPv4 is off", restart=True),
    "several-instances": case(ANY, later={"multi_instance_name": "postfix-one", "syslog_name": "postfix"}, why="multi_instance_name is postfix-one"),
    "a-table-behind-ours": case(ANY, later={"transport_maps": f"$sotto_maps, inline:{{ own.<Z>={TO} }}"}, why="a table stands behind Sotto's own"),
    "a-table-that-we-cannot-read": case(ANY, {"transport_maps": "hash:" + TABLE}, why="Sotto's user must be able to read it", table=f"own.<Z> {TO}\n", mode=0o600),
}


def prepare(origin, one, spoken):
    """The table of a case."""
    if one.table is None:
        return
    origin.host.write(TABLE, spoken(one.table))
    if "regexp" not in one.main["transport_maps"]:
        origin.host.run(["postmap", f"hash:{TABLE}"])
        origin.host.path(TABLE + ".db").chmod(one.mode)
    origin.host.path(TABLE).chmod(one.mode)


def set_later(origin, settings):
    if settings:
        origin.postconf("-e", *(f"{key}={value}" for key, value in settings.items()))
        origin.reload()
        origin.program_changed()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("zones")
def test_as_without_us(pair, name):
    """Each of the administrator's ways: with Sotto on, mail takes it as with Sotto off."""
    origin, target = pair
    one = CASES[name]

    def spoken(text):
        return words(text.replace("<TD>", target.domain), origin, target)

    prepare(origin, one, spoken)
    addresses, plain = [spoken(address) for address in one.addresses], spoken("bert@plain.<Z>")
    main = {key: spoken(value) for key, value in one.main.items()}
    later = {key: spoken(value) for key, value in one.later.items()}
    both = [*addresses, plain] if "[" not in main.get("relayhost", "") else addresses
    with administered(origin, {**main, **{key: value for key, value in later.items() if "sotto" not in value}}, one.master, sotto=False, restart=one.restart):
        before = what_becomes(origin, target, both)
    mark = len(origin.sotto_log())
    with administered(origin, main, one.master, restart=one.restart):
        set_later(origin, later)
        if one.why:
            assert one.why in [line for line in origin.sotto_log()[mark:] if "outgoing mail is" in line][-1]
        else:
            for address in both:
                ask(origin, address)        # the first answer would be that it is not known yet
            await_hop(origin, spoken("colon.<Z>"))
        now = what_becomes(origin, target, both)
    assert {address: now[address] for address in addresses} == {address: before[address] for address in addresses}
    if one.plain == "sealed":
        assert now[plain][1].startswith("127.") and now[plain][3:] == before[plain][3:], "nothing was sealed, and so nothing was tried"
    else:
        assert now == before and not [line for line in origin.sotto_log()[mark:] if " connect peer=" in line and "outcome=sealed" in line]


@pytest.mark.usefixtures("zones")
def test_an_entry_that_changes_nothing(watch, pair):
    """An entry `:` or `smtp:` in transport_maps says what would happen anyway, and so mail is sealed."""
    origin, target = pair
    domain = f"colon.nat.{target.domain}"
    for value in (":", "smtp:"):
        with administered(origin, {"transport_maps": f"inline:{{ {{ {domain} = {value} }} }}"}):
            await_hop(origin, domain)
            message = Message(f"anna@{origin.domain}", f"bert@{domain}")
            origin.submit(message)
            arrives(watch, origin, target, message)
    assert len(watch.said(origin, "connect", target.host, "sealed")) == 2


def test_bind_address(watch, pair):
    """smtp_bind_address is the address that a sealed session comes from, too; so is inet_interfaces, where it is a single one."""
    origin, target = pair
    second, six = "192.0.2.150", "2001:db8::150"
    origin.host.ip(f"addr add {second}/24 dev eth0", f"addr add {six}/64 dev eth0 nodad")
    try:
        for settings, domain, address, restart in (({"smtp_bind_address": second}, target.domain, second, False), ({"smtp_bind_address6": six}, f"six.{target.domain}", six, False),
                                                   ({"inet_interfaces": second}, target.domain, second, True)):
            with administered(origin, settings, restart=restart):
                mark = len(target.sotto_log())
                message = Message(f"anna@{origin.domain}", f"bert@{domain}")
                origin.submit(message)
                arrives(watch, origin, target, message)
                target.await_sotto(rf"accept peer=\S*\[{re.escape(address)}\]\S* outcome=sealed", mark)
                assert watch.await_log(target, rf"client=\S+\[{re.escape(address)}\]")
    finally:
        origin.host.ip(f"addr del {second}/24 dev eth0", f"addr del {six}/64 dev eth0")


def test_bind_address_that_is_not_there(watch, pair):
    """One that this host does not have: as without Sotto, Postfix says so and the mail waits or goes; nothing bounces."""
    origin, target = pair
    results = []
    for sotto in (False, True):
        with administered(origin, {"smtp_bind_address": "192.0.2.151"}, sotto=sotto):
            message = letter(origin, target)
            results.append(deliver(origin, [message])[message.recipients[0]][2:])
    assert results[0] == results[1], results
    assert not origin.delivered("anna") and watch
