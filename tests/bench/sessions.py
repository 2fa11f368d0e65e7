# SPDX-License-Identifier: ISC
"""
Inbound sessions a second (connect, EHLO, QUIT): of Postfix's smtpd, of smtpd behind sotto-front and sotto-session, and of smtpd behind
the front alone, which passes connections through by itself where there is no sotto-session. One client, one and twenty sessions at a time. Beside it
the CPU that a session takes, of all processes of the host: that is the same however busy the machine is.

    sessions.py [ROUNDS [SESSIONS]]
"""

import contextlib
import statistics
import sys

from mail import Cpu, cgroups, pids
from mailhosts import lab_or_sentence
from postfixhosts import bare_host, figures, postfix, postfix_lab
from lab.paths import PROJECT

CLIENT = PROJECT / "build" / "bench" / "sessions"
WAYS = ("plain", "session", "front")
AT_ONCE = (1, 20)
SESSION = "/usr/libexec/sotto/sotto-session"


def warm(servers, client):
    """What is made once has been made, and processes of Postfix's are there."""
    for server in servers.values():
        figures([CLIENT, server.host.v4, 100, 20], host=client)


@contextlib.contextmanager
def accounts(servers):
    """{way: Cpu} of the hosts."""
    with cgroups() as root, contextlib.ExitStack() as stack:
        made = {}
        for way, server in servers.items():
            made[way] = Cpu(root, way)
            stack.callback(made[way].close)
            for pid in pids(server) - {server.host.pid}:
                made[way].enter(pid)
        yield made


def one_round(server, client, cpu, count, at_once):
    """(sessions a second, seconds of CPU a session)."""
    before = cpu.seconds()
    rate = figures([CLIENT, server.host.v4, count, at_once], host=client)["per_second"]
    return rate, (cpu.seconds() - before) / count


def main(rounds, count):
    with postfix_lab() as lab:
        servers = {way: postfix(lab, letter, sotto=way != "plain") for way, letter in zip(WAYS, "nfx")}
        client = bare_host(lab, 51)
        lab.start_all()
        # the daemon, which has no part in this, wants to see it when it starts
        servers["front"].host.path(SESSION).unlink()
        warm(servers, client)
        got = {}
        with accounts(servers) as cpus:
            for at_once in AT_ONCE * rounds:
                for way, server in servers.items():
                    result = one_round(server, client, cpus[way], count * (1 if at_once == 1 else 3), at_once)
                    got.setdefault((at_once, way), []).append(result)
        assert not any(line.startswith("sotto-session[") for line in servers["front"].sotto_log()), "the front was not alone"
        assert not any("without Sotto" in line for line in servers["session"].sotto_log())
    for (at_once, way), results in got.items():
        print(f"sessions.{at_once}.{way}.per_second {statistics.median(rate for rate, _ in results):.4g}")
        print(f"sessions.{at_once}.{way}.cpu_ms {statistics.median(used for _, used in results) * 1000:.4g}", flush=True)


if __name__ == "__main__":
    with lab_or_sentence():
        main(*(int(word) for word in (sys.argv[1:] + ["9", "200"][len(sys.argv) - 1:])))
