# SPDX-License-Identifier: ISC
"""sotto-postfix enable, disable, status: what it makes of the administrator's configuration, and that all of it comes back."""

import contextlib
import re
import ssl
import threading

import pytest

from . import administrator
from .administrator import administered, await_hop, files_of, outcomes, say, set_all, stock
from .certificates import USED, certified
from .message import Message, difference, headers
from .smtp import Bare
from .test_exim import arrives, letter
from .test_postfix_peers import connections, offers

pytestmark = [pytest.mark.usefixtures("needs_sotto"), pytest.mark.in_turn("postfix")]
LIBEXEC = "/usr/libexec/sotto"
OWN_MAPS = "hash:/etc/aliases, inline:{ elsewhere.example=smtp:[192.0.2.200] }"
SMTPD = "smtp inet n - y - - smtpd"
# as many others have it: behind words of its own, over several lines, in braces, with macros, with services beside it
EDITS = {
    "own-tables": {"main": {"transport_maps": OWN_MAPS, "smtp_tls_policy_maps": "inline:{ elsewhere.example=encrypt }",
                            "smtpd_data_restrictions": "reject_unauth_pipelining, reject_multi_recipient_bounce, permit"}},
    "spaces-for-commas": {"main": {"transport_maps": "inline:{ elsewhere.example=smtp:[192.0.2.200] } hash:/etc/aliases",
                                   "smtpd_data_restrictions": "reject_unauth_pipelining permit"}},
    "empty-values": {"main": {"transport_maps": "", "smtp_tls_policy_maps": "", "smtpd_data_restrictions": "", "master_service_disable": ""}},
    "macros": {"main": {"own_maps": OWN_MAPS, "transport_maps": "$own_maps", "smtpd_data_restrictions": "${own_maps?{reject_unauth_pipelining}:{permit}}"}},
    "options": {"master": {"smtp/inet": f"{SMTPD} -o {{ smtpd_banner = $myhostname ESMTP of our own }} -o smtpd_client_connection_count_limit=7"}},
    "data-restrictions-in-master": {"master": {"smtp/inet": f"{SMTPD} -o {{ smtpd_data_restrictions = reject_multi_recipient_bounce, permit }}"}},
    "limit-and-chroot": {"master": {"smtp/inet": "smtp inet n - n - 17 smtpd -v"}},
    "by-number": {"drop": ["smtp/inet"], "master": {"25/inet": "25 inet n - y - - smtpd -o syslog_name=postfix/by-number"}},
    "by-address": {"drop": ["smtp/inet"], "master": {"127.0.0.1:smtp/inet": f"127.0.0.1:{SMTPD} -o smtpd_helo_required=yes",
                                                     "[::1]:25/inet": "[::1]:25 inet n - y - - smtpd"}},
    "postscreen": {"master": {"smtp/inet": "smtp inet n - y - 1 postscreen", "smtpd/pass": "smtpd pass - - y - - smtpd -o smtpd_helo_required=yes",
                              "dnsblog/unix": "dnsblog unix - - y - 0 dnsblog", "tlsproxy/unix": "tlsproxy unix - - y - 0 tlsproxy"}},
    "postscreen-by-another-name": {"main": {"smtpd_service_name": "behind"}, "master": {"smtp/inet": "smtp inet n - y - 1 postscreen",
                                                                                        "behind/pass": "behind pass - - y - 30 smtpd"}},
    "others-disabled": {"main": {"master_service_disable": "uucp/unix, 2525/inet"}, "master": {"2525/inet": "2525 inet n - y - - smtpd"}},
    "port-25-disabled": {"main": {"master_service_disable": "smtp/inet"}},
    "submission": {"master": {"submission/inet": "submission inet n - y - - smtpd -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt",
                              "smtps/inet": "smtps inet n - y - - smtpd -o smtpd_tls_wrappermode=yes"}},
}


def meaning(server):
    return {flags: server.postconf(*flags.split()) for flags in ("-n", "-M", "-P")}


def test_stock_files_come_back(postfix):
    """On a configuration as Debian has it: enabled twice is enabled once, disabled twice disabled once, and main.cf and master.cf are the same octets."""
    with stock(postfix, running=True):
        postfix.reload()
        before = files_of(postfix)
        assert say(postfix, "status", check=False) == (3, "off\n")
        assert say(postfix, "enable")[1].startswith("Sotto is switched on.\n")
        enabled = files_of(postfix)
        assert all(enabled[path] != before[path] for path in before)
        assert say(postfix, "enable") == (0, "Sotto is switched on already.\n") and files_of(postfix) == enabled
        assert say(postfix, "status") == (0, "on\n")
        assert say(postfix, "disable") == (0, "Sotto is switched off.\n") and files_of(postfix) == before
        assert say(postfix, "disable") == (0, "Sotto is switched off already.\n") and files_of(postfix) == before
        assert say(postfix, "status", check=False) == (3, "off\n")


def test_package_files_come_back(postfix):
    """The same for the files that the package brings, before anybody has set anything."""
    with stock(postfix):
        for path, dist in zip(administrator.CF, ("main.cf.debian", "master.cf.dist")):
            postfix.host.write(path, postfix.host.read(f"/usr/share/postfix/{dist}"))
        postfix.postconf("-e", "compatibility_level=3.6")
        before = files_of(postfix)
        say(postfix, "enable", "--no-reload")
        assert say(postfix, "status") == (0, "on\n")
        say(postfix, "disable", "--no-reload")
        assert files_of(postfix) == before


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_configuration_means_the_same_again(postfix, edit):
    """On one that the administrator has edited: enabled, it is on and their words are in it; disabled, it means what it meant."""
    with stock(postfix):
        set_all(postfix, **EDITS[edit])
        before = meaning(postfix)
        say(postfix, "enable", "--no-reload")
        assert say(postfix, "status") == (0, "on\n")
        enabled = files_of(postfix)
        assert "Sotto is switched on already.\n" in say(postfix, "enable", "--no-reload")[1] and files_of(postfix) == enabled
        for key, value in (EDITS[edit].get("main") or {}).items():
            assert value in postfix.postconf("-h", key)
        assert say(postfix, "disable", "--no-reload")[0] == 0
        assert meaning(postfix) == before


def test_what_is_written_by_hand_comes_back(postfix):
    """Folds, comments and blank lines around what is ours: what the file means is the same, and so is every comment."""
    with stock(postfix):
        files = files_of(postfix)
        postfix.host.write(administrator.MAIN, files[administrator.MAIN] + b"\n# our own ways\ntransport_maps =\n  # the old host\n  hash:/etc/aliases,\n"
                           b"\tinline:{ elsewhere.example=smtp:[192.0.2.200] }\n\n# and the end\n")
        postfix.host.write(administrator.MASTER, files[administrator.MASTER].replace(b"smtpd\n", b"smtpd\n  -o smtpd_banner=$myhostname\n  # no more than these\n"
                                                                                       b"  -o { smtpd_client_restrictions = permit_mynetworks, permit }\n", 1))
        written, before = files_of(postfix), meaning(postfix)
        say(postfix, "enable", "--no-reload")
        say(postfix, "disable", "--no-reload")
        assert meaning(postfix) == before
        for path, text in written.items():
            comments = [line.strip() for line in text.splitlines() if line.strip().startswith(b"#")]
            assert [line.strip() for line in postfix.host.read(path).splitlines() if line.strip().startswith(b"#")] == comments


# ---- what is refused ----

REFUSED = {
    "another-program": ({"master": {"smtp/inet": "smtp inet n n n - - spawn user=nobody argv=/bin/true"}}, "neither smtpd nor postscreen"),
    "twice": ({"master": {"25/inet": "25 inet n - y - - smtpd"}}, "both smtp/inet and 25/inet are in master.cf"),
    "a-proxy-in-front": ({"main": {"smtpd_upstream_proxy_protocol": "haproxy"}}, "smtpd_upstream_proxy_protocol is set in main.cf"),
    "a-proxy-in-front-of-one": ({"master": {"smtp/inet": f"{SMTPD} -o smtpd_upstream_proxy_protocol=haproxy"}}, "expects a proxy in front of it"),
    "postscreen-without-smtpd": ({"master": {"smtp/inet": "smtp inet n - y - 1 postscreen"}}, "is no smtpd in master.cf"),
    "postscreen-with-its-own-target": ({"master": {"smtp/inet": "smtp inet n - y - 1 postscreen -o smtpd_service_name=other",
                                                   "smtpd/pass": "smtpd pass - - y - - smtpd"}}, "move it to main.cf"),
    "exceptions": ({"main": {"master_service_disable": "!smtp/inet, inet"}}, "has exceptions"),
    "instances": ({"main": {"multi_instance_directories": "/etc/postfix-out"}}, "several instances of Postfix"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refused(postfix, why):
    """What it does not understand it refuses in one sentence that says what to do, and touches nothing."""
    settings, sentence = REFUSED[why]
    with stock(postfix):
        set_all(postfix, **settings)
        before = files_of(postfix)
        status, said = say(postfix, "enable", "--no-reload", check=False)
        assert status == 1 and sentence in said and said.startswith("sotto-postfix: ") and len(said.splitlines()) == 1, said
        assert files_of(postfix) == before
        assert say(postfix, "status", check=False)[1] == "off\n"


def test_refused_without_programs(postfix):
    """... so when a program of ours is missing, its user is, or Postfix's own check fails."""
    host = postfix.host
    with stock(postfix):
        before = files_of(postfix)
        host.path(f"{LIBEXEC}/sotto-front").rename(host.path(f"{LIBEXEC}/away"))
        try:
            assert say(postfix, "enable", check=False) == (1, f"sotto-postfix: {LIBEXEC}/sotto-front is missing; install Sotto again.\n")
        finally:
            host.path(f"{LIBEXEC}/away").rename(host.path(f"{LIBEXEC}/sotto-front"))
        passwd = host.read("/etc/passwd")
        host.write("/etc/passwd", passwd.replace(b"\n_sotto:", b"\n_other:"))
        try:
            status, said = say(postfix, "enable", check=False)
            assert status == 1 and "there is no user _sotto" in said
        finally:
            host.write("/etc/passwd", passwd)
        assert files_of(postfix) == before
        host.write(administrator.MAIN, before[administrator.MAIN] + b"queue_directory = /nowhere\n")
        status, said = say(postfix, "enable", check=False)
        assert status == 1 and "Postfix's own check" in said
        host.write(administrator.MAIN, before[administrator.MAIN])


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
def test_refused_where_the_port_is_taken(postfix, address):
    """... or another program listens on the hop's port; another port is then to be had."""
    with stock(postfix):
        postfix.daemon.stop()
        before = files_of(postfix)
        with postfix.host.socket() as other:
            other.bind((address, 10027))
            other.listen()
            status, said = say(postfix, "enable", "--no-reload", check=False)
            assert status == 1 and "another program listens on port 10027" in said and "--port" in said
            assert files_of(postfix) == before
            say(postfix, "enable", "--no-reload", "--port", "10030")


# ---- what was edited since ----

def test_edited_since(postfix):
    """The line of port 25 was edited when it had no effect: status says it, enable takes it over, disable says it and lets it count."""
    with stock(postfix):
        say(postfix, "enable", "--no-reload")
        set_all(postfix, master={"smtp/inet": f"{SMTPD} -o {{ smtpd_banner = $myhostname ESMTP since then }}"})
        status, said = say(postfix, "status", check=False)
        assert status == 4 and said.startswith("drifted\n") and "sotto-in/unix" in said
        edited = files_of(postfix)
        said = say(postfix, "disable", "--no-reload")[1]
        assert "was changed since Sotto was switched on" in said and "Sotto is switched off." in said
        assert "since then" in postfix.postconf("-P", "smtp/inet/smtpd_banner")
        for path, text in edited.items():
            postfix.host.write(path, text)
        say(postfix, "enable", "--no-reload")
        assert "since then" in postfix.postconf("-P", "sotto-in/unix/smtpd_banner")
        assert say(postfix, "status") == (0, "on\n")
        assert "changed since" not in say(postfix, "disable", "--no-reload")[1]


def test_partly_there(postfix):
    """Somebody took half of it away by hand: status says what is missing, enable brings it back, disable takes all that is left."""
    with stock(postfix):
        before = files_of(postfix)
        say(postfix, "enable", "--no-reload")
        enabled = meaning(postfix)
        postfix.postconf("-MX", "sotto-policy/unix", "sotto-in/unix")
        postfix.postconf("-X", "sotto_tls")
        postfix.postconf("-e", "transport_maps=")
        status, said = say(postfix, "status", check=False)
        assert status == 4 and "sotto-policy/unix is missing" in said and "transport_maps is without" in said and "sotto_tls is missing" in said
        half = files_of(postfix)
        say(postfix, "enable", "--no-reload")
        assert say(postfix, "status") == (0, "on\n")
        assert {line for line in meaning(postfix)["-M"].splitlines()} == {line for line in enabled["-M"].splitlines()}
        for path, text in half.items():
            postfix.host.write(path, text)
        say(postfix, "disable", "--no-reload")
        assert say(postfix, "status", check=False)[1] == "off\n"
        assert files_of(postfix)[administrator.MASTER] == before[administrator.MASTER] and "sotto" not in postfix.postconf("-n")


# ---- what still works ----

@pytest.fixture
def two(postfixes, postfix):
    """(one of each version, another)."""
    return postfix, postfixes["g" if postfix is postfixes["f"] else "f"]


def test_own_transport_and_policy_go_on(watch, two, stranger):
    """An entry of their own tables has the last word on its domain, while mail for others is sealed."""
    origin, target = two
    with administered(origin, {"transport_maps": f"inline:{{ {{ elsewhere.example = smtp:[{stranger.host.v4}] }} }}"}), \
            stranger.configured(debconf={"dc_other_hostnames": f"{stranger.domain} : elsewhere.example"}):
        elsewhere, sealed = Message(f"anna@{origin.domain}", "bert@elsewhere.example"), letter(origin, target)
        origin.submit(elsewhere)
        arrives(watch, origin, stranger, elsewhere)
        await_hop(origin, target.domain)
        origin.submit(sealed)
        arrives(watch, origin, target, sealed)
        assert len(connections(watch, origin, stranger)) == 1
        watch.sealed(origin, target, sealed, only=True)
        watch.clear(origin, stranger, elsewhere)


def test_own_data_restrictions_go_on(stranger, postfix):
    """smtpd_data_restrictions of their own refuse what they refused, in main.cf and in master.cf."""
    for settings in ({"main": {"smtpd_data_restrictions": "reject_multi_recipient_bounce"}},
                     EDITS["data-restrictions-in-master"]):
        with administered(postfix, **settings), Bare(stranger.host, postfix.host) as client:
            client.reply()
            assert "XSOTTO" in str(client.ask("EHLO mx.p.example", 250))
            client.ask("MAIL FROM:<>", 250)
            client.ask(f"RCPT TO:<bert@{postfix.domain}>", 250)
            client.ask(f"RCPT TO:<anna@{postfix.domain}>", 250)
            client.ask("DATA", 550)


def test_own_options_go_on(stranger, postfix):
    """-o options of smtp/inet hold behind Sotto: its banner, its log's name, its restrictions."""
    line = (f"{SMTPD} -o {{ smtpd_banner = $myhostname ESMTP with words of our own }} -o syslog_name=postfix/port25"
            " -o { smtpd_sender_restrictions = check_sender_access inline:{ { unwanted@p.example = 554 5.7.1 Not from you } }, permit }")
    with administered(postfix, master={"smtp/inet": line}), Bare(stranger.host, postfix.host) as client:
        mark = len(postfix.log())
        assert client.reply() == [f"220 {postfix.name} ESMTP with words of our own"]
        client.ask("EHLO mx.p.example", 250)
        assert client.ask("MAIL FROM:<unwanted@p.example>", 250)
        client.ask(f"RCPT TO:<bert@{postfix.domain}>", 554)
        postfix.await_log(rf"postfix/port25/smtpd\[\d+\]: NOQUEUE: reject: RCPT from \S+\[{stranger.host.v4}\]", mark)


# ---- submission ----

SUBMISSION = {"submission/inet": "submission inet n - y - - smtpd -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt"
                                 " -o { mynetworks = 192.0.2.0/24 } -o smtpd_client_restrictions=permit_mynetworks,reject",
              "smtps/inet": "smtps inet n - y - - smtpd -o syslog_name=postfix/submissions -o smtpd_tls_wrappermode=yes"
                            " -o { mynetworks = 192.0.2.0/24 } -o smtpd_client_restrictions=permit_mynetworks,reject"}


def tls(sock):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock)


def encrypted(client):
    """The same connection in TLS."""
    client.ask("STARTTLS", 220)
    return Bare(None, None, sock=tls(client.sock))


SESSIONS = ("sotto-front", "sotto-session")


def ours(server):
    return [name for _, name, _ in server.host.processes() if name in SESSIONS]


def hand_in(stranger, server, port):
    """A user's mail program hands in a letter for the server's own bert; all that the server said to it before the message's number."""
    message = Message("anna@p.example", f"bert@{server.domain}")
    sock = stranger.host.socket()
    sock.settimeout(30)
    sock.connect((server.host.v4, port))
    heard = []
    with Bare(None, None, sock=tls(sock) if port == 465 else sock) as client:
        heard += client.reply() + client.ask("EHLO laptop.p.example", 250)
        heard += client.ask("XSOTTO 1 1216", 5)
        with encrypted(client) if port == 587 else contextlib.nullcontext(client) as inner:
            heard += inner.ask("EHLO laptop.p.example", 250)
            heard += inner.ask(f"MAIL FROM:<{message.sender}>", 250) + inner.ask(f"RCPT TO:<{message.recipients[0]}>", 250)
            assert not ours(server), "something of ours runs beside a submission"
            inner.ask("DATA", 354)
            inner.send(message.smtp)
            assert inner.reply()[-1].startswith(server.accepted)
            inner.ask("QUIT", 221)
    delivered = server.await_token("bert", message)
    assert not difference(delivered, message)
    return heard, [name for name, _ in headers(delivered)]


@pytest.mark.parametrize("port", [587, 465])
def test_submission_is_not_touched(lab, watch, stranger, postfix, port):
    """Users who hand in mail get the same answers and the same headers with Sotto as without; nothing of ours is offered to them, or runs for them."""
    certified(lab, postfix)
    with administered(postfix, USED, SUBMISSION, sotto=False):
        before = hand_in(stranger, postfix, port)
        lines = {name: postfix.postconf("-M", name) for name in SUBMISSION}
    with administered(postfix, USED, SUBMISSION):
        assert "XSOTTO" in str(offers(stranger.host, postfix.host))
        postfix.host.await_quiet(lambda name, state: name in SESSIONS, 20)
        assert hand_in(stranger, postfix, port) == before
        assert {name: postfix.postconf("-M", name) for name in SUBMISSION} == lines
    assert "XSOTTO" not in str(before) and b"XSOTTO" not in b"".join(watch.wire.octets(s) for s in watch.wire.from_port(port))


# ---- while mail flows ----

# the second: Postfix has noted that nobody was there, and spares itself the next tries
NOBODY_LISTENS = r"while receiving the initial server greeting|delivery temporarily suspended|Connection (?:refused|reset)"


@pytest.mark.long
def test_switched_while_mail_flows(watch, two):
    """
    Switched on and off again while letters come and go: each arrives, once, whichever way it takes, and at the first attempt; all but who comes in the very
    moment in which Postfix listens anew, as the one on port 25 has another name: there is nobody then, and no reply. No client hears one of ours that is none of smtpd's.
    """
    ours, other = two
    letters, over = [], threading.Event()

    def keep_sending():
        while not over.is_set():
            for origin, target in ((ours, other), (other, ours)):
                letters.append((origin, target, letter(origin, target)))
                origin.submit(letters[-1][2])

    with stock(ours, running=True):
        ours.reload()
        thread = threading.Thread(target=keep_sending, daemon=True)
        thread.start()
        try:
            for _ in range(2):
                say(ours, "enable")
                say(ours, "disable")
        finally:
            over.set()
            thread.join()
        assert len(letters) >= 20
        for origin, target in ((ours, other), (other, ours)):
            sent = [one for one in letters if one[0] is origin]
            watch.await_log(origin, rf"to=<bert@{target.domain}>.*status=", len(sent))
        slow = [one for server in two for one in outcomes(watch.log(server)) if one["status"] != "sent"]
        assert all(re.search(NOBODY_LISTENS, one["text"]) for one in slow) and len(slow) < len(letters) / 2, slow
        for server in two:
            server.run_queue()
        for _, target, message in letters:
            assert not difference(target.await_token("bert", message), message)
        for server in two:
            server.await_empty_queue()
            assert len(server.delivered("bert")) == len([one for one in letters if one[1] is server]) and not server.delivered("anna")
