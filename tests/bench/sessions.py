# SPDX-License-Identifier: ISC
"""
Inbound sessions a second (connect, EHLO, QUIT): of Postfix's smtpd, of smtpd behind sotto-front and sotto-session, and of smtpd behind
the front alone, which passes connections through by itself where there is no sotto-session. One client, one and twenty sessions at a time.

    sessions.py [ROUNDS [SESSIONS]]
"""

import statistics
import sys

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


def main(rounds, count):
    with postfix_lab() as lab:
        servers = {way: postfix(lab, letter, sotto=way != "plain") for way, letter in zip(WAYS, "nfx")}
        client = bare_host(lab, 51)
        lab.start_all()
        # the daemon, which has no part in this, wants to see it when it starts
        servers["front"].host.path(SESSION).unlink()
        warm(servers, client)
        got = {}
        for _ in range(rounds):
            for at_once in AT_ONCE:
                for way, server in servers.items():
                    words = [CLIENT, server.host.v4, count * (1 if at_once == 1 else 3), at_once]
                    got.setdefault((at_once, way), []).append(figures(words, host=client)["per_second"])
        assert not any(line.startswith("sotto-session[") for line in servers["front"].sotto_log()), "the front was not alone"
        assert not any("without Sotto" in line for line in servers["session"].sotto_log())
    for (at_once, way), rates in got.items():
        print(f"sessions.{at_once}.{way}.per_second {statistics.median(rates):.4g}", flush=True)


if __name__ == "__main__":
    with lab_or_sentence():
        main(*(int(word) for word in (sys.argv[1:] + ["9", "200"][len(sys.argv) - 1:])))
