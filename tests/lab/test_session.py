# SPDX-License-Identifier: ISC
"""sotto-session by itself, in the ways in which no Exim starts it: to a domain's MX, and in front of a mail server that is connected to."""

import contextlib
import socket
import subprocess

from .message import Message
from .smtp import Bare
from .test_exim_peers import hand_over

PROGRAM = "/usr/libexec/sotto/sotto-session"
FOLDER = "/tmp/sotto-by-itself"     # its state, so that the mail server's own stays what it is


@contextlib.contextmanager
def session(host, role, sock, option, *options, status=0):
    """The program, on a host of the lab, with one end given: yields the process, and sees how it ends."""
    host.run(["mkdir", "-p", f"{FOLDER}/state", f"{FOLDER}/run"])
    words = [PROGRAM, role, option, str(sock.fileno()), "--state", f"{FOLDER}/state", "--run", f"{FOLDER}/run", "--adapter", "postfix", *options]
    process = host.popen(words, pass_fds=[sock.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    sock.close()
    try:
        yield process
        said = process.communicate(timeout=60)[1].decode()
        assert process.returncode == status, said
    finally:
        process.kill()
        process.wait()


def test_to_a_domain(watch, pair, needs_sotto):
    """`connect --to DOMAIN` asks DNS for the MX, connects, seals, and the message goes through; our side sees the MX's own banner."""
    origin, target = pair
    message = Message(f"anna@{origin.domain}", f"bert@{target.domain}")
    ours, its = socket.socketpair()
    with session(origin.host, "connect", its, "--mta", "--to", target.domain):
        with Bare(None, None, sock=ours) as client:
            assert client.reply()[0].startswith(f"220 {target.name} ESMTP")
            client.ask(f"EHLO {origin.name}", 250)
            hand_over(client, target, message)
    watch.sealed(origin, target, message)


def test_to_a_domain_without_sotto(watch, server, stranger, needs_sotto):
    """... and where the MX does not offer XSOTTO, EHLO is answered with exactly 421, so that Postfix goes on natively."""
    ours, its = socket.socketpair()
    with session(server.host, "connect", its, "--mta", "--to", stranger.domain, status=1):
        with Bare(None, None, sock=ours) as client:
            assert client.reply()[0].startswith(f"220 {stranger.name} ESMTP")
            said = client.say(f"EHLO {server.name}")
            closed = client.closed()
    assert said[0].startswith("421 ") and len(said) == 1 and closed
    watch.await_said(server, "connect", "native")


def test_in_front_of_a_backend(watch, server, stranger, needs_sotto):
    """`accept --backend` hands the connection to our mail server with a PROXY header, and that logs the real client."""
    with server.configured("hosts_proxy = 127.0.0.1", "SOTTO_ACL_SMTP_CONNECT = accept"):
        listener = server.host.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((server.host.v4, 2525))
        listener.listen(1)
        with listener:
            client = Bare(stranger.host, server.host, port=2525)
            net, _ = listener.accept()
            with session(server.host, "accept", net, "--net", "--backend", "127.0.0.1:25"), client:
                assert client.reply()[0].startswith(f"220 {server.name} ESMTP")
                assert "250-XSOTTO 1" in client.ask("EHLO mx.p.example", 250)
                hand_over(client, server, Message("anna@p.example", f"bert@{server.domain}"))
        assert watch.await_log(server, rf"<= anna@p\.example H=.*\[{stranger.host.v4}\]")
