# SPDX-License-Identifier: ISC
"""The attacks of test_attacks.py, where our mail server is OpenSMTPD. It takes one command at a time, and refuses what comes with another one behind it."""

import pytest

from .smtp import Bare
from .test_attacks import (COMMAND, PLACES, everything, in_the_middle, normal, test_commands_behind_the_hello, test_endless_refusals,    # noqa: F401
                           test_injection_in_the_middle, test_odd_greetings, test_smuggling, test_switch_in_a_batch)
from .test_exim_peers import hand_over, stranger_letter

IN_CHECK = r"test_commands_behind_|test_smuggling\[7.6|test_switch_in_a_batch\[7.6-EHLO|test_injection_in_the_middle\[.*(commands behind|a reply before)"
# pylint: disable=unused-argument


@pytest.fixture(autouse=True)
def impatient(request):
    if "replies behind the server's hello" in request.node.name:
        pytest.skip("of a record that stays unfinished smtpd waits for the rest as for any reply: 5 minutes, which cannot be set")


@pytest.fixture
def server(opensmtpd):
    return opensmtpd


@pytest.fixture(params=[("i", "j")], ids=["6.8-to-7.6"])
def pair(opensmtpds, request):
    """The target has been asked what it offers, so that the first connection is a message's."""
    origin, target = (opensmtpds[name] for name in request.param)
    origin.asks(target.domain)
    origin.await_settled()
    return origin, target


@pytest.fixture(params=[("k", "i"), ("k", "j")], ids=["6.8", "7.6"])
def client_and_server(opensmtpds, request, needs_sotto):
    """A host to send from, which has Sotto by itself, and a server."""
    return tuple(opensmtpds[name] for name in request.param)


def test_commands_behind_a_refused_hello(server, stranger, needs_sotto):
    """Behind a hello that is refused, a command is answered in the clear, the refusal first; and two are what smtpd itself makes of them."""
    two = b"RSET\r\nMAIL FROM:<anna@p.example>\r\n"
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.send(COMMAND + b"\xff" * 1216 + b"RSET\r\n")
        assert [client.reply()[-1][:3] for _ in range(2)] == ["501", "250"]
        hand_over(client, server, stranger_letter(server))
    said = []
    for before in (b"", COMMAND + b"\xff" * 1216):
        with Bare(stranger.host, server.host) as client:
            client.reply()
            client.ask("EHLO mx.p.example", 250)
            client.send(before + two)
            if before:
                assert client.reply()[-1].startswith("501")
            said.append(normal(everything(client)))
    assert said[0] == said[1] and said[0].startswith(b"500"), said
