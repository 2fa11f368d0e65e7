# SPDX-License-Identifier: ISC
"""
Users who log in (Cyrus SASL, a table of passwords): on ports 587 and 465 nothing is another with Sotto than without, and what they send goes out sealed; where logging
in is possible on port 25 as well, it is so through the front, and inside of a sealed session.
"""

import base64
import contextlib
import ssl

import pytest

from .administrator import administered
from .certificates import USED, certified
from .message import Message, difference
from .smtp import Bare
from .test_exim_peers import hand_over
from .test_fail2ban import sealed_client

pytestmark = pytest.mark.usefixtures("needs_sotto")
IN_CHECK = r"3\.7-to-3\.10-587|3\.10-to-3\.7-465|port_25\[3\.7-to|inside_a_sealed_session\[3\.10-to|offered_it\[3\.7-to"
OPTIONS = " -o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject"
SUBMISSION = {"submission/inet": "submission inet n - y - - smtpd -o syslog_name=postfix/submission -o smtpd_tls_security_level=encrypt" + OPTIONS,
              "submissions/inet": "submissions inet n - y - - smtpd -o syslog_name=postfix/submissions -o smtpd_tls_wrappermode=yes" + OPTIONS}
ANYWHERE = {**USED, "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_local_domain": "$myhostname"}
TABLE = "/etc/sasldb2"
PASSWORD = "under the blue flower pot"


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def two(postfixes, request):
    return tuple(postfixes[letter] for letter in request.param)


def plain(server, password):
    return "AUTH PLAIN " + base64.b64encode(f"\0anna@{server.name}\0{password}".encode()).decode()


def with_password(lab, server):
    """Anna has a password, in Cyrus SASL's own table, where the chrooted smtpd finds it."""
    server.host.write("/etc/postfix/sasl/smtpd.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n")
    path = "/var/spool/postfix" + TABLE
    server.host.run(["saslpasswd2", "-c", "-p", "-f", path, "-u", server.name, "anna"], PASSWORD.encode())
    server.host.run(["chown", "postfix", path])
    certified(lab, server)


@contextlib.contextmanager
def client(stranger, server, port):
    """One that is no neighbour of the server's, with TLS where the port wants it; what the server said up to then is in .heard."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = stranger.host.socket()
    raw.settimeout(30)
    raw.connect((server.host.v4, port))
    heard = []
    if port == 587:
        bare = Bare(None, None, sock=raw)
        heard = [bare.reply(), bare.ask("EHLO mx.p.example", 250), bare.ask("STARTTLS", 220)]
    with Bare(None, None, sock=raw if port == 25 else context.wrap_socket(raw)) as talk:
        talk.heard = heard + ([] if port == 587 else [talk.reply()])
        yield talk


def log_in(talk, server, relay_to):
    """What it hears: EHLO's reply, a wrong password, no way to relay, the right password, a way to relay."""
    heard = [talk.ask("EHLO mx.p.example", 250)]
    heard += [talk.ask(plain(server, "under the red one"), 535), talk.ask("MAIL FROM:<anna@" + server.domain + ">", 250)]
    heard += [talk.say(f"RCPT TO:<{relay_to}>"), talk.ask("RSET", 250)]
    assert heard[-2][-1][:2] in ("45", "55"), heard
    heard += [talk.ask(plain(server, PASSWORD), 235), talk.ask("MAIL FROM:<anna@" + server.domain + ">", 250), talk.ask(f"RCPT TO:<{relay_to}>", 250)]
    return [*heard, talk.ask("RSET", 250)]


def logged_in(server, mark, at="smtpd"):
    """The names in the log of those who have logged in, and from where."""
    return server.await_log(rf"postfix/{at}\[\d+\]: .*client=mx\.p\.example\[192\.0\.2\.\d+\], sasl_method=PLAIN, sasl_username=anna@{server.name}$", mark)


@pytest.mark.parametrize("port", [587, 465])
def test_submission(lab, watch, two, stranger, port):
    """The same words in both directions with Sotto as without, wrong and right passwords included; a letter of a user's goes out sealed with it."""
    origin, target = two
    with_password(lab, origin)
    heard, letters = [], []
    for sotto in (False, True):
        with administered(origin, {**USED, "smtpd_sasl_local_domain": "$myhostname"}, SUBMISSION, sotto=sotto):
            mark, message = len(origin.log()), Message(f"anna@{origin.domain}", f"bert@{target.domain}")
            with client(stranger, origin, port) as talk:
                heard.append(talk.heard + log_in(talk, origin, message.recipients[0]))
                talk.ask(f"MAIL FROM:<{message.sender}>", 250)
                talk.ask(f"RCPT TO:<{message.recipients[0]}>", 250)
                talk.ask("DATA", 354)
                talk.send(message.smtp)
                assert talk.reply()[-1].startswith(origin.accepted)
                talk.ask("QUIT", 221)
            logged_in(origin, mark, "submissions?/smtpd" if port == 465 else "submission/smtpd")
            assert not difference(target.await_token("bert", message), message)
            origin.await_empty_queue()
            letters.append(message)
    assert heard[0] == heard[1] and "XSOTTO" not in str(heard)
    assert any(line[4:].split() == ["AUTH", "PLAIN", "LOGIN"] for line in heard[0][-9]), heard[0]
    assert watch.wire.find(letters[0].subject) and not watch.wire.find(letters[1].subject, letters[1].message_id)


def test_on_port_25(lab, watch, two, stranger):
    """On port 25, to a client in the clear: the front adds the keyword to EHLO's reply, and nothing else is another; the log knows the client."""
    server, target = two
    with_password(lab, server)
    heard = []
    for sotto in (False, True):
        with administered(server, ANYWHERE, sotto=sotto), client(stranger, server, 25) as talk:
            mark = len(server.log())
            heard.append(talk.heard + log_in(talk, server, f"bert@{target.domain}"))
            message = Message("anna@p.example", f"bert@{server.domain}")
            hand_over(talk, server, message)
            logged_in(server, mark)
    offered = [[line[4:] for line in lines] for lines in (heard[0][1], heard[1][1])]
    assert "XSOTTO 1" in offered[1] and "AUTH PLAIN LOGIN" in offered[0]
    assert [line for line in offered[1] if line != "XSOTTO 1"] == offered[0]
    assert [lines for at, lines in enumerate(heard[0]) if at != 1] == [lines for at, lines in enumerate(heard[1]) if at != 1]
    assert len(watch.said(server, "accept", stranger.host, "clear")) == 1


def test_who_is_offered_it(lab, two, stranger):
    """smtpd_sasl_exceptions_networks means the real client, of whom smtpd behind the front is told."""
    server, _ = two
    with_password(lab, server)
    offers = []
    for address in (stranger.host.v4, server.host.v4):
        with administered(server, {**ANYWHERE, "smtpd_sasl_exceptions_networks": address}), client(stranger, server, 25) as talk:
            offers.append("AUTH" in str(talk.ask("EHLO mx.p.example", 250)))
    assert offers == [False, True]


def test_inside_a_sealed_session(lab, watch, two):
    """A client with Sotto finds AUTH inside, and what it says there, its password as well, nobody reads."""
    origin, server = two
    with_password(lab, server)
    message = Message(f"anna@{origin.domain}", f"bert@{server.domain}")
    with administered(server, ANYWHERE):
        with sealed_client(origin, server) as talk:
            talk.reply()
            heard = log_in(talk, server, "somebody@h.example")
            assert "AUTH PLAIN LOGIN" in str(heard[0]) and "XSOTTO" not in str(heard[0])
            hand_over(talk, server, message)
    watch.sealed(origin, server, message, also=[plain(server, PASSWORD)])
