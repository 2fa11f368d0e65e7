# SPDX-License-Identifier: ISC
"""Mail from and to Postfix, each version, and between Postfix and Exim: what SMTP can do, it can do sealed."""

import contextlib
import re

import pytest

from .message import Message, difference, headers
from .test_exim import arrives, letter, random_lines, to
from .watch import assert_sealed, is_probe


def all_sealed_on_the_wire(watch, origin, target, *messages, also=()):
    """However many connections there were between the two: each was sealed, and nothing can be read. How many there were."""
    wire = watch.wire
    there = [s for s in wire.between(origin.host.v4, target.host.v4) + wire.between(origin.host.v6, target.host.v6)
             if s.target[1] == 25 and s.source[0] in (origin.host.v4, origin.host.v6) and not (origin.probes and is_probe(wire, s))]
    assert there
    for connection in there:
        assert_sealed(wire, connection)
    secrets = [secret for message in messages for secret in message.secrets] + list(also)
    assert not wire.find(*secrets), f"can be read on the wire ({wire.path})"
    return len(there)


def all_sealed(watch, origin, target, *messages, also=()):
    """The same, and both logs say it of each. Their ids."""
    if not watch.sealing:
        watch.clear(origin, target, *messages)
        return []
    count = all_sealed_on_the_wire(watch, origin, target, *messages, also=also)
    watch.await_said(origin, "connect", "sealed", count)
    watch.await_said(target, "accept", "sealed", count)
    out, into = watch.said(origin, "connect", target.host, "sealed"), watch.said(target, "accept", origin.host, "sealed")
    assert sorted(one.id for one in out) == sorted(one.id for one in into) and len(out) == count
    return [one.id for one in out]


def configured(server, postfix=None, exim=(), opensmtpd=()):
    """The same setting in the words of each; without any, where it is so anyhow."""
    if server.kind == "opensmtpd":
        return server.configured(*opensmtpd) if opensmtpd else contextlib.nullcontext()
    return server.configured(**postfix) if server.kind == "postfix" else server.configured(*exim)


def test_small_message(watch, mixed):
    """A letter arrives octet for octet; both logs call the session sealed, by one id; the trace names it; the tap reads nothing."""
    origin, target = mixed
    message = letter(origin, target)
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    ids = watch.sealed(origin, target, message)
    watch.traced(delivered, ids, target)


def test_mail_servers_log_the_peer(watch, mixed):
    """The receiving server's log, and its Received header, show the other host's real address."""
    origin, target = mixed
    message = letter(origin, target)
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    address = re.escape(origin.host.v4)
    patterns = {"postfix": rf"client=mx\S*\[{address}\]", "exim": rf"<= anna@{origin.domain} H=\S+ \[{address}\]",
                "opensmtpd": rf"smtp connected address={address} "}
    assert watch.await_log(target, patterns[target.kind])
    assert f"[{origin.host.v4}]" in dict(reversed(headers(delivered)))["received"]
    watch.sealed(origin, target, message)


def test_megabyte(watch, mixed):
    """So does a message of a megabyte."""
    origin, target = mixed
    message = letter(origin, target, body=random_lines(1_000_000))
    origin.submit(message)
    watch.traced(arrives(watch, origin, target, message, seconds=120), watch.sealed(origin, target, message), target)


@pytest.mark.long
def test_50_megabytes(watch, mixed):
    """So does one of 50 MB."""
    origin, target = mixed
    message = letter(origin, target, body=random_lines(50_000_000))
    limit = {"message_size_limit": "102400000", "mailbox_size_limit": "0"}
    with configured(origin, limit), configured(target, limit):
        origin.submit(message)
        arrives(watch, origin, target, message, seconds=120)
        all_sealed(watch, origin, target, message)


def test_hundreds_of_recipients(watch, mixed):
    """250 recipients of one message all get it; every connection is sealed, none of their names can be read."""
    origin, target = mixed
    people = [f"person{n}" for n in range(250)]
    if people[0] not in target.users:
        target.add_users(*people)
    message = Message(f"anna@{origin.domain}", [to(target, person) for person in people])
    origin.submit(message)
    for person in people:
        assert not difference(target.await_token(person, message), message)
    origin.await_empty_queue()
    # smtpd fills /dev/log with its own lines of them; a daemon of ours does not wait for room
    look = all_sealed_on_the_wire if watch.sealing and "opensmtpd" in (origin.kind, target.kind) else all_sealed
    look(watch, origin, target, message, also=[f"person{n}@" for n in range(40, 250)])


def test_some_refused(watch, mixed):
    """Refused recipients bounce, the others get the message; the refusals can't be read."""
    origin, target = mixed
    message = Message(f"anna@{origin.domain}", [to(target), to(target, "nobody.there"), to(target, "noone.else")])
    origin.submit(message)
    arrives(watch, origin, target, message)
    bounces = "".join(one.decode() for one in origin.await_mail("anna"))
    assert "nobody.there@" in bounces and "noone.else@" in bounces and "550" in bounces
    all_sealed(watch, origin, target, message, also=["User unknown", "Unrouteable address"])


def test_too_big(watch, mixed):
    """A message over the other server's limit bounces, and nothing of it can be read."""
    origin, target = mixed
    with configured(target, {"message_size_limit": "20480"}, ["MESSAGE_SIZE_LIMIT = 20K"], ["smtp max-message-size 20480"]):
        message = letter(origin, target, body=random_lines(40_000))
        origin.submit(message)
        bounce = origin.await_mail("anna")[0].decode()
        assert re.search("size|too big|too large", bounce, re.I) and message.subject in bounce
        origin.await_empty_queue()
        assert target.delivered("bert") == []
        if watch.sealing:
            assert not watch.wire.find(*message.secrets)


KEYWORDS = {"without-chunking": ("chunking", "chunking_advertise_hosts ="), "without-pipelining": ("pipelining", "pipelining_advertise_hosts =")}


@pytest.mark.parametrize("how", KEYWORDS)
def test_keywords(watch, mixed, how):
    """Where the other server does not offer CHUNKING or PIPELINING, it works without; lines that begin with dots come through."""
    origin, target = mixed
    keyword, macro = KEYWORDS[how]
    message = Message(f"anna@{origin.domain}", [to(target), to(target, "carl")], body=".\n..\n. one\n.two\n...\n\n.\nFrom here\n" + "x" * 990 + "\n.\n")
    with configured(target, {"smtpd_discard_ehlo_keywords": keyword}, [macro]):
        origin.submit(message)
        arrives(watch, origin, target, message)
        assert not difference(target.await_token("carl", message), message)
        all_sealed(watch, origin, target, message)


def test_8bitmime(watch, mixed):
    """Every octet from 0x80 to 0xff arrives as it was sent (8BITMIME)."""
    origin, target = mixed
    body = b"\n".join(bytes(range(start, start + 16)) * 4 for start in range(0x80, 0x100, 16)) + b"\nplain line at the end of it\n"
    message = letter(origin, target, body=body)
    origin.submit(message)
    arrives(watch, origin, target, message)
    watch.sealed(origin, target, message)


def test_ipv6(watch, mixed):
    """Over IPv6 it is the same: delivered, sealed, logged with the IPv6 address."""
    origin, target = mixed
    message = Message(f"anna@{origin.domain}", f"bert@six.{target.domain}")
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    assert origin.host.v6 in dict(reversed(headers(delivered)))["received"]
    watch.traced(delivered, watch.sealed(origin, target, message), target)


def test_both_ways_at_once(watch, mixed):
    """Ten messages each way at the same time: all arrive, every session sealed."""
    origin, target = mixed
    forth = [letter(origin, target) for _ in range(10)]
    back = [letter(target, origin) for _ in range(10)]
    for one, other in zip(forth, back):
        origin.submit(one)
        target.submit(other)
    for one, other in zip(forth, back):
        arrives(watch, origin, target, one)
        arrives(watch, target, origin, other)
    all_sealed(watch, origin, target, *forth)
    all_sealed(watch, target, origin, *back)


def test_long_header_and_many(watch, mixed):
    """Long folded headers and hundreds of them come through."""
    origin, target = mixed
    extra = [f"X-Number-{n}: value {n} of very many" for n in range(300)]
    extra.append("X-Folded: " + "\n ".join("a piece of a long header" for _ in range(60)))
    message = letter(origin, target, extra_headers=extra)
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    assert len([name for name, _ in headers(delivered) if name.startswith("x-number-")]) == 300
    watch.sealed(origin, target, message, also=["X-Number-123", "value 200 of very many"])
