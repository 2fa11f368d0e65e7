# SPDX-License-Identifier: ISC
"""STARTTLS and Sotto: inside a sealed session, skipped there, and with a host that has no Sotto."""

import contextlib
import re
import ssl

import pytest

from .message import Message
from .smtp import Bare
from .test_exim import arrives, letter, several
from .test_exim_peers import hand_over

CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", "/etc/exim4/exim.key",
               "-out", "/etc/exim4/exim.crt"]


def certify(server):
    """A certificate for the host, signed by itself, where Debian's configuration looks for it."""
    if server.host.read("/etc/exim4/exim.crt"):
        return
    server.host.run([*CERTIFICATE, "-subj", f"/CN={server.name}", "-addext", f"subjectAltName=DNS:{server.name}"])
    server.host.run(["chown", "root:Debian-exim", "/etc/exim4/exim.key"])
    server.host.run(["chmod", "640", "/etc/exim4/exim.key"])


@contextlib.contextmanager
def with_tls(server):
    """The server offers STARTTLS with a certificate of its own, as MAIN_TLS_ENABLE does on Debian."""
    certify(server)
    with server.configured("MAIN_TLS_ENABLE = yes", starttls=True):
        yield server


@pytest.fixture
def tls_pair(pair):
    """Both ends offer STARTTLS."""
    with with_tls(pair[0]), with_tls(pair[1]):
        yield pair


def used_tls(watch, origin, target):
    """What the two logs say: [origin used TLS, target used TLS], for each delivery and arrival."""
    return ([" X=TLS" in line for line in watch.log(origin) if "T=remote_smtp" in line and "=> " in line],
            [" X=TLS" in line for line in watch.log(target) if f"<= anna@{origin.domain} H=" in line])


def hidden(watch, origin, target, message, count=1):
    """Sealed, or in the control run at least encrypted by TLS."""
    if watch.sealing:
        return watch.sealed(origin, target, message, count=count)
    assert not watch.wire.find(message.subject)
    return []


def test_starttls_inside(watch, tls_pair):
    """STARTTLS happens inside the sealed session: both Exims log TLS, and on the wire XSOTTO is the only command after EHLO."""
    origin, target = tls_pair
    message = letter(origin, target)
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    assert used_tls(watch, origin, target) == ([True], [True])
    watch.traced(delivered, hidden(watch, origin, target, message))


def test_starttls_as_debian_ships_it(watch, pair):
    """Nothing but Debian's defaults and the one line: Exim's made-up certificate and STARTTLS go on working inside."""
    origin, target = pair
    with target.configured(starttls=True):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        assert used_tls(watch, origin, target) == ([True], [True])
        hidden(watch, origin, target, message)


def test_several_with_starttls_inside(watch, tls_pair):
    """Several messages down one connection with TLS inside the sealed session (Exim's TLS proxy process stands between)."""
    origin, target = tls_pair
    messages = several(watch, origin, target, 3)
    assert len(watch.await_log(origin, r"=> bert@.* \[[0-9.]+\]\*", count=2)) == 2
    hidden(watch, origin, target, messages[0])


def test_big_message_with_starttls_inside(watch, tls_pair):
    """Five megabytes, twice encrypted, arrive octet for octet."""
    origin, target = tls_pair
    message = letter(origin, target, body="0123456789abcdef" * 50 + "\n" + ("five megabytes of this line, more or less\n" * 120_000))
    origin.submit(message)
    arrives(watch, origin, target, message, seconds=120)
    hidden(watch, origin, target, message)


def test_starttls_skipped(watch, tls_pair, needs_sotto):
    """starttls = skip: no TLS inside the sealed session, by both Exims' logs; still nothing to read on the wire."""
    origin, target = tls_pair
    with origin.sotto_conf(starttls="skip"):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        assert used_tls(watch, origin, target) == ([False], [False])
        watch.sealed(origin, target, message)


def test_skip_does_not_apply_where_tls_is_demanded(watch, tls_pair, needs_sotto):
    """starttls = skip counts as keep for a host in hosts_require_tls: there is TLS inside, and no deferral."""
    origin, target = tls_pair
    with origin.configured("REMOTE_SMTP_HOSTS_REQUIRE_TLS = *"), origin.sotto_conf(starttls="skip"):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        assert used_tls(watch, origin, target) == ([True], [True])
        watch.sealed(origin, target, message)


def test_skip_does_not_apply_where_dane_may_demand_tls(lab, watch, tls_pair, needs_sotto):
    """starttls = skip counts as keep for a host with a TLSA record: there is TLS inside."""
    origin, target = tls_pair
    before = list(lab.dns.records)
    lab.dns.add(f"_25._tcp.{target.name}. TLSA 3 1 1 {'ab' * 32}")
    try:
        with origin.sotto_conf(starttls="skip"):
            message = letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message)
        assert used_tls(watch, origin, target) == ([True], [True])
        watch.sealed(origin, target, message)
    finally:
        lab.dns.set(before)


def test_tls_on_connect_is_none_of_ours(watch, server, stranger):
    """Where port 25 speaks TLS from the first octet, there is no keyword and no session, and mail is taken as ever."""
    with with_tls(server), server.configured("tls_on_connect_ports = 25", starttls=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = stranger.host.socket()
        raw.settimeout(30)
        raw.connect((server.host.v4, 25))
        with Bare(stranger.host, server.host, sock=context.wrap_socket(raw)) as client:
            assert client.reply()[0].startswith(f"220 {server.name} ESMTP Exim")
            assert not [line for line in client.ask("EHLO mx.p.example", 250) if "XSOTTO" in line]
            hand_over(client, server, Message("anna@p.example", f"bert@{server.domain}"))
        assert not watch.said(server, "accept")


@pytest.mark.parametrize("starttls", ["keep", "skip"])
def test_starttls_with_a_stranger(watch, server, stranger, sealing, starttls):
    """A host without Sotto that offers STARTTLS gets STARTTLS, whatever starttls says: TLS is never weakened."""
    settings = server.sotto_conf(starttls=starttls) if sealing else contextlib.nullcontext()
    with with_tls(stranger), settings:
        message = send(watch, server, stranger)
        assert used_tls(watch, server, stranger) == ([True], [True])
        assert not watch.wire.find(message.subject, *message.secrets[-3:])
        assert watch.wire.find("STARTTLS")


def send(watch, origin, target):
    message = Message(f"anna@{origin.domain}", f"bert@{target.domain}")
    origin.submit(message)
    arrives(watch, origin, target, message)
    return message


def test_a_stranger_gets_starttls(watch, server, stranger):
    """A host without Sotto that connects to us finds our STARTTLS and uses it."""
    with with_tls(server):
        message = send(watch, stranger, server)
        assert used_tls(watch, stranger, server) == ([True], [True])
        assert re.search(rb"250[- ]STARTTLS\r\n", b"".join(watch.wire.octets(s) for s in watch.wire.from_port(25)))
        assert not watch.wire.find(message.subject)
