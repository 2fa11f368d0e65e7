# SPDX-License-Identifier: ISC
"""Exim with Sotto, and those who have none: another Exim, swaks, a client as bare as telnet. And Sotto switched off."""

import socket

import pytest

from .message import Message, difference
from .smtp import Bare
from .test_exim import arrives, letter
from .test_failures_start import nothing_left


def keyword_offered(wire, server):
    """Did the server offer XSOTTO in an EHLO reply?"""
    return any(b"\r\n250-XSOTTO 1\r\n" in wire.octets(s) or b"\r\n250 XSOTTO 1\r\n" in wire.octets(s)
               for s in wire.from_port(25, source=server.host.v4))


def test_to_a_stranger(watch, server, stranger, sealing):
    """Mail to a host without Sotto goes as it always went: delivered, readable on the wire, nothing of XSOTTO said to it."""
    message = letter(server, stranger)
    server.submit(message)
    arrives(watch, server, stranger, message)
    if sealing:
        watch.await_said(server, "connect", "clear")
    watch.clear(server, stranger, message)
    assert not watch.wire.find("XSOTTO")


def test_from_a_stranger(watch, server, stranger, sealing):
    """A host without Sotto delivers to us as ever; all it sees of us is one more keyword in the EHLO reply."""
    message = letter(stranger, server)
    stranger.submit(message)
    arrives(watch, stranger, server, message)
    if sealing:
        watch.await_said(server, "accept", "clear")
    watch.clear(stranger, server, message)
    assert keyword_offered(watch.wire, server) == sealing


def test_several_with_a_stranger(watch, server, stranger):
    """Several messages down one connection to a host without Sotto (exim -MC over the passed-through connection)."""
    messages = [letter(server, stranger) for _ in range(4)]
    for message in messages:
        server.submit(message, "-odq")
    server.run_queue(one_connection=True)
    for message in messages:
        arrives(watch, server, stranger, message)
    assert len(watch.await_log(server, r"=> bert@.* \[[0-9.]+\]\*", count=3)) == 3
    watch.clear(server, stranger, *messages)


def test_big_message_with_a_stranger(watch, server, stranger):
    """Ten megabytes in both directions between us and a host without Sotto, octet for octet."""
    text = "ten megabytes of a line that is not very long\n" * 220_000
    for origin, target in ((server, stranger), (stranger, server)):
        message = letter(origin, target, body=text)
        origin.submit(message)
        arrives(watch, origin, target, message, seconds=120)


def test_the_same_with_and_without(watch, lab, server, stranger):
    """But for the keyword, what our Exim says to a stranger through Sotto is, word for word, what it says without."""
    def dialogue():
        with Bare(stranger.host, server.host) as client:
            said = [client.reply(), client.ask("EHLO mx.p.example", 250), client.ask("NOOP", 250), client.say("VRFY bert"),
                    client.say("BOGUS command"), client.ask("RSET", 250), client.ask("HELP", 214), client.ask("QUIT", 221)]
            assert client.closed()
        said[0] = [line.partition(" Exim ")[0] for line in said[0]]    # the banner has the time of day in it
        return said

    through = dialogue()
    with_sotto = server.sotto
    server.disable_sotto()
    try:
        without = dialogue()
    finally:
        if with_sotto:
            server.enable_sotto()
    keyword = [line for line in through[1] if "XSOTTO" in line]
    assert keyword == (["250-XSOTTO 1"] if with_sotto else [])
    through[1] = [line for line in through[1] if line not in keyword]
    assert through == without


def test_switched_off(watch, server, stranger, needs_sotto):
    """Without the line in exim4.conf.localmacros nothing of Sotto is left: no keyword, no log line, no process."""
    server.disable_sotto()
    try:
        with Bare(stranger.host, server.host) as client:
            client.reply()
            assert not [line for line in client.ask("EHLO mx.p.example", 250) if "XSOTTO" in line]
            client.ask("QUIT", 221)
        message = letter(server, stranger)
        server.submit(message)
        arrives(watch, server, stranger, message)
        assert not watch.said(server, "connect") and not watch.said(server, "accept")
    finally:
        server.enable_sotto()


def swaks(stranger, server, message, *options):
    stranger.host.write("/tmp/message", message.octets.removesuffix(b"\n"))    # swaks ends the last line itself
    return stranger.host.run(["swaks", "--server", server.host.v4, "--helo", stranger.name, "--from", message.sender,
                              "--to", ",".join(message.recipients), "--data", "@/tmp/message", "--suppress-data", *options]).stdout.decode()


@pytest.mark.parametrize("options", [[], ["--pipeline"], ["--protocol", "SMTP"]], ids=["esmtp", "pipelined", "helo"])
def test_swaks(watch, server, stranger, sealing, options):
    """swaks gets its message through, with EHLO, pipelined, and with HELO; only EHLO shows it the keyword."""
    message = Message("anna@p.example", [f"bert@{server.domain}", f"carl@{server.domain}"])
    said = swaks(stranger, server, message, *options)
    for user in ("bert", "carl"):
        assert not difference(server.await_token(user, message), message)
    assert ("250-XSOTTO 1" in said) == (sealing and "SMTP" not in options)
    if sealing:
        watch.await_said(server, "accept", "clear")


def hand_over(client, server, message):
    """The plain dialogue of a client that takes every step by itself."""
    client.ask(f"MAIL FROM:<{message.sender}>", 250)
    client.ask(f"RCPT TO:<bert@{server.domain}>", 250)
    client.ask("DATA", 354)
    client.send(message.smtp)
    assert client.reply()[-1].startswith(server.accepted)
    client.ask("QUIT", 221)
    assert client.closed()
    assert not difference(server.await_token("bert", message), message)


def stranger_letter(server):
    return Message("anna@p.example", f"bert@{server.domain}")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_bare_client(watch, server, stranger, family):
    """A person at telnet delivers a message, over IPv4 and IPv6, and sees the connection closed after 221."""
    with Bare(stranger.host, server.host, family=family) as client:
        assert client.reply()[0].startswith(f"220 {server.name} ESMTP Exim")
        client.ask("EHLO mx.p.example", 250)
        hand_over(client, server, stranger_letter(server))


def test_bare_client_helo(watch, server, stranger):
    """HELO gets its one line, without the keyword, and the message goes through."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        assert len(client.ask("HELO mx.p.example", 250)) == 1
        hand_over(client, server, stranger_letter(server))


def test_bare_client_octet_by_octet(watch, server, stranger):
    """Each octet in a segment of its own changes nothing."""
    message = stranger_letter(server)
    with Bare(stranger.host, server.host) as client:
        client.reply()
        for line in ("ehlo mx.p.example", f"mail from:<{message.sender}>", f"rcpt to:<bert@{server.domain}>"):
            for octet in line.encode() + b"\r\n":
                client.send(bytes([octet]))
            assert client.reply()[-1].startswith("250 ")
        client.ask("DATA", 354)
        client.send(message.smtp)
        assert client.reply()[-1].startswith("250 OK id=")
        client.ask("QUIT", 221)
    assert not difference(server.await_token("bert", message), message)


def test_bare_client_pipelines_everything(watch, server, stranger):
    """After EHLO, everything up to the message in one write: all replies come, the message is delivered."""
    message = stranger_letter(server)
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.send(f"MAIL FROM:<{message.sender}>\r\nRCPT TO:<bert@{server.domain}>\r\nDATA\r\n".encode())
        assert [client.reply()[-1][:3] for _ in range(3)] == ["250", "250", "354"]
        client.send(message.smtp + b"QUIT\r\n")
        assert [client.reply()[-1][:3] for _ in range(2)] == ["250", "221"]
    assert not difference(server.await_token("bert", message), message)


def test_bare_client_goes_away(watch, server, stranger):
    """A client that leaves in the middle, however it leaves, ends its session on our side and disturbs nobody."""
    for goodbye in ("EHLO mx.p.example", "EHLO mx.p.example\r\nMAIL FROM:<anna@p.example>", "EHL", ""):
        with Bare(stranger.host, server.host) as client:
            client.reply()
            client.send(goodbye.encode() + (b"\r\n" if len(goodbye) > 4 else b""))
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        hand_over(client, server, stranger_letter(server))


@pytest.mark.parametrize("line, code", [("XSOTTO 2 0", "504 5.5.4"), ("XSOTTO 1 0", "501 5.5.4"), ("XSOTTO", "501 5.5.4")])
def test_bare_client_is_refused_in_step(watch, server, stranger, needs_sotto, line, code):
    """A malformed XSOTTO is refused in one line that bears the word, and the same session goes on in the clear (or, where
    its length cannot be known, is closed)."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        reply = client.ask(line, code)
        assert len(reply) == 1
        if line == "XSOTTO":
            assert client.closed()
        else:
            assert reply[0][len(code):].startswith(" XSOTTO")
            hand_over(client, server, stranger_letter(server))


def test_bare_client_sends_a_bad_hello(watch, server, stranger, needs_sotto):
    """A hello of the right length that holds no valid key is read whole, refused, and the session is in step."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.send(b"XSOTTO 1 1216\r\n" + b"\xff" * 1216)
        assert client.reply()[0].startswith("501 5.5.4 XSOTTO")
        hand_over(client, server, stranger_letter(server))


def test_second_ehlo_offers_nothing(watch, server, stranger, sealing):
    """The keyword is offered in reply to the first command only, and XSOTTO after another command is none."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        assert any("XSOTTO" in line for line in client.ask("EHLO mx.p.example", 250)) == sealing
        client.ask("NOOP", 250)
        assert not any("XSOTTO" in line for line in client.ask("EHLO mx.p.example", 250))
        assert client.say("XSOTTO 1 1216")[0][:1] == "5"
        hand_over(client, server, stranger_letter(server))


RECIPIENT_CALLOUT = "require verify = recipient/callout=30s\n"
SENDER_CALLOUT = "require verify = sender/callout=30s\n"
ACL = "/etc/exim4/sotto_lab_rcpt_acl"


def test_recipient_callout(watch, pair, stranger):
    """A relay that asks the next host about each recipient (verify = recipient/callout) asks sealed, and refuses as ever."""
    origin, target = pair
    with origin.configured(f"CHECK_RCPT_LOCAL_ACL_FILE = {ACL}", files={ACL: RECIPIENT_CALLOUT}, debconf={"dc_relay_domains": target.domain}):
        message = Message("anna@p.example", f"bert@{target.domain}")
        with Bare(stranger.host, origin.host) as client:
            client.reply()
            client.ask("EHLO mx.p.example", 250)
            client.ask(f"MAIL FROM:<{message.sender}>", 250)
            client.ask(f"RCPT TO:<nobody.there@{target.domain}>", 550)
            client.ask(f"RCPT TO:<bert@{target.domain}>", 250)
            client.ask("DATA", 354)
            client.send(message.smtp)
            assert client.reply()[-1].startswith("250 OK id=")
            client.ask("QUIT", 221)
        arrives(watch, origin, target, message)
        calls = len([s for s in watch.wire.to_port(25) if s.source[0] == origin.host.v4])
        assert calls >= 2
        if watch.sealing:
            watch.sealed(origin, target, message, count=calls, only=True)


def test_sender_callout(watch, pair):
    """A host that calls the sender's host back before it takes the message (verify = sender/callout): two sealed sessions,
    one inside the other's lifetime, and a sender that does not exist is refused."""
    origin, target = pair
    with target.configured(f"CHECK_RCPT_LOCAL_ACL_FILE = {ACL}", files={ACL: SENDER_CALLOUT}):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        bad = Message(f"no.such.sender@{origin.domain}", f"bert@{target.domain}")
        origin.submit(bad)
        watch.await_log(target, r"rejected RCPT .*[Ss]ender verify fail")
        watch.await_log(origin, r"\*\* bert@.*550")    # its bounce goes nowhere, and stays
        assert [s for s in watch.wire.to_port(25) if s.source[0] == target.host.v4 and s.target[0] == origin.host.v4]
        if watch.sealing:
            backwards = len([s for s in watch.wire.to_port(25) if s.source[0] == target.host.v4])
            watch.sealed(target, origin, message, bad, count=backwards)
            watch.sealed(origin, target, message, bad, count=2)


def test_administrators_own_acl(watch, server, stranger):
    """An acl_smtp_connect of the administrator's own, given as the shipped file says, goes on deciding."""
    if server.sotto:
        mine = ["SOTTO_ACL_SMTP_CONNECT = ${if eq{$sender_host_address}{" + stranger.host.v4 + "}{deny}{accept}}"]
    else:
        mine = ["acl_smtp_connect = ${if eq{$sender_host_address}{" + stranger.host.v4 + "}{deny}{accept}}"]
    with server.configured(*mine):
        with Bare(stranger.host, server.host) as client:
            assert client.reply()[-1][:3] in ("550", "554")
        with Bare(server.host, server.host) as client:
            assert client.reply()[-1][:3] == "220"
            client.ask("QUIT", 221)


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_modes_that_seal_nothing(watch, pair, needs_sotto, mode):
    """mode = off and mode = observe on either side: mail flows in the clear as without Sotto."""
    origin, target = pair
    for where in (origin, target):
        with where.sotto_conf(mode=mode):
            message = letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message)
            assert not watch.said(origin, "connect", outcome="sealed") and not watch.said(target, "accept", outcome="sealed")
    watch.clear(origin, target, message)


def test_excluded(watch, pair, needs_sotto):
    """A peer in the file exclude is not sealed with; others are."""
    origin, target = pair
    with origin.sotto_conf(exclude=[target.name]):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        assert not watch.said(origin, "connect", outcome="sealed")
    watch.clear(origin, target, message)


def test_required_of_a_stranger(watch, server, stranger, needs_sotto):
    """A domain in the file require that has no Sotto: a temporary failure, the message stays queued, and nothing of it was sent."""
    message = letter(server, stranger)
    with server.sotto_conf(require=[stranger.domain]):
        server.submit(message)
        watch.await_log(server, r"(== bert@p\.example|bert@p\.example.*defer)")
        assert len(server.queue()) == 1 and not stranger.delivered("bert")
    assert not watch.wire.find(*message.secrets)
    server.host.run(["sh", "-c", "rm -rf /var/spool/exim4/db/*"])
    server.run_queue()
    arrives(watch, server, stranger, message)


def test_required_and_kept(watch, pair, needs_sotto):
    """A domain in the file require that has Sotto gets its mail, sealed."""
    origin, target = pair
    with origin.sotto_conf(require=[target.domain]), target.sotto_conf(require=[origin.host.v4]):
        message = letter(origin, target)
        origin.submit(message)
        arrives(watch, origin, target, message)
        watch.sealed(origin, target, message)


def test_required_from_a_stranger(watch, server, stranger, needs_sotto):
    """A client in the file require that speaks in the clear gets 4xx for its mail, before a word of the envelope is accepted."""
    with server.sotto_conf(require=[stranger.host.v4]):
        with Bare(stranger.host, server.host) as client:
            client.reply()
            client.ask("EHLO mx.p.example", 250)
            assert client.say("MAIL FROM:<anna@p.example>")[-1][:1] == "4"


@pytest.mark.parametrize("file", ["/usr/lib/sotto/exim-sotto.so", "/usr/libexec/sotto/sotto-session", "/etc/sotto/sotto.conf"])
def test_missing_files(watch, pair, needs_sotto, file):
    """Each of our files, missing: Exim goes on as if we were not there, in both directions."""
    origin, target = pair
    for server in pair:
        server.host.run(["mv", file, file + ".away"])
    try:
        for one, other in ((origin, target), (target, origin)):
            message = letter(one, other)
            one.submit(message)
            arrives(watch, one, other, message)
    finally:
        for server in pair:
            server.host.run(["mv", file + ".away", file])


def test_nothing_stays(server, stranger, sealing):
    """After a session nothing stays behind: no sotto-session, no zombie, nothing under /run/sotto."""
    message = letter(server, stranger)
    server.submit(message)
    server.await_log(rf"=> bert@{stranger.domain}")
    server.await_empty_queue()
    nothing_left(server)
    live = server.host.path("/run/sotto")
    assert live.is_dir() == sealing and not list(live.glob("[!.]*"))
