# SPDX-License-Identifier: ISC
"""
Clients that want to use up what a server has. A good client is served all the while; what is held is bounded, and told beside the
same without Sotto; and afterwards nothing is left: no process, descriptor, socket, file.
"""

import contextlib
import subprocess
import threading
import time

import pytest

from .held import held, quiet, serve, settled, until
from .host import CLEAN
from .paths import PROJECT
from .smtp import Bare
from .test_attacks import COMMAND, HELLO, everything

COVERS = PROJECT / "build" / "lab-tools" / "covers"
MOST_PRIVATE = 4096     # KiB of one sotto-session: several times what it needs
MAX = 20                # smtp_accept_max, as it is where nobody sets it


@pytest.fixture(params=[pytest.param("a", marks=pytest.mark.long), "c"], ids=["4.96", "4.98"])
def server(lab, request):
    """One version of Exim; the other one where there is time: it is ours that is looked at here."""
    return lab.servers[request.param]


def comparing(lab, server, stranger, name, calm, as_before):
    """
    compare(flood): with Sotto and without, flood(on) is a context in which the flood goes on; it may yield a function that says
    more. A good client is served in it, and what is held is told; it leaves nothing behind. Returns what was held, with and without.
    calm(now): nothing is going on; as_before(before): (what is held, True) when that is so again, or (it, False).
    """
    def once(flood, on):
        serve(server, stranger)
        server.await_empty_queue()
        before, still = until(server, calm)
        assert still, before
        with flood(on) as more:
            took = [serve(server, stranger) for _ in range(3)]
            most = held(server.host)
            words = more() if more else ""
        server.await_empty_queue()
        after, same = as_before(before)
        assert same, f"left over: before {before}, after {after}, {after.files ^ before.files}"
        lab.say(f"{name}: {'with   ' if on else 'without'}  {most}; a good client in {max(took) * 1000:6.0f} ms{words}")
        assert most.largest <= MOST_PRIVATE, f"a sotto-session holds {most.largest} KiB"
        return most, max(took)

    def both(flood):
        ours = once(flood, True)
        server.disable_sotto()
        try:
            theirs = once(flood, False)
        finally:
            server.enable_sotto()
        assert ours[1] <= 20 * theirs[1] + 5, f"{ours[1]} s with Sotto, {theirs[1]} s without"
        return ours[0], theirs[0]

    return both


@pytest.fixture
def compare(lab, server, stranger, needs_sotto, request):
    return comparing(lab, server, stranger, request.node.name, quiet, lambda before: settled(server, before))


def greeted(stranger, server):
    client = Bare(stranger.host, server.host)
    assert client.reply()[0].startswith("220")
    return client


def test_idle_connections(compare, server, stranger):
    """As many idle connections as Exim admits, and as many more: those it refuses as ever, and none of them costs a process of ours."""
    room = 3    # for good clients, of whom the last is not quite gone when the next one comes

    def idle(on):
        @contextlib.contextmanager
        def flood():
            with contextlib.ExitStack() as stack:
                for _ in range(MAX - room):
                    stack.enter_context(greeted(stranger, server))

                def more():
                    until(server, lambda now: now.servers == 1 + MAX - room)
                    for _ in range(room):
                        stack.enter_context(greeted(stranger, server))
                    for _ in range(MAX):
                        refused = stack.enter_context(Bare(stranger.host, server.host))
                        assert refused.reply()[0].startswith("421 Too many concurrent SMTP connections")
                    full = held(server.host)
                    assert (full.sessions, full.servers) == (MAX if on else 0, MAX + 1)
                    return f"; full: {full.sessions} sotto-session, {full.private:,} KiB private, and {MAX} more refused"

                yield more
        return flood()

    compare(idle)


def test_slow_clients(compare, server, stranger):
    """Clients that send an octet now and then, in EHLO and in a hello, hold what an idle one holds, and are no reason to let others wait."""
    def slow(on):
        @contextlib.contextmanager
        def flood():
            drip = b"EHLO mx.slow.example.and.so.on"
            with contextlib.ExitStack() as stack:
                early = [stack.enter_context(greeted(stranger, server)) for _ in range(7)]
                late = [stack.enter_context(greeted(stranger, server)) for _ in range(7)]
                for client in late:
                    client.ask("EHLO mx.p.example", 250)
                    client.send(COMMAND if on else b"")

                def more():
                    worst = 0.0
                    for n in range(12):
                        for client in early:
                            client.send(drip[n:n + 1])
                        for client in late:
                            client.send(HELLO[n:n + 1] if on else b"N")
                        worst = max(worst, serve(server, stranger))
                    return f", {worst * 1000:.0f} ms between the drips"
                yield more
        return flood()

    compare(slow)


@pytest.mark.long
def test_a_hello_in_drips(server, stranger, needs_sotto):
    """A hello that has not come after 60 seconds ends the connection with 421, however steadily it drips (PROTOCOL.md 3)."""
    with greeted(stranger, server) as client:
        client.ask("EHLO mx.p.example", 250)
        client.send(COMMAND)
        began = time.monotonic()
        client.sock.settimeout(1)
        for n in range(90):
            client.send(HELLO[n:n + 1])
            with contextlib.suppress(TimeoutError):
                said = client.sock.recv(512)
                break
        assert said.startswith(b"421 ") and 55 <= time.monotonic() - began <= 80


def test_hellos_at_full_speed(compare, server, stranger):
    """Peers that make exchange after exchange as fast as they can: each costs a session for its moment, and the next good client is served."""
    def hellos(on):
        @contextlib.contextmanager
        def flood():
            stop, done = threading.Event(), []

            def work():
                while not stop.is_set():
                    with greeted(stranger, server) as client:
                        client.ask("EHLO mx.p.example", 250)
                        client.send(COMMAND + HELLO if on else b"XSOTTO 1 1216\r\n")
                        client.reply()
                        done.append(1)

            threads = [threading.Thread(target=work) for _ in range(6)]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            try:
                yield lambda: f"; {len(done) / (time.monotonic() - began):.0f} a second" if done else pytest.fail("none got through")
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
        return flood()

    compare(hellos)


def test_cover_records(compare, server, stranger):
    """A peer that sends nothing but cover: it is dropped as it comes, nothing of it is kept, and QUIT behind it is answered."""
    assert COVERS.exists(), "`make lab-tools` makes what floods"
    count = 100_000

    def covers(on):
        @contextlib.contextmanager
        def flood():
            if on:
                words = ["nsenter", "-t", str(stranger.host.pid), "-n", str(COVERS), server.host.v4, str(count)]
                flooding = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=CLEAN)
                began = time.monotonic()

                def more():
                    said = flooding.communicate(timeout=120)[0]
                    assert flooding.returncode == 0 and said.startswith(b"221 "), said
                    return f"; {count * 1042 / 1e6:.0f} MB of cover in {time.monotonic() - began:.1f} s"
                try:
                    yield more
                finally:
                    flooding.kill()
                    flooding.wait()
            else:
                yield from body(server, stranger, count * 1042)
        return flood()

    compare(covers)


def body(server, stranger, octets):
    """Without Sotto: as many octets of a message that is never finished."""
    client = greeted(stranger, server)

    def send():
        with contextlib.suppress(OSError):
            for line in ("EHLO mx.p.example", "MAIL FROM:<anna@p.example>", f"RCPT TO:<bert@{server.domain}>", "DATA"):
                client.say(line)
            block = b"x" * 70 + b"\r\n"
            for _ in range(octets // len(block) // 1000):
                client.send(block * 1000)

    thread = threading.Thread(target=send)
    with client:
        began = time.monotonic()
        thread.start()

        def more():
            thread.join()
            return f"; {octets / 1e6:.0f} MB of a message in {time.monotonic() - began:.1f} s"
        yield more


@pytest.mark.long
def test_never_reads(compare, server, stranger):
    """A peer that sends commands and reads no reply: soon nothing more is taken from it, and no more is held than for others."""
    def deaf(on):
        @contextlib.contextmanager
        def flood():
            with contextlib.ExitStack() as stack:
                taken = []
                for _ in range(5):
                    client = stack.enter_context(greeted(stranger, server))
                    client.ask("EHLO mx.p.example", 250)
                    client.sock.settimeout(1)
                    taken.append(0)
                    with contextlib.suppress(TimeoutError, ConnectionError):
                        while taken[-1] < 64 << 20:
                            taken[-1] += client.sock.send(b"HELP\r\n" * 5000)
                assert max(taken) < 64 << 20, "its commands are taken without end"
                yield lambda: f"; {max(taken) / 1e6:.1f} MB were taken from each"
        return flood()

    with server.patient():
        compare(deaf)


def test_commands_without_end(compare, server, stranger):
    """A line that never ends, before EHLO and instead of it: not more than a line's worth of it is ever kept."""
    def endless(on):
        @contextlib.contextmanager
        def flood():
            with contextlib.ExitStack() as stack:
                for start in (b"", b"EHLO ", b"XSOTTO 1 ") * 2:
                    client = stack.enter_context(greeted(stranger, server))
                    client.sock.settimeout(1)
                    with contextlib.suppress(TimeoutError, ConnectionError):
                        client.send(start)
                        for _ in range(40):
                            client.send(b"x" * 65536)
                yield None
        return flood()

    compare(endless)
    with greeted(stranger, server) as client:
        client.send(b"EHLO " + b"x" * 3000 + b"\r\nQUIT\r\n")
        assert everything(client)
