# SPDX-License-Identifier: ISC
"""Mail between two Exims that both have Sotto, each version to each: what SMTP can do, it can do sealed."""

import re

import pytest

from .message import Message, difference, headers


def to(target, user="bert"):
    return f"{user}@{target.domain}"


def letter(origin, target, **how):
    return Message(f"anna@{origin.domain}", to(target), **how)


def arrives(watch, origin, target, message, user="bert", seconds=60):
    """The message gets there, octet for octet."""
    delivered = target.await_token(user, message, seconds)
    wrong = difference(delivered, message)
    assert not wrong, wrong
    origin.await_empty_queue()
    return delivered


def random_lines(octets, seed=b"sotto"):
    """Text that looks like base64 without compressing, of about that many octets; always the same."""
    import base64
    import hashlib
    block = b"".join(hashlib.sha512(seed + bytes([n & 255, n >> 8])).digest() for n in range(1200))
    lines = b"\n".join(base64.b64encode(block[at:at + 57]) for at in range(0, len(block) - 57, 57)) + b"\n"
    return (lines * (octets // len(lines) + 1))[:octets].rpartition(b"\n")[0] + b"\n"


def test_small_message(watch, pair):
    """A letter arrives octet for octet; both logs call the session sealed, by one id; the trace names it; the tap reads nothing."""
    origin, target = pair
    message = letter(origin, target)
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    ids = watch.sealed(origin, target, message)
    watch.traced(delivered, ids)


def test_mail_servers_log_the_peer(watch, pair):
    """Exim's own logs show the other host's real address, in both directions, and not what stands between."""
    origin, target = pair
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    assert watch.await_log(origin, rf"=> {to(target)} .* H={re.escape(target.name)} \[{target.host.v4}\]")
    assert watch.await_log(target, rf"<= anna@{origin.domain} H={re.escape(origin.name)} \[{origin.host.v4}\]")
    watch.sealed(origin, target, message)


def big(watch, pair, octets):
    origin, target = pair
    message = letter(origin, target, body=random_lines(octets))
    origin.submit(message)
    delivered = arrives(watch, origin, target, message, seconds=120)
    ids = watch.sealed(origin, target, message)
    watch.traced(delivered, ids)


def test_megabyte(watch, pair):
    """So does a message of a megabyte."""
    big(watch, pair, 1_000_000)


def test_50_megabytes(watch, lab):
    """So does one of 50 MB."""
    big(watch, (lab.servers["a"], lab.servers["c"]), 50_000_000)


@pytest.mark.long
def test_50_megabytes_each_way(watch, pair):
    """So does one of 50 MB, each version to each."""
    big(watch, pair, 50_000_000)


def several(watch, origin, target, how_many=5):
    messages = [letter(origin, target) for _ in range(how_many)]
    for message in messages:
        origin.submit(message, "-odq")
    origin.run_queue(one_connection=True)
    for message in messages:
        arrives(watch, origin, target, message)
    return messages


def test_several_down_one_connection(watch, pair):
    """Five messages of a queue run go down one connection (exim -MC), sealed from the first to the last."""
    origin, target = pair
    messages = several(watch, origin, target)
    assert len(watch.await_log(origin, r"=> bert@.* \[[0-9.]+\]\*", count=4)) == 4
    watch.sealed(origin, target, *messages)


def test_hundreds_of_recipients(watch, pair):
    """250 recipients of one message all get it; the connection is sealed, none of their names can be read."""
    origin, target = pair
    people = [f"person{n}" for n in range(250)]
    if people[0] not in target.users:
        target.add_users(*people)
    message = Message(f"anna@{origin.domain}", [to(target, person) for person in people])
    origin.submit(message)
    for person in people:
        assert not difference(target.await_token(person, message), message)
    origin.await_empty_queue()
    connections = [s for s in watch.wire.to_port(25) if s.source[0] == origin.host.v4]
    assert 1 <= len(connections) <= 4    # remote_max_parallel
    watch.sealed(origin, target, message, count=len(connections), also=[f"person{n}@" for n in range(40, 250)])


def test_some_refused(watch, pair):
    """Refused recipients bounce with the other server's words, the others get the message; the refusals can't be read either."""
    origin, target = pair
    message = Message(f"anna@{origin.domain}", [to(target), to(target, "nobody.there"), to(target, "noone.else")])
    origin.submit(message)
    arrives(watch, origin, target, message)
    bounce = origin.await_mail("anna")[0].decode()
    assert "nobody.there@" in bounce and "noone.else@" in bounce and "Unrouteable address" in bounce
    assert len(watch.await_log(origin, r"\*\* no\S+@.*RCPT TO.*550", count=2)) == 2
    watch.sealed(origin, target, message, also=["Unrouteable address"])


def test_all_refused(watch, pair):
    """A message whose every recipient is refused bounces, and nothing of it can be read."""
    origin, target = pair
    message = Message(f"anna@{origin.domain}", to(target, "nobody.there"))
    origin.submit(message)
    bounce = origin.await_mail("anna")[0].decode()
    assert "nobody.there@" in bounce and "Unrouteable address" in bounce
    origin.await_empty_queue()
    watch.await_log(target, r"rejected RCPT <nobody\.there@")
    if watch.sealing:
        watch.sealed(origin, target, message)


def test_too_big(watch, pair):
    """A message over the other server's limit is refused by SIZE in its MAIL reply, and bounces."""
    origin, target = pair
    with target.configured("MESSAGE_SIZE_LIMIT = 20K"):
        message = letter(origin, target, body=random_lines(40_000))
        origin.submit(message)
        bounce = origin.await_mail("anna")[0].decode()
        assert "size" in bounce.lower() and message.subject in bounce
        origin.await_empty_queue()
        if watch.sealing:
            watch.sealed(origin, target, message)


@pytest.mark.parametrize("chunking", [True, False], ids=["bdat", "data"])
def test_chunking(watch, pair, chunking):
    """With CHUNKING the message goes by BDAT, without by DATA; lines that begin with dots, or are one, come through both."""
    origin, target = pair
    body = ".\n..\n. one\n.two\n...\n\n.\nFrom here\n.\r not bare\n" + "x" * 990 + "\n" + "\t trailing \t\n.\n"
    body = body.replace("\r", "")
    message = letter(origin, target, body=body)
    macros = [] if chunking else ["chunking_advertise_hosts ="]
    with target.configured(*macros):
        origin.submit(message)
        delivered = arrives(watch, origin, target, message)
        used = [bool(re.search(r" K\b", line)) for server, mark in ((origin, "=> bert"), (target, "<= anna"))
                for line in watch.log(server) if mark in line and (server is target or "T=remote_smtp" in line)]
        assert used == [chunking, chunking]
        watch.traced(delivered, watch.sealed(origin, target, message))


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "lockstep"])
def test_pipelining(watch, pair, pipelining):
    """Commands go in batches where PIPELINING is offered, one by one where not; sealed, both work."""
    origin, target = pair
    message = Message(f"anna@{origin.domain}", [to(target), to(target, "carl")])
    macros = [] if pipelining else ["pipelining_advertise_hosts ="]
    with target.configured(*macros):
        origin.submit(message)
        arrives(watch, origin, target, message)
        assert not difference(target.await_token("carl", message), message)
        line = watch.await_log(origin, r"=> (bert|carl)@.*T=remote_smtp")[0]
        assert bool(re.search(r" L\b", line)) == pipelining
        watch.sealed(origin, target, message)


TEMPLATE = "/etc/exim4/exim4.conf.template"


def test_pipeconnect_is_hidden(watch, pair):
    """With early pipelining (hosts_pipe_connect) allowed on both sides, mail arrives, the first and the next time, sealed."""
    origin, target = pair
    text = origin.host.read(TEMPLATE).decode()
    early = re.sub(r"(?m)^(remote_smtp:\n(?:.*\n)*?  driver = smtp\n)", r"\1  hosts_pipe_connect = *\n", text, count=1)
    assert early != text
    with origin.configured(files={TEMPLATE: early}):
        messages = [letter(origin, target) for _ in range(3)]
        for message in messages:
            origin.submit(message)
            arrives(watch, origin, target, message)
        watch.sealed(origin, target, *messages, count=3)


def test_dsn(watch, pair):
    """A success report asked for with NOTIFY comes back; the DSN parameters are taken, and neither way can be read."""
    origin, target = pair
    with origin.configured("dsn_advertise_hosts = *"), target.configured("dsn_advertise_hosts = *"):
        message = letter(origin, target)
        origin.submit_smtp(message, " RET=HDRS ENVID=envelope-4711", f" NOTIFY=SUCCESS ORCPT=rfc822;{to(target)}")
        arrives(watch, origin, target, message)
        report = origin.await_mail("anna")[0].decode()
        assert "Action: delivered" in report and "envelope-4711" in report
        target.await_empty_queue()
        watch.sealed(origin, target, message, also=["envelope-4711", "NOTIFY=SUCCESS", "ORCPT=rfc822"])
        if watch.sealing:
            watch.sealed(target, origin, message)


def test_smtputf8(watch, pair):
    """Addresses in UTF-8 (SMTPUTF8) work sealed."""
    origin, target = pair
    aliases = target.host.read("/etc/aliases").decode()
    with origin.configured("MAIN_SMTPUTF8_ADVERTISE_HOSTS = *"), \
            target.configured("MAIN_SMTPUTF8_ADVERTISE_HOSTS = *", files={"/etc/aliases": aliases + "\nbärbel: bert\n"}):
        message = Message(f"anna@{origin.domain}", to(target, "bärbel"), subject="Grüße aus Łódź an 世界")
        origin.submit_smtp(message, " SMTPUTF8 BODY=8BITMIME")
        arrives(watch, origin, target, message)
        assert watch.await_log(target, r"<= anna@.* P=utf8esmtp")
        watch.sealed(origin, target, message)


def test_8bitmime(watch, pair):
    """Every octet from 0x80 to 0xff, and lines of binary-looking text, arrive as they were sent (8BITMIME)."""
    origin, target = pair
    body = b"\n".join(bytes(range(start, start + 16)) * 4 for start in range(0x80, 0x100, 16)) + b"\nplain line at the end of it\n"
    message = letter(origin, target, body=body)
    origin.submit_smtp(message, " BODY=8BITMIME")
    arrives(watch, origin, target, message)
    watch.sealed(origin, target, message)


def test_ipv6(watch, pair):
    """Over IPv6 it is the same: delivered, sealed, logged with the IPv6 address."""
    origin, target = pair
    message = Message(f"anna@{origin.domain}", f"bert@six.{target.domain}")
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    assert watch.await_log(origin, rf"H=mx6\S* \[{re.escape(target.host.v6)}\]")
    assert watch.await_log(target, rf"<= .*\[{re.escape(origin.host.v6)}\]")
    watch.traced(delivered, watch.sealed(origin, target, message))


def test_both_ways_at_once(watch, pair):
    """Ten messages each way at the same time: all arrive, every session sealed."""
    origin, target = pair
    forth = [letter(origin, target) for _ in range(10)]
    back = [letter(target, origin) for _ in range(10)]
    for one, other in zip(forth, back):
        origin.submit(one)
        target.submit(other)
    for one, other in zip(forth, back):
        arrives(watch, origin, target, one)
        arrives(watch, target, origin, other)
    if watch.sealing:
        watch.sealed(origin, target, *forth, count=10)
        watch.sealed(target, origin, *back, count=10)
    else:
        watch.clear(origin, target, *forth)


def test_long_header_and_many(watch, pair):
    """Long folded headers and hundreds of them come through."""
    origin, target = pair
    extra = [f"X-Number-{n}: value {n} of very many" for n in range(300)]
    extra.append("X-Folded: " + "\n ".join("a piece of a long header" for _ in range(60)))
    message = letter(origin, target, extra_headers=extra)
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    assert len([name for name, _ in headers(delivered) if name.startswith("x-number-")]) == 300
    watch.sealed(origin, target, message, also=["X-Number-123", "value 200 of very many"])
