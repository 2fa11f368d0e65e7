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
IN_CHECK = (r"test_actions\[6.8.*good|test_listeners\[7.6-tls-require|test_starttls_inside\[(i-to-j-keep|j-to-c-skip)|test_demanded_by_the_server\[i|"
            r"test_starttls_with_a_stranger\[6.8-skip|test_starttls_through_the_hop\[7.6-c-keep")
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
def listening(lab, server, options, *extra, head=""):
    """OpenSMTPD with these options of its listeners on port 25, and a certificate of its own; head: lines before them."""
    if not server.host.read(CERTIFICATE):
        certified(lab, server)
    server.pki, server.listen = f'{head}pki {server.name} cert "{CERTIFICATE}"\npki {server.name} key "{KEY}"', f" {options} pki {server.name}" if options else ""
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
    """The target takes mail for these domains, with STARTTLS on port 25 unless `how` says otherwise, and TLS on 465 (not Postfix). Its certificate: good, or another's."""
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


def lines_for(origin, target, those):
    """The actions, and the matches that lead to them: for all domains, as those are that Sotto looks at, and by the sender, so that there can be many."""
    lines = [f'ca "lab" cert "{AUTHORITY}"']
    for name in those:
        if name != "plain":
            lines += [f'action "{name}" {ACTIONS[name].format(host=target.name)}', f'match from local mail-from "{name}@{origin.domain}" for any action "{name}"']
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
    """Each way to say what TLS a relay has; the peer meets it, has another's certificate, or no STARTTLS: as without Sotto, or sealed where allowed."""
    origin, target = pair
    expected = {name: one for name, one in EXPECTED[how].items() if not (name.startswith("smtps") and target.kind == "postfix")}
    those = {name: domains[target][name] for name in expected}
    sent = {name: [Message(f"{name}@{origin.domain}", f"bert@{domain}") for _ in range(2)] for name, domain in those.items()}
    trusting(lab, origin)
    with receiving(lab, target, how, those.values()), origin.configured(*lines_for(origin, target, those)):
        origin.disable_sotto()
        try:
            before = deliver(origin, [first for first, _ in sent.values()])
        finally:
            origin.enable_sotto()
        assert {name: told(before[f"bert@{those[name]}"]) for name in expected} == expected
        now = deliver(origin, [second for _, second in sent.values()])
    through = {name for name, domain in those.items() if hop(now[f"bert@{domain}"])}
    assert through == MAY_BE_SEALED
    for name, domain in those.items():
        was, became = before[f"bert@{domain}"], now[f"bert@{domain}"]
        assert (became[0], became[2]) == (was[0], was[2]) if name in through else became == was, name
        hidden = [sent[name][1]] * (name in through) + sent[name] * (told(was) != SENT_WITHOUT)
        assert not watch.wire.find(*(secret for one in hidden for secret in (one.subject, one.message_id))), f"{name}: can be read on the wire"


# ---- listeners ----

LISTENERS = {"tls": "tls", "tls-require": "tls-require", "verify": "tls-require verify", "auth": "tls auth-optional <people>", "smtps": ""}
FAILED = ["TLS fails"]
UNSURE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNSURE.check_hostname, UNSURE.verify_mode = False, ssl.CERT_NONE


def connected(host, target, port):
    sock = host.socket()
    sock.settimeout(30)
    sock.connect((target.v4, port))
    return sock


def inside(server, sock):
    """What the server says within TLS, or how that failed."""
    try:
        with Bare(None, server.host, sock=UNSURE.wrap_socket(sock)) as client:
            said = [] if client.sock.getpeername()[1] == 25 else [client.reply()]
            said += [client.ask("EHLO mx.p.example", 250), client.ask("MAIL FROM:<x@p.example>", 250), client.ask(f"RCPT TO:<bert@{server.domain}>", 250)]
            client.ask("RSET", 250)
            return client.sock.version(), client.sock.getpeercert(binary_form=True), client.sock.cipher(), said + [client.ask("QUIT", 221)]
    except (OSError, AssertionError):       # an alert, or the end: TCP may be quicker
        return FAILED


def dialogue(server, stranger, port):
    """What a client without Sotto hears, with and without STARTTLS, and within it; and that the EHLO reply in the clear has the keyword."""
    if port == 465:
        return inside(server, connected(stranger.host, server.host, port)), False
    with Bare(stranger.host, server.host) as client:
        greeting, offered = client.reply(), client.ask("EHLO mx.p.example", 250)
        mail = client.say("MAIL FROM:<x@p.example>")
    with Bare(stranger.host, server.host, sock=connected(stranger.host, server.host, port)) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        go = client.say("STARTTLS")
        said = [greeting, [line[4:] for line in offered if "XSOTTO" not in line], mail, go, inside(server, client.sock) if go[0][:3] == "220" else None]
    return said, any("XSOTTO" in line for line in offered)


def without_times(said):
    """As text; the session's number, and what day it is, apart."""
    return re.sub(r"\b[0-9a-f]{16}\b", "", repr(said))


@pytest.mark.parametrize("name", LISTENERS)
def test_listeners(lab, watch, opensmtpd, stranger, name):
    """What a listener says of TLS, to a client without Sotto, is octet for octet what it says without, on both sides of STARTTLS (where 6.8 fails, it fails)."""
    port = 465 if name == "smtps" else 25
    extra = [f"listen on 0.0.0.0 smtps pki {opensmtpd.name}"] if port == 465 else []
    certified(lab, opensmtpd)
    before_listeners = 'table people { bert = "nobody" }\n' if name == "auth" else ""
    with listening(lab, opensmtpd, LISTENERS[name], *extra, head=before_listeners):
        now, keyword = dialogue(opensmtpd, stranger, port)
        opensmtpd.disable_sotto()
        try:
            before, without = dialogue(opensmtpd, stranger, port)
        finally:
            opensmtpd.enable_sotto()
    assert (keyword, without) == (port == 25, False)
    assert without_times(now) == without_times(before)
    if port == 25:
        assert before[2][-1][:3] == ("530" if "require" in LISTENERS[name] else "250") and before[3][0][:3] == "220"
    if opensmtpd.version.startswith("7"):
        established = before if port == 465 else before[4]
        assert established == FAILED if name == "verify" else established[0] == "TLSv1.3", established


# ---- STARTTLS and the sealed session ----

SEALED = [("i", "j"), ("j", "c"), ("j", "g"), ("a", "j"), ("f", "j")]


@pytest.fixture(params=SEALED, ids=lambda one: "-to-".join(one))
def ends(lab, opensmtpds, postfixes, request):
    return tuple(lab.servers[name] for name in request.param)


def used_tls(watch, origin, target):
    """Whether TLS was used, by the log of each: (the client's, the server's)."""
    went = {"exim": r"=> .*T=remote_smtp.* X=TLS", "postfix": r"postfix/smtp\[.*TLS connection established to", "opensmtpd": r" mta tls "}
    came = {"exim": rf"<= anna@{origin.domain} H=.* X=TLS", "postfix": r"postfix/smtpd\[.*TLS connection established from", "opensmtpd": r" smtp tls "}
    return (any(re.search(went[origin.kind], line) for line in watch.log(origin)), any(re.search(came[target.kind], line) for line in watch.log(target)))


def willing(server):
    """As a client Postfix uses TLS only where it is told, and says so where it is asked to."""
    if server.kind != "postfix":
        return contextlib.nullcontext()
    return server.configured(smtp_tls_security_level="may", smtp_tls_loglevel="1")


@contextlib.contextmanager
def offering(lab, target, options="tls"):
    """The target offers STARTTLS, and says in its log when it is used."""
    with contextlib.ExitStack() as stack:
        if target.kind == "opensmtpd":
            stack.enter_context(listening(lab, target, options))
        elif target.kind == "exim":
            stack.enter_context(with_tls(target))
        else:
            certified(lab, target)
            stack.enter_context(target.configured(**USED, smtpd_tls_security_level="may", smtpd_tls_loglevel="1"))
        yield


@pytest.mark.parametrize("starttls", ["keep", "skip"])
def test_starttls_inside(lab, watch, ends, starttls):
    """Within the sealed session the two use STARTTLS as before, by both logs; with starttls = skip they do not. On the wire there is neither."""
    origin, target = ends
    with offering(lab, target), willing(origin), origin.sotto_conf(starttls=starttls):
        message = letter(origin, target)
        origin.submit(message)
        delivered = arrives(watch, origin, target, message)
        watch.traced(delivered, all_sealed(watch, origin, target, message), target)
        assert used_tls(watch, origin, target) == ((True, True) if starttls == "keep" else (False, False))


@pytest.mark.parametrize("name", ["i", "a", "f"])
def test_demanded_by_the_server(lab, watch, opensmtpds, postfixes, name):
    """A server that takes no mail without STARTTLS (tls-require) gets it within the sealed session."""
    origin, target = lab.servers[name], opensmtpds["j"]
    with offering(lab, target, "tls-require"), willing(origin):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        all_sealed(watch, origin, target, message)
        assert used_tls(watch, origin, target) == (True, True)


# ---- peers without Sotto, or that have it no more ----

@pytest.mark.parametrize("starttls", ["keep", "skip"])
def test_starttls_with_a_stranger(watch, opensmtpd, stranger, starttls):
    """A host without Sotto that offers STARTTLS gets STARTTLS, whatever starttls says."""
    with with_tls(stranger), opensmtpd.sotto_conf(starttls=starttls):
        message = letter(opensmtpd, stranger)
        opensmtpd.submit(message)
        arrives(watch, opensmtpd, stranger, message)
        assert used_tls(watch, opensmtpd, stranger) == (True, True)
        assert watch.wire.find("STARTTLS") and not watch.wire.find(message.subject, *message.secrets[-3:])


@pytest.mark.parametrize("starttls", ["keep", "skip"])
@pytest.mark.parametrize("name", ["c", "g"])
def test_starttls_through_the_hop(lab, watch, opensmtpd, postfixes, name, starttls):
    """Mail that takes the hop to a server that offers XSOTTO no more gets the STARTTLS that this one offers, through the hop, whatever starttls says."""
    target = lab.servers[name]
    with offering(lab, target), opensmtpd.sotto_conf(starttls=starttls):
        opensmtpd.asks(target.domain)
        with target.sotto_conf(mode="off"):
            message = letter(opensmtpd, target)
            opensmtpd.submit(message)
            arrives(watch, opensmtpd, target, message)
            assert watch.await_log(opensmtpd, r'mta delivery .*relay="127\..*result="Ok"')
            assert used_tls(watch, opensmtpd, target) == (True, True)
    watch.await_said(opensmtpd, "connect", "clear")
    assert watch.wire.find("STARTTLS") and not watch.wire.find(message.subject, *message.secrets[-3:], "XSOTTO 1 1216")


def test_a_stranger_gets_starttls(lab, watch, opensmtpds, stranger):
    """A host without Sotto that connects to us finds our STARTTLS and uses it."""
    target = opensmtpds["j"]
    with offering(lab, target):
        message = letter(stranger, target)
        stranger.submit(message)
        arrives(watch, stranger, target, message)
        assert used_tls(watch, stranger, target) == (True, True)
        assert not watch.wire.find(message.subject)


def first_attempt(origin, message):
    """Whether it was delivered, or waits; nothing stays in the queue."""
    to, mark = message.recipients[0], len(origin.log())
    origin.submit(message)
    origin.await_log(f"{origin.sent(to)}|{origin.deferred(to)}", mark)
    waits = any(re.search(origin.deferred(to), line) for line in origin.log()[mark:])
    origin.clear_queue()
    origin.await_empty_queue()
    return "waits" if waits else "sent"


@pytest.mark.parametrize("name", ["a", "f", "j"])
def test_broken_starttls(lab, watch, opensmtpds, postfixes, name):
    """6.8 offers a STARTTLS that fails by itself. Within the sealed session the other side does about it what it does without Sotto, and nothing can be read."""
    origin, target = lab.servers[name], opensmtpds["i"]
    with offering(lab, target), willing(origin):
        origin.disable_sotto()
        try:
            before = first_attempt(origin, letter(origin, target))
        finally:
            origin.enable_sotto()
        origin.forget_hosts()
        message = letter(origin, target)
        assert (first_attempt(origin, message), name) == (before, name)
        assert before == ("waits" if origin.kind == "postfix" else "sent")
    assert not watch.wire.find(message.subject, message.message_id, message.secrets[-1])
    assert watch.said(origin, "connect", target.host, "sealed")
