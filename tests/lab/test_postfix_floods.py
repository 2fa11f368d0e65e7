# SPDX-License-Identifier: ISC
"""The floods of test_floods.py, where our mail server is Postfix: its own limits hold as before, and nothing of ours is left afterwards."""

import contextlib

import pytest

from .held import held, serve, until
from .smtp import Bare
from .test_floods import (comparing, greeted, test_a_hello_in_drips, test_commands_without_end, test_cover_records,    # noqa: F401 (tests)
                          test_hellos_at_full_speed, test_never_reads, test_slow_clients)

CLIENTS = 50            # smtpd_client_connection_count_limit, as it is where nobody sets it
PROCESSES = 100         # default_process_limit


@pytest.fixture(params=[pytest.param("f", marks=pytest.mark.long), "g"], ids=["3.7", "3.10"])
def server(postfixes, request):
    return postfixes[request.param]


@pytest.fixture
def compare(lab, server, stranger, needs_sotto, request):
    """As for Exim. Postfix keeps its own processes for a while; ours end with their connection."""
    def calm(now):      # what the good client was is counted a moment after its end, and is in the file from then on
        return now.sessions == 0 and any(name.endswith("/counters") for name in now.files)

    def as_before(before):
        return until(server, lambda now: calm(now) and now.files == before.files)

    return comparing(lab, server, stranger, request.node.name, calm, as_before)


def test_many_of_one_client(compare, server, stranger):
    """As many connections as Postfix admits of one client: the next is refused as ever, by Postfix, which sees the real client; others are served."""
    def idle(on):     # pylint: disable=unused-argument
        @contextlib.contextmanager
        def flood():
            with contextlib.ExitStack() as stack:
                for _ in range(CLIENTS - 3):
                    stack.enter_context(greeted(stranger, server))

                def more():
                    for _ in range(3):
                        stack.enter_context(greeted(stranger, server))
                    refused = stack.enter_context(Bare(stranger.host, server.host))
                    said = refused.reply()[0]
                    assert said.startswith("421 ") and "too many connections" in said
                    full = held(server.host)
                    return f"; full: {full.sessions} sotto-session, {full.private:,} KiB private"
                yield more
        return flood()

    compare(idle)


def test_more_than_there_are_processes(server, stranger, needs_sotto):
    """More clients than Postfix has processes: the rest wait for their turn in the kernel, as without us, and get it."""
    with server.configured(smtpd_client_connection_count_limit="0"), contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(Bare(stranger.host, server.host)) for _ in range(PROCESSES + 20)]
        greetings = [client.reply()[0] for client in waiting[:PROCESSES]]
        assert all(line.startswith("220") for line in greetings)
        full = held(server.host)
        assert full.sessions <= 2 * PROCESSES       # a front each, which is what Postfix counts, and what it hands over to
        for client in waiting[:PROCESSES]:
            client.ask("QUIT", 221)
            client.__exit__()
        assert all(client.reply()[0].startswith("220") for client in waiting[PROCESSES:])
    assert serve(server, stranger) < 30
