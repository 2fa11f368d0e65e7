# SPDX-License-Identifier: ISC
"""
Round trips from the greeting until a message is accepted, Exim to Exim, through a relay that adds 50 ms each way: how often the sender
waited for the receiver (counted in the relay), and the time that it took. TCP's own handshake, the same for all, is not in it: the relay
answers that at once.

    turns.py [ROUNDS]
"""

import re
import statistics
import sys
import time

from mailhosts import WAYS, hosts, lab_or_sentence, message, way, went
from delay import Delay, turns
from lab.host import Host

DELAY = 0.05
DOMAIN = "far.example"


def accepted_at(line):
    """The time that Exim's log gives a line, in seconds of time.time(); the hosts' clocks are the machine's, in UTC."""
    stamp, millisec = re.match(r"(\S+ \S+?)\.(\d+) ", line).groups()
    return time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) + int(millisec) / 1000


def one(lab, relay, name):
    """(round trips, seconds from the connection until the sender has heard the last 250)."""
    with way(lab, name) as (sender, receiver):
        relay.target = receiver.host.v4
        before, seen = len(receiver.log()), len(relay.connections)
        sender.submit(message(sender, DOMAIN))
        line = receiver.await_log(r" <= anna@", after=before)[0]
        assert went(name, line), f"{name}: {line}"
        sender.await_empty_queue()
        (events,) = relay.connections[seen:]
        at = accepted_at(line)
        # the octets that made the receiver write this line had left the relay before
        return turns(events, at), at + DELAY - events[0][0]


def main(rounds):
    with hosts(DOMAIN) as lab:
        relay_host = Host("relay.lab", None, lab.folder / "relay")
        lab.hosts.append(relay_host)
        lab.switch.connect(relay_host, 52)
        lab.dns.add(f"{DOMAIN}. MX 10 relay.lab.", f"relay.lab. A {relay_host.v4}")
        relay_host.ip("link set lo up")
        relay = Delay(relay_host, 25, DELAY)
        got = {name: [] for name in WAYS}
        one(lab, relay, "sealed_keep")      # whatever is made up at the first time: Diffie-Hellman, identity key
        for _ in range(rounds):
            for name in WAYS:
                got[name].append(one(lab, relay, name))
        for name, runs in got.items():
            print(f"turns.{name}.round_trips {statistics.median(count for count, _ in runs)}")
            print(f"turns.{name}.ms {statistics.median(seconds for _, seconds in runs) * 1000:.1f}", flush=True)


if __name__ == "__main__":
    with lab_or_sentence():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
