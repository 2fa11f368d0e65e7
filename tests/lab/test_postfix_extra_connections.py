# SPDX-License-Identifier: ISC
"""
What it costs a host without Sotto that Postfix asks whether it has it: one connection more an hour at most, and fewer from then on,
however much mail goes there and for however many domains. The hours pass by making older what is remembered.
"""

import contextlib
import os
import re
import threading

import pytest

from . import wait
from .message import Message
from .peer import BANNER, answer
from .statefile import checked

STATE = "/var/lib/sotto"
HOUR = 3600


class Visits:
    """A host without Sotto: which connections brought mail, and which brought none."""

    def __init__(self):
        self.with_mail, self.without = 0, 0
        self._lock = threading.Lock()

    def script(self, talk):
        brought = False
        try:
            talk.send(BANNER)
            going_on = True
            while going_on:
                line = talk.line()
                brought = brought or line.upper().startswith(b"MAIL")
                going_on = answer(talk, line)
        finally:
            with self._lock:
                self.with_mail += brought
                self.without += not brought


def make_older(server, seconds):
    """All that the server remembers of domains and of peers was learnt so long before, and the file require is older than any of it."""
    os.utime(server.host.path("/etc/sotto/require"), (0, 0))
    for path in [*server.host.path(f"{STATE}/domains").glob("[!.]*"), *server.host.path(f"{STATE}/peers").glob("[!.]*")]:
        path.write_bytes(checked(re.sub(rb"(?m)^(\S+) (\d{10,})$", lambda m: b"%s %d" % (m[1], int(m[2]) - seconds), path.read_bytes())))
    server.daemon.reload()
    server.reload()     # it believes an answer for half a minute


def send(peer, origin, domains, at_once):
    """A message for each of the domains, so many at a time; all of them arrive. What the host saw."""
    visits = Visits()
    with peer.serving(visits.script) as served:
        for at in range(0, len(domains), at_once):
            messages = [Message(f"anna@{origin.domain}", f"bert@{domain}") for domain in domains[at:at + at_once]]
            for message in messages:
                origin.submit(message)
            for message in messages:
                served.await_message(message, 60)
        origin.await_empty_queue()
        assert len(served.messages) == len(domains)
    return visits


def await_known(origin, *domains):
    for domain in domains:
        path = origin.host.path(f"{STATE}/domains/{domain}")
        wait.until(path.exists, [path.parent], 30, f"{domain} is remembered")


@pytest.mark.parametrize("at_once", [1, 10])
def test_much_mail_in_an_hour(peer, postfix, needs_sotto, at_once):
    """Thirty messages, one by one or ten at a time: one connection more than those that bring them."""
    visits = send(peer, postfix, [peer.domain] * 30, at_once)
    assert visits.without == 1, (visits.with_mail, visits.without)


def test_fewer_from_hour_to_hour(peer, postfix, needs_sotto):
    """It is asked again after an hour, then after two, four, eight: mail every hour of a day is five connections more."""
    asked = []
    for hour in range(24):
        visits = send(peer, postfix, [peer.domain] * 2, 2)
        assert visits.without <= 1, f"hour {hour}: {visits.without} connections without mail"
        if visits.without:
            asked.append(hour)
        await_known(postfix, peer.domain)
        make_older(postfix, HOUR)
    assert asked == [0, 1, 3, 7, 15], asked


@contextlib.contextmanager
def hosted(lab, peer, count):
    """So many domains that all have that host for their MX."""
    before, domains = list(lab.dns.records), [f"d{n}.hosted.example" for n in range(1, count + 1)]
    lab.dns.add(*(f"{domain}. MX 10 {peer.name}." for domain in domains))
    try:
        yield domains
    finally:
        lab.dns.set(before)


def test_many_domains_of_one_host(lab, peer, postfix, needs_sotto):
    """Twenty domains that have the same mail server: it is asked once in an hour, and not once for each of them."""
    with hosted(lab, peer, 20) as domains:
        first = send(peer, postfix, domains[:1], 1)
        await_known(postfix, domains[0])
        rest = send(peer, postfix, domains[1:], 5)
        assert (first.without, rest.without) == (1, 0), f"{rest.without} connections more for {len(domains) - 1} domains"
        await_known(postfix, *domains)
        make_older(postfix, HOUR)
        again = send(peer, postfix, domains, 1)
        assert again.without == 1, f"an hour later: {again.without} connections more"
