# SPDX-License-Identifier: ISC
"""require, exclude, mode, pin and padding, as sotto.conf(5) and opensmtpd-sotto(7) describe them, where our mail server is OpenSMTPD."""

import socket
import time

import pytest

from .faults import hung, without
from .test_exim import arrives, letter
from .test_modes import (STATE, away, entries, others, said_250, six_letter, test_excluded_clients,    # noqa: F401 (tests)
                         test_not_required, test_required_over_excluded)
from .test_modes_memory import send_sealed, test_padding, test_pin_enforce, test_pin_lets_pass    # noqa: F401 (tests)
from .test_opensmtpd_worker import passing
from .test_postfix_modes import test_required_of_clients    # noqa: F401 (tests)

IN_CHECK = r"test_not_required\[7.6|test_excluded_clients\[7.6|test_required_(by|of|without).*7.6|test_required_after|test_pin_enforce(_while|\[.*changed)"


@pytest.fixture
def server(opensmtpd):
    return opensmtpd


@pytest.fixture(params=[("i", "j")], ids=["6.8-to-7.6"])
def two(opensmtpds, request, needs_sotto):     # pylint: disable=unused-argument
    return tuple(opensmtpds[name] for name in request.param)


def is_kept(watch, server, message, count=1):
    """It is deferred, and waits whole."""
    watch.await_log(server, server.deferred(message.recipients[0]), count=count)
    assert len(server.queue()) == 1
    server.clear_queue()
    server.await_empty_queue()
    server.forget_hosts()


def test_required_by_every_kind_of_entry(watch, server, stranger, needs_sotto):
    """A host without Sotto that is listed by domain, parent domain, name, address or network, over IPv4 or IPv6, gets nothing."""
    counts, sent = {4: 0, 6: 0}, []
    for entry, version in entries(stranger):
        with server.sotto_conf(require=["", "# nobody", entry]):
            message = letter(server, stranger) if version == 4 else six_letter(server, stranger)
            counts[version] += 1
            sent.append(message)
            server.submit(message)
            is_kept(watch, server, message, counts[version])
        server.forget()
    assert not stranger.delivered("bert")
    assert not watch.wire.find(*[secret for message in sent for secret in message.secrets])


@pytest.mark.parametrize("how", ["name", "address"])
def test_required_after_a_no(watch, server, stranger, needs_sotto, how):
    """A host that is known not to offer XSOTTO is listed, by a name or an address that only its mail server has: from then on it gets nothing;
    and what waited goes when that is taken back."""
    first, second = letter(server, stranger), letter(server, stranger)
    server.submit(first)
    arrives(watch, server, stranger, first)
    with server.sotto_conf(require=[stranger.name if how == "name" else stranger.host.v4]):
        server.submit(second)
        watch.await_log(server, server.deferred(second.recipients[0]))
        assert len(server.queue()) == 1 and len(stranger.delivered("bert")) == 1
        assert not watch.wire.find(second.message_id, second.subject)
    server.forget_hosts()
    server.run_queue()
    arrives(watch, server, stranger, second)


BROKEN = {"no worker": lambda server: passing(server, None), "worker ends": lambda server: passing(server, "#!/bin/sh\nexit 1\n"),
          "state missing": lambda server: without(server.host, STATE), "settings missing": lambda server: away(server, "/etc/sotto/sotto.conf"),
          "table's program missing": lambda server: away(server, "/usr/libexec/sotto/sotto-table")}


@pytest.mark.parametrize("fault", list(BROKEN))
def test_required_without_us(watch, server, stranger, needs_sotto, fault):
    """Whatever of us is missing: the required domain gets nothing in the clear, a required client is not let in, and others get their mail."""
    with BROKEN[fault](server):
        if fault.startswith("table"):
            for pid in server.processes("sotto-table"):
                server.host.run(["kill", "-KILL", str(pid)], check=False)
        for count, entry in enumerate((stranger.domain, "*"), 1):
            with server.sotto_conf(require=[*others(stranger), entry]):
                message = letter(server, stranger)
                server.submit(message)
                is_kept(watch, server, message, count)
        for family, entry in ((socket.AF_INET, stranger.host.v4), (socket.AF_INET, "*"), (socket.AF_INET6, "2001:db8::/64")):
            with server.sotto_conf(require=[entry]):
                assert not said_250(server, stranger, family), entry
        assert not stranger.delivered("bert")
        with server.sotto_conf(require=others(stranger)):
            message = letter(server, stranger)
            server.submit(message)
            arrives(watch, server, stranger, message)
            assert said_250(server, stranger, socket.AF_INET) and said_250(server, stranger, socket.AF_INET6)


def test_required_by_host_while_the_disk_hangs(watch, server, stranger, needs_sotto):
    """A mail server is listed by its name, and the disk hangs that says which domains are its: what was known to be so still gets nothing."""
    sent = [letter(server, stranger), letter(server, stranger)]
    with server.sotto_conf(require=[stranger.name]):
        server.submit(sent[0])
        is_kept(watch, server, sent[0])
        with hung(server.host, STATE):
            server.submit(sent[1])
            is_kept(watch, server, sent[1], 2)
    assert not stranger.delivered("bert")
    assert not watch.wire.find(*[secret for message in sent for secret in message.secrets])


def test_pin_enforce_while_the_disk_hangs(watch, two):
    """The server's disk hangs: it shows the key that it has read before, and mail from who knows that goes, sealed."""
    origin, target = two
    with origin.sotto_conf(pin="enforce"):
        assert " identity=first " in send_sealed(watch, origin, target, 1)
        target.await_settled()
        with hung(target.host, STATE):
            time.sleep(0.3)     # a disk that has answered is believed for 200 ms (disk.h)
            assert " identity=known " in send_sealed(watch, origin, target, 2)
