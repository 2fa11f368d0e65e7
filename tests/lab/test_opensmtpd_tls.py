# SPDX-License-Identifier: ISC
"""
The TLS that the administrator of an OpenSMTPD demands, or offers, keeps its meaning: what happened without Sotto is what happens with it, or the session is sealed,
and that only where the action would have been content without TLS. Receivers with STARTTLS are 7.6, Exim and Postfix: that of Debian 12's 6.8 breaks by itself.
"""

import contextlib
import re
import ssl

import pytest

from .certificates import AUTHORITY, CERTIFICATE, KEY, USED, certified
from .message import Message
from .mailserver_opensmtpd import SCRIPT
from .smtp import Bare
from .test_exim import arrives, letter
from .test_exim_tls import with_tls
from .test_postfix import all_sealed

pytestmark = pytest.mark.usefixtures("needs_sotto")

STORE = "/etc/ssl/certs/ca-certificates.crt"
# what an action says; {host} is the domain's mail server. All but the first, and those with a host, demand something of TLS
ACTIONS = {"plain": "relay", "tls": "relay tls", "no-verify": "relay tls no-verify", "tls-ca": 'relay tls ca "lab"', "ca": 'relay ca "lab"',
           "smtp": 'relay host "smtp://{host}"', "notls": 'relay host "smtp+notls://{host}"', "smtp+tls": 'relay host "smtp+tls://{host}"',
           "smtp+tls-no-verify": 'relay host "smtp+tls://{host}" tls no-verify', "smtps": 'relay host "smtps://{host}"',
           "smtps-no-verify": 'relay host "smtps://{host}" tls no-verify'}
MAY_BE_SEALED = {"plain"}
DELIVERY = re.compile(r"\]: ([0-9a-f]{16}) mta delivery .*to=<([^>]*)>.* relay=\"([^\"]*)\".*result=\"(\w+)\"")
TLS = re.compile(r"\]: ([0-9a-f]{16}) mta tls ")
CHECKED = re.compile(r"\]: ([0-9a-f]{16}) mta cert-check result=\"?(\w+)")


@pytest.fixture(params=[("i", "j"), ("j", "c"), ("j", "g")], ids=["6.8-to-7.6", "7.6-to-exim", "7.6-to-postfix"])
def pair(lab, opensmtpds, postfixes, request):
    return tuple(lab.servers[letter] for letter in request.param)


@pytest.fixture(scope="module")
def domains(lab, opensmtpds, postfixes):
    """{target: {action: a domain of its own}}"""
    found = {lab.servers[letter]: {action: f"{action.replace('+', '-')}.tls.{letter}.example" for action in ACTIONS} for letter in "jcg"}
    lab.dns.add(*(f"{domain}. MX 10 {target.name}." for target, those in found.items() for domain in those.values()))
    return found


# ---- receivers ----

@contextlib.contextmanager
def listening(lab, server, options, *extra):
    """OpenSMTPD with these options of its listeners on port 25, and a certificate of its own."""
    if not server.host.read(CERTIFICATE):
        certified(lab, server)
    server.pki, server.listen = f'pki {server.name} cert "{CERTIFICATE}"\npki {server.name} key "{KEY}"', f" {options} pki {server.name}" if options else ""
    try:
        with server.configured(*extra):
            yield server
    finally:
        server.pki = server.listen = ""
        server.restart()


def to_exim(server):
    """The certificate where Exim may read it."""
    server.host.run(["install", "-o", "root", "-g", "Debian-exim", "-m", "640", CERTIFICATE, KEY, "/etc/exim4"])
    folder = "/etc/exim4/"
    return ["MAIN_TLS_ENABLE = yes", f"MAIN_TLS_CERTIFICATE = {folder}{CERTIFICATE.rpartition('/')[2]}", f"MAIN_TLS_PRIVATEKEY = {folder}{KEY.rpartition('/')[2]}",
            "daemon_smtp_ports = 25 : 465", "tls_on_connect_ports = 465"]


@contextlib.contextmanager
def receiving(lab, target, how, mine):
    """The target takes mail for these domains, with STARTTLS on port 25 unless `how` says otherwise, and TLS on 465 (not Postfix); its certificate is good, or another's."""
    certified(lab, target, "somebody.else.example" if how == "another-name" else None)
    offered = how != "no-starttls"
    if target.kind == "postfix":
        setting = target.configured(**USED, smtpd_tls_security_level="may" if offered else "none", mydestination=", ".join([target.settings["mydestination"], *mine]))
    elif target.kind == "exim":
        names = " : ".join([target.debconf["dc_other_hostnames"], *mine])
        setting = target.configured(*to_exim(target), *([] if offered else ["MAIN_TLS_ADVERTISE_HOSTS ="]), debconf={"dc_other_hostnames": names}, starttls=True)
    else:
        names = ", ".join(f'"{name}"' for name in mine)
        setting = listening(lab, target, "tls" if offered else "", f"listen on 0.0.0.0 smtps pki {target.name}", 'action "mine" maildir alias <aliases>',
                            f'match from any for domain {{ {names} }} action "mine"')
    with setting:
        yield


def trusting(lab, origin):
    """The lab's authority is one that the host trusts, as it does those of Debian's ca-certificates."""
    certified(lab, origin)
    authority, known = origin.host.read(AUTHORITY), origin.host.read(STORE)
    if authority not in known:
        origin.host.write(STORE, known + authority)


# ---- what became of mail ----

def results(lines):
    """{recipient: (what is said of TLS, relay, result)}"""
    found, tls = {}, {}
    for line in lines:
        began, checked, delivered = TLS.search(line), CHECKED.search(line), DELIVERY.search(line)
        if began:
            tls.setdefault(began.group(1), "tls")
        elif checked:
            tls[checked.group(1)] = checked.group(2)
        elif delivered:
            session, to, relay, result = delivered.groups()
            found[to] = (tls.get(session, "") if result == "Ok" else None, relay if result == "Ok" else None, result)
    return found


def deliver(origin, messages):
    """Sends one after the other (a route that failed counts for all), and what became of each within its first attempt; nothing stays in the queue."""
    mark = len(origin.log())
    for message in messages:
        origin.submit(message)
        origin.settle(message)
        origin.clear_queue()
        origin.forget_hosts()
    return results(origin.log()[mark:])


def hop(became):
    return became[1] is not None and "127." in became[1]


def lines_for(target, those):
    """The actions, and the matches that lead to them."""
    lines = [f'ca "lab" cert "{AUTHORITY}"']
    for name, domain in those.items():
        if name != "plain":
            lines += [f'action "{name}" {ACTIONS[name].format(host=target.name)}', f'match from local for domain "{domain}" action "{name}"']
    return lines


# without Sotto. What waits comes first: a route that has never worked is given up after one failure, one that has is tried without end
SENT_WITH_TLS, SENT_WITHOUT, WAITS = "Ok, TLS", "Ok, no TLS", "TempFail"
EXPECTED = {
    "good": {name: SENT_WITHOUT if name == "notls" else SENT_WITH_TLS for name in ACTIONS},
    "another-name": {"tls": WAITS, "tls-ca": WAITS, "smtp+tls": WAITS, "smtps": WAITS, "plain": SENT_WITH_TLS, "no-verify": SENT_WITH_TLS, "ca": SENT_WITH_TLS,
                     "smtp": SENT_WITH_TLS, "notls": SENT_WITHOUT, "smtp+tls-no-verify": SENT_WITH_TLS, "smtps-no-verify": SENT_WITH_TLS},
    "no-starttls": {"tls": WAITS, "no-verify": WAITS, "tls-ca": WAITS, "smtp+tls": WAITS, "smtp+tls-no-verify": WAITS, "plain": SENT_WITHOUT, "ca": SENT_WITHOUT,
                    "smtp": SENT_WITHOUT, "notls": SENT_WITHOUT, "smtps": SENT_WITH_TLS, "smtps-no-verify": SENT_WITH_TLS},
}


def told(became):
    return became[2] if became[2] != "Ok" else SENT_WITH_TLS if became[0] else SENT_WITHOUT


@pytest.mark.parametrize("how", EXPECTED)
def test_actions(lab, watch, pair, domains, how):
    """Each way to say what TLS a relay has, with a peer that meets it, one with another's certificate, and one without STARTTLS: as without Sotto, or sealed where allowed."""
    origin, target = pair
    expected = {name: one for name, one in EXPECTED[how].items() if not (name.startswith("smtps") and target.kind == "postfix")}
    those = {name: domains[target][name] for name in expected}
    sent = {name: [Message(f"anna@{origin.domain}", f"bert@{domain}") for _ in range(2)] for name, domain in those.items()}
    trusting(lab, origin)
    with receiving(lab, target, how, those.values()), origin.configured(*lines_for(target, those)):
        origin.disable_sotto()
        try:
            before = deliver(origin, [pair[0] for pair in sent.values()])
        finally:
            origin.enable_sotto()
        assert {name: told(before[f"bert@{those[name]}"]) for name in expected} == expected
        now = deliver(origin, [pair[1] for pair in sent.values()])
    through = {name for name, domain in those.items() if hop(now[f"bert@{domain}"])}
    assert through == MAY_BE_SEALED
    for name, domain in those.items():
        to = f"bert@{domain}"
        assert (now[to][0], now[to][2]) == (before[to][0], before[to][2]) if name in through else now[to] == before[to], name
        if before[to][0] or name in through or before[to][2] != "Ok":
            assert not watch.wire.find(*(secret for one in sent[name] for secret in (one.subject, one.message_id)) if name not in through or before[to][0]
                                       else (sent[name][1].subject, sent[name][1].message_id)), f"{name}: can be read on the wire"
