# SPDX-License-Identifier: ISC
"""The files require and exclude, entry by entry, and mode = off, as the man page sotto.conf(5) describes them."""

import contextlib
import re
import socket

import pytest

from .message import Message
from .smtp import Bare
from .test_exim import arrives, letter

LIBRARY = "/usr/lib/sotto/exim-sotto.so"
PROGRAM = "/usr/libexec/sotto/sotto-session"
STATE = "/var/lib/sotto"


@pytest.fixture(params=[("a", "c"), ("c", "a")], ids=["4.96-to-4.98", "4.98-to-4.96"])
def two(lab, request, needs_sotto):
    """(origin, target): either version in either role."""
    return tuple(lab.servers[name] for name in request.param)


def six_letter(origin, target):
    return Message(f"anna@{origin.domain}", f"bert@six.{target.domain}")


def entries(server):
    """Every kind of entry that names this host: [(entry, only over this version of IP or None)]."""
    host = server.host
    return [(server.domain, 4), (f"six.{server.domain}", 6), ("." + server.domain, 6), (server.name.upper() + ".", 4), (f"mx6.{server.domain}", 6),
            (f"{host.v4}  # a comment", 4), ("192.0.2.0/25", 4), (f"::ffff:{host.v4}", 4), (host.v6, 6), ("2001:db8:0:0::/64", 6), ("*", 4), ("*", 6)]


def others(server):
    """Entries that are close to these, and name somebody else."""
    return [f"x{server.domain}", f".{server.name}", "192.0.2.128/25", "192.0.2.199", "2001:db8:1::/48", "2001:db8::1:0", f"#{server.domain}", f"!{server.domain}"]


def retry_at_once(server):
    """Exim forgets when it wanted to try again."""
    server.forget_hosts()


# ---- require ------------------------------------------------------------------------------------------------


def test_required_by_every_kind_of_entry(watch, server, stranger, needs_sotto):
    """A host without Sotto that is listed by domain, parent domain, name, address or network, over IPv4 or IPv6, gets nothing."""
    sent = []
    for entry, version in entries(stranger):
        with server.sotto_conf(require=["", "# nobody", entry]):
            message = letter(server, stranger) if version == 4 else six_letter(server, stranger)
            sent.append(message)
            server.submit(message)
            watch.await_log(server, r"== bert@\S+ .*defer", count=len(sent))
            assert len(server.queue()) == 1, f"{entry}: {server.queue()}"
            server.clear_queue()
            retry_at_once(server)
    assert not stranger.delivered("bert")
    assert not watch.wire.find(*[secret for message in sent for secret in message.secrets])


def test_not_required(watch, server, stranger, needs_sotto):
    """Entries that are only similar require nothing: mail goes in the clear."""
    with server.sotto_conf(require=others(stranger)):
        for message in (letter(server, stranger), six_letter(server, stranger)):
            server.submit(message)
            arrives(watch, server, stranger, message)


def clear_client(server, stranger, family):
    """What a client without Sotto hears in answer to MAIL."""
    with Bare(stranger.host, server.host, family=family) as client:
        greeting = client.reply()
        assert greeting[0].startswith("220"), greeting
        client.ask("EHLO mx.p.example", 250)
        return client.say("MAIL FROM:<anna@p.example>")[-1]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_required_of_clients(watch, server, stranger, needs_sotto, family):
    """A client that is listed by address, network, or the name that Exim has looked up, hears 451; one that is not, 250."""
    host, v4 = stranger.host, family == socket.AF_INET
    for entry in ([host.v4, "192.0.2.0/25"] if v4 else [host.v6, "2001:db8::/64"]) + [".p.example", "*"]:
        with server.sotto_conf(require=[entry]):
            assert clear_client(server, stranger, family).startswith("451 4.7.0 Encryption (XSOTTO) is required here"), entry
    with server.sotto_conf(require=others(stranger)):
        assert clear_client(server, stranger, family).startswith("250")
    watch.await_said(server, "accept", "refused", 4)


def test_required_over_excluded(watch, two):
    """`*` in exclude and one name in require: that one always sealed, all others never."""
    origin, target = two
    with origin.sotto_conf(exclude=["*"], require=[target.domain]):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.sealed(origin, target, message)


# ---- require, where we cannot work ----------------------------------------------------------------------------


@contextlib.contextmanager
def away(server, path, instead=None):
    """Without one of our files, or with a program in its place that ends at once."""
    server.host.run(["sh", "-ec", f"mv {path} {path}.away" + (f"; cp {instead} {path}" if instead else "")])
    try:
        yield
    finally:
        server.host.run(["mv", f"{path}.away", path])


BROKEN = {"library missing": (LIBRARY, None), "program missing": (PROGRAM, None), "program ends at once": (PROGRAM, "/bin/false"),
          "state missing": (STATE, None), "settings missing": ("/etc/sotto/sotto.conf", None)}


@pytest.mark.parametrize("fault", list(BROKEN))
def test_required_without_us(watch, server, stranger, needs_sotto, fault):
    """Whatever of us is missing: who is required gets nothing in the clear, in either direction, and others get their mail."""
    path, instead = BROKEN[fault]
    with away(server, path, instead):
        for entry, version in entries(stranger):
            with server.sotto_conf(require=[*others(stranger), entry]):
                message = letter(server, stranger) if version == 4 else six_letter(server, stranger)
                server.submit(message, "-odi")
                assert len(server.queue()) == 1, f"{entry}: not held back"
                server.clear_queue()
                retry_at_once(server)
        for entry in (stranger.host.v4, "192.0.2.0/25", "*"):
            with server.sotto_conf(require=[entry]):
                assert not said_250(server, stranger, socket.AF_INET), entry
        for entry in (stranger.host.v6, "2001:db8::/64"):
            with server.sotto_conf(require=[entry]):
                assert not said_250(server, stranger, socket.AF_INET6), entry
        assert not stranger.delivered("bert")
        with server.sotto_conf(require=others(stranger)):
            message = letter(server, stranger)
            server.submit(message)
            arrives(watch, server, stranger, message)
            assert said_250(server, stranger, socket.AF_INET) and said_250(server, stranger, socket.AF_INET6)


def said_250(server, stranger, family):
    """Was a client in the clear let as far as MAIL? Otherwise it must have been told to come back later."""
    with Bare(stranger.host, server.host, family=family) as client:
        for line in (None, "EHLO mx.p.example", "MAIL FROM:<anna@p.example>"):
            answer = client.reply() if line is None else client.say(line)
            if answer[-1][:1] == "4":
                return False
            assert answer[-1][:1] == "2", answer
    return True


def test_required_without_a_process(watch, server, stranger, needs_sotto):
    """No process can be made: the required domain's mail stays, anybody else's goes."""
    message, other = letter(server, stranger), six_letter(server, stranger)
    for one in (message, other):
        server.submit(one, "-odq")
    with server.sotto_conf(require=[stranger.domain]):
        server.host.run(["prlimit", "--nproc=1", "/usr/sbin/exim4", "-qff"], seconds=120)
        stranger.await_token("bert", other)
        assert len(server.queue()) == 1
        watch.await_log(server, rf"== bert@{re.escape(stranger.domain)} .*no session|sotto: ")
    assert not watch.wire.find(message.message_id, message.subject)
    panic = server.host.path("/var/log/exim4/paniclog")     # of the limit itself, which Exim wants to raise
    assert all("RLIMIT_NPROC" in line for line in panic.read_text(encoding="utf-8").splitlines())
    panic.unlink()


@pytest.fixture
def second_domain(lab, stranger):
    """Another domain of the stranger's, on the same host."""
    before, name = list(lab.dns.records), "second.p.example"
    lab.dns.add(f"{name}. MX 10 {stranger.name}.")
    with stranger.configured(debconf={"dc_other_hostnames": f"{stranger.domain} : {name}"}):
        yield name
    lab.dns.set(before)


@pytest.mark.parametrize("library", [True, False], ids=["with the library", "without"])
def test_two_domains_of_one_host(watch, server, stranger, second_domain, needs_sotto, library):
    """A required domain's message follows no other domain's down a connection in the clear, nor does one message for both."""
    wanted, other, both = (Message(f"anna@{server.domain}", people) for people in
                           (f"bert@{stranger.domain}", f"bert@{second_domain}", [f"bert@{stranger.domain}", f"anna@{second_domain}"]))
    with contextlib.nullcontext() if library else away(server, LIBRARY), server.sotto_conf(require=[stranger.domain]):
        for one in (other, wanted):
            server.submit(one, "-odq")
        server.run_queue(one_connection=True)
        stranger.await_token("bert", other)
        assert len(server.queue()) == 1 and len(stranger.delivered("bert")) == 1
        server.submit(both, "-odi")
        assert len(server.queue()) == 2
    assert watch.wire.find(other.message_id) and not watch.wire.find(wanted.message_id, both.message_id)


def test_mode_off_switches_require_off(watch, server, stranger, needs_sotto):
    """mode = off means all of it, with the library and without; in a broken file it means nothing."""
    for present in (True, False):
        with server.sotto_conf(mode="off", require=["*"]), contextlib.nullcontext() if present else away(server, LIBRARY):
            message = letter(server, stranger)
            server.submit(message)
            arrives(watch, server, stranger, message)
            assert clear_client(server, stranger, socket.AF_INET).startswith("250")
    with server.sotto_conf(mode="off\nbogus = 1", require=["*"]):
        assert not said_250(server, stranger, socket.AF_INET)
    watch.clear(server, stranger, message)


# ---- exclude ------------------------------------------------------------------------------------------------


def test_excluded_by_every_kind_of_entry(watch, two):
    """Who is listed in exclude, by whatever entry, gets mail as if there were no Sotto: no XSOTTO, no session."""
    origin, target = two
    for entry, version in entries(target):
        with origin.sotto_conf(exclude=[entry]):
            message = letter(origin, target) if version == 4 else six_letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message)
            assert not watch.said(origin, "connect"), f"{entry}: {watch.said(origin, 'connect')[-1].line}"
    watch.clear(origin, target, message)


def test_excluded_clients(watch, server, stranger, needs_sotto):
    """A client that is listed in exclude is not offered XSOTTO, and its session is Exim's alone; another one is."""
    for family, entry, offered in ((socket.AF_INET, stranger.host.v4, False), (socket.AF_INET, "192.0.2.0/25", False), (socket.AF_INET6, stranger.host.v6, False),
                                   (socket.AF_INET6, "2001:db8::/64", False), (socket.AF_INET, "2001:db8::/64", True), (socket.AF_INET6, "192.0.2.0/24", True)):
        with server.sotto_conf(exclude=[entry]), Bare(stranger.host, server.host, family=family) as client:
            client.reply()
            assert ("250-XSOTTO 1" in client.ask("EHLO mx.p.example", 250)) == offered, entry
            client.ask("QUIT", 221)
    watch.await_said(server, "accept", "clear", 2)
    if server.kind == "exim":       # Postfix starts a session for each, and it passes it through
        assert len(watch.said(server, "accept")) == 2
