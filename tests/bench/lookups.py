# SPDX-License-Identifier: ISC
"""
A lookup's time, 1,000 a second, with every MX in the world down and mail for hundreds of them in Postfix's queue: of sotto-policyd at
its own socket, and through the connector, as Postfix asks; beside a socketmap server that only answers NOTFOUND. One client, all three in
turns, in three worlds: addresses that nobody answers at; a DNS that nobody answers at; the first one, and tables of the administrator's.
Client and servers run before all else on the machine (SCHED_FIFO), but not what they start: what is measured is what a server does to
its lookups, and not what else the machine has to do.

    lookups.py [ROUNDS [MILLISECONDS]]
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mailhosts import lab_or_sentence
from postfixhosts import postfix, postfix_lab, read_figures
from lab.mailserver_postfix import SPOOL
from lab.paths import PROJECT

BUILT = PROJECT / "build" / "bench"
RATE = 1000
DOMAINS = 800
PROCESSES = 100     # Postfix's own limit
MX, DNS = "192.0.2.201", "192.0.2.202"      # packets go there, and nothing ever comes back
FRESH = 1_000_000
TABLES = {"transport_maps": "hash:/etc/postfix/transport", "smtp_tls_policy_maps": "hash:/etc/postfix/tls_policy"}


@contextlib.contextmanager
def notfound():
    """The path of the socket of the server that it is measured by."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.sock"
        with subprocess.Popen([BUILT / "notfound", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout.readline() == "ready\n"
            yield path, server.pid
            server.stdin.close()


def make_silent(host):
    """Addresses that are somebody's, as far as the host's network knows."""
    host.ip(*(f"neigh replace {address} lladdr 02:00:00:00:0{n}:99 dev eth0 nud permanent" for n, address in enumerate((MX, DNS))))


@contextlib.contextmanager
def no_dns(server):
    before = server.host.read("/etc/resolv.conf")
    files = ["/etc/resolv.conf", f"{SPOOL}/etc/resolv.conf"]
    for path in files:
        server.host.write(path, f"nameserver {DNS}\n")
    server.restart()
    try:
        yield
    finally:
        for path in files:
            server.host.write(path, before)


@contextlib.contextmanager
def tables(server):
    server.host.write("/etc/postfix/transport", "known.example smtp:[mx.known.example]\n.known.example smtp:\n")
    server.host.write("/etc/postfix/tls_policy", "known.example encrypt\n")
    server.host.run(["postmap", "/etc/postfix/transport", "/etc/postfix/tls_policy"])
    with_ours = {name: f"{table}, {server.postconf('-h', name).strip()}" for name, table in TABLES.items()}
    with server.configured(**with_ours):
        yield


WORLDS = {"mx": lambda server: contextlib.nullcontext(), "dns": no_dns, "tables": tables}


def before_all_else(*pids):
    for pid in pids:
        try:
            os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        except PermissionError:
            return      # the client says so


def look_up(server, yardstick, words):
    with subprocess.Popen(list(map(str, [BUILT / "lookups", RATE, *words])),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline().startswith("ready ")
        ours = [pid for pid, name, _ in server.host.processes() if name in ("sotto-policyd", "sotto-connector")]
        before_all_else(client.pid, yardstick, *ours)
        client.stdin.write("\n")
        client.stdin.flush()
        return read_figures(client.stdout)


def measure(server, yardstick, world, rounds, ms, first):
    """Begins with a queue that nothing was tried of yet, for domains that were asked for: Postfix has all its processes at work all the while."""
    recipients = [f"bert@d{n}.down.example" for n in range(1, DOMAINS + 1)]
    server.host.run(["postmap", "-q", "-", "socketmap:unix:/run/sotto/map.sock:transport"], "".join(f"{one}\n" for one in recipients).encode(), check=False)
    mark, sotto_mark = len(server.log()), len(server.sotto_log())
    server.host.run(["/usr/sbin/sendmail", "-i", "-f", f"anna@{server.domain}", "--", *recipients], b"Subject: hello\n\nhello\n")
    server.await_log(r"from=<anna@\S+, size=.*\(queue active\)", mark)
    ways = {"notfound": yardstick[0], "policyd": server.host.path("/run/sotto/map.sock"), "connector": server.host.path(f"{SPOOL}/private/sotto-map")}
    got = look_up(server, yardstick[1], [rounds, ms, DOMAINS, first, *(f"lookup.{world}.{name}={path}" for name, path in ways.items())])
    for name in ("policyd", "connector"):
        assert got[f"lookup.{world}.{name}.ok"] > 0.02, f"{world}, {name}: it does not answer with the hop"
    assert got[f"lookup.{world}.notfound.ok"] == 0 and server.queue()
    tried = sum("outcome=none" in line for line in server.sotto_log()[sotto_mark:])
    trying = sum(name == "sotto-session" for _, name, _ in server.host.processes())
    assert tried + trying >= PROCESSES / 2, f"{world}: {tried} sessions have tried to connect, {trying} still try"
    server.clear_queue()
    server.forget()
    return {name: value for name, value in got.items() if not name.endswith(".ok")}


def main(rounds, ms):
    with postfix_lab() as lab, notfound() as yardstick:
        lab.dns.add("*.down.example. MX 10 mx.down.example.", f"mx.down.example. A {MX}")
        server = postfix(lab, "f", sotto=True, smtp_connect_timeout="1s")
        make_silent(server.host)
        server.start()
        for number, (world, change) in enumerate(WORLDS.items()):
            with change(server):
                for name, value in measure(server, yardstick, world, rounds, ms, FRESH * (number + 1)).items():
                    print(name, value, flush=True)


if __name__ == "__main__":
    with lab_or_sentence():
        main(*(int(word) for word in (sys.argv[1:] + ["8", "1000"][len(sys.argv) - 1:])))
