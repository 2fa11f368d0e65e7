# SPDX-License-Identifier: ISC
"""sotto.conf's pin, observe and padding, and the memory of offers, as the man page sotto.conf(5) describes them."""

import contextlib
import re

import pytest

from .statefile import checked
from .tap import HELLO, records
from .test_exim import arrives, letter
from .test_exim_peers import keyword_offered
from .test_modes import STATE, retry_at_once, two    # noqa: F401: a fixture
from .watch import is_probe


# ---- pin ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def another_key(server, how):
    """The server shows another identity key than before ("changed"), or none ("absent")."""
    path = server.host.path(f"{STATE}/identity")
    before = path.read_bytes()
    if how == "changed":
        path.write_bytes(b"5a" * 32 + before[64:])
    else:
        path.chmod(0)
    try:
        yield
    finally:
        path.chmod(0o600)
        path.write_bytes(before)


def identity_lines(watch, server):
    return [line for line in server.sotto_log()[watch.marks[server][1]:] if ": identity: " in line]


def send_sealed(watch, origin, target, count):
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    watch.await_said(origin, "connect", "sealed", count)
    return watch.said(origin, "connect", outcome="sealed")[-1].line


WORDS = {"changed": "shows a key that was not seen before", "absent": "shows no key, and did before"}


@pytest.mark.parametrize("how", list(WORDS))
@pytest.mark.parametrize("pin", ["log", "off"])
def test_pin_lets_pass(watch, two, pin, how):
    """pin = log: a changed or absent key is a warning, and mail goes, sealed. pin = off: it is not looked at."""
    origin, target = two
    with origin.sotto_conf(pin="log"):
        assert " identity=first " in send_sealed(watch, origin, target, 1)
        assert " identity=known " in send_sealed(watch, origin, target, 2)
    with origin.sotto_conf(pin=pin), another_key(target, how):
        line = send_sealed(watch, origin, target, 3)
    told = identity_lines(watch, origin)
    if pin == "log":
        assert f" identity={how} " in line
        assert len(told) == 1 and f"identity: peer={target.name}[{target.host.v4}]:25 {WORDS[how]}" in told[0], told
    else:
        assert re.search(r" identity=(first|none) ", line) and not told, (line, told)


@pytest.mark.parametrize("how", list(WORDS))
def test_pin_enforce(watch, two, how):
    """pin = enforce: with a changed or absent key nothing is sent, not in the clear either, and mail waits until the key is back."""
    origin, target = two
    with origin.sotto_conf(pin="enforce"):
        assert " identity=first " in send_sealed(watch, origin, target, 1)
        message = letter(origin, target)
        with another_key(target, how):
            origin.submit(message)
            watch.await_log(origin, origin.deferred(message.recipients[0]))
            assert len(origin.queue()) == 1 and len(target.delivered("bert")) == 1
        refused = [line for line in origin.sotto_log()[watch.marks[origin][1]:] if f" identity={how} " in line]
        assert refused and all("cause=\"the peer's identity key changed\"" in line for line in refused), refused
        assert identity_lines(watch, origin) and WORDS[how] in identity_lines(watch, origin)[0]
        retry_at_once(origin)
        origin.run_queue()
        arrives(watch, origin, target, message)
    assert not watch.wire.find(*message.secrets)


# ---- memory of offers -----------------------------------------------------------------------------------------


def yesterday(server):
    """What the server remembers of its peers is a day older."""
    for path in server.host.path(f"{STATE}/peers").glob("*"):
        path.write_bytes(checked(re.sub(rb"(?m)^(seen|offer-seen|sealed) (\d{5,})$", lambda m: b"%s %d" % (m[1], int(m[2]) - 86400), path.read_bytes())))


def downgrades(watch, server):
    return [line for line in server.sotto_log()[watch.marks[server][1]:] if ": downgrade: " in line]


def downgraded(watch, two, outcome, count):
    """Two letters go in the clear, for which so many sessions end with that outcome; told is it once."""
    origin, target = two
    send_sealed(watch, origin, target, 1)
    yesterday(origin)
    with target.sotto_conf(exclude=[origin.host.v4]):
        for _ in range(2):
            message = letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message)
    watch.await_said(origin, "connect", outcome, count)
    told = downgrades(watch, origin)
    assert len(told) == 1 and f"downgrade: peer={target.name}[{target.host.v4}]:25 offered XSOTTO before and does not any more" in told[0], told


def test_downgrade(watch, two):
    """Who offered XSOTTO yesterday and does not today: a warning, once; mail goes in the clear. Offered again, it is sealed again."""
    origin, target = two
    downgraded(watch, two, "clear", 2)
    assert all('cause="not offered"' in one.line for one in watch.said(origin, "connect", outcome="clear"))
    send_sealed(watch, origin, target, 2)


def refused_after_a_downgrade(watch, two, entry, deferred):
    """Required by that entry: refused, with the warning and that line of the mail server's own, until the offer is back."""
    origin, target = two
    with origin.sotto_conf(require=[entry]):
        send_sealed(watch, origin, target, 1)
        yesterday(origin)
        message = letter(origin, target)
        with target.sotto_conf(exclude=[origin.host.v4]):
            origin.submit(message)
            watch.await_log(origin, deferred)
            assert len(downgrades(watch, origin)) == 1 and len(target.delivered("bert")) == 1
            assert 'cause="not offered"' in watch.said(origin, "connect", outcome="refused")[0].line
        retry_at_once(origin)
        origin.run_queue()
        arrives(watch, origin, target, message)
    assert not watch.wire.find(*message.secrets)


def test_downgrade_refused(watch, two):
    """... and who is required gets nothing: refused, with the warning, until the offer is back."""
    refused_after_a_downgrade(watch, two, two[1].name, r"== bert@\S+ .*defer.*451")


# ---- observe, padding ---------------------------------------------------------------------------------------


def test_observe(watch, two, stranger):
    """observe seals nothing and offers nothing; the log says of each host that we connect to whether it could have been sealed, and the state remembers."""
    origin, target = two
    with origin.sotto_conf(mode="observe"):
        for other in (target, stranger):
            message = letter(origin, other)
            origin.submit(message)
            arrives(watch, origin, other, message)
        back = letter(target, origin)
        target.submit(back)
        arrives(watch, target, origin, back)
        watch.await_said(origin, "connect", "clear", 2)
        assert 'cause="mode observe, XSOTTO was offered"' in watch.said(origin, "connect", target.host)[0].line
        assert 'cause="not offered"' in watch.said(origin, "connect", stranger.host)[0].line
        assert 'cause="not offered"' in watch.said(target, "connect", origin.host)[0].line
        for other, offered in ((target, b"yes"), (stranger, b"no")):
            assert b"\noffered " + offered + b"\n" in origin.host.read(f"{STATE}/peers/{other.host.v4}")
        with origin.sotto_conf(require=[target.domain]):
            send_sealed(watch, origin, target, 1)
    assert not keyword_offered(watch.wire, origin)
    assert watch.wire.find(*back.secrets[:3])


def sizes(watch, origin, target):
    """The lengths of the records that the client, and that the server, put on the wire."""
    (client,) = [one for one in watch.wire.to_port(25, origin.host.v4, target.host.v4) if not (origin.probes and is_probe(watch.wire, one))]
    sent, said = watch.wire.octets(client), watch.wire.octets(watch.wire.reverse(client))
    command = re.search(rb"XSOTTO 1 1216\r\n", sent).end() + HELLO["client"]
    reply = re.search(rb"\r\n250 [^\r\n]*\r\n220 [^\r\n]*\r\n", said).end() + HELLO["server"]
    return records(sent[command:]), records(said[reply:])


@pytest.mark.parametrize("padding", ["on", "off"])
def test_padding(watch, two, padding):
    """With padding no record is smaller than 1041 octets; without, ours are as small as what is in them, and the other side's are padded all the same."""
    origin, target = two
    with origin.sotto_conf(padding=padding):
        send_sealed(watch, origin, target, 1)
    ours, theirs = sizes(watch, origin, target)
    assert min(theirs) >= 1024 + 16
    if padding == "on":
        assert min(ours) >= 1024 + 16
    else:
        assert min(ours) == 17 and max(ours) < 1024 + 16, ours      # 17: CLOSE, one octet of type and the tag
