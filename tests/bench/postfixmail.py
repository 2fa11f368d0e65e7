# SPDX-License-Identifier: ISC
"""
Messages a second, Postfix to Postfix, of small messages until the last of them is in the receiver's Maildir. queue: they wait in the
sender's queue, and are let go all at once. path: smtp-source gives them to the sender over SMTP, twenty connections at a time and a
connection each, from a host of its own, and they are on their way meanwhile. All arrive, and each says how it came.

    postfixmail.py [ROUNDS [MESSAGES]]
"""

import contextlib
import ctypes
import os
import select
import statistics
import struct
import sys
import time

from mailhosts import lab_or_sentence
from postfixhosts import postfix, postfix_lab
from lab.mailserver import PATIENCE
from lab.paths import Failed
from lab.wait import LIBC

WAYS = {    # name: (who sends, who receives, starttls of the sender's sotto.conf)
    "plain": ("n", "q", None),
    "starttls": ("n", "t", None),
    "sealed_skip": ("s", "r", "skip"),
    "sealed_keep": ("s", "r", "keep"),
}
SETTINGS = {"n": (False, False), "s": (True, False), "q": (False, False), "t": (False, True), "r": (True, True)}   # (Sotto, STARTTLS)
LENGTH = 1000
CAME = 0x180        # inotify(7): moved or linked to there


class Arrivals:
    """Counts the messages that come into a Maildir."""

    def __init__(self, folder):
        self._inotify = LIBC.inotify_init1(os.O_CLOEXEC)
        if self._inotify < 0 or LIBC.inotify_add_watch(self._inotify, str(folder).encode(), CAME) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self.count = 0

    def wait_for(self, count, server):
        """Returns when that many have come, and says when that was; as long as any come, the others are waited for."""
        while self.count < count:
            if not select.select([self._inotify], [], [], PATIENCE)[0]:
                raise Failed(f"{self.count} of {count} messages came; the log of {server.name} ends:\n" + "\n".join(server.log()[-8:]))
            events, at = os.read(self._inotify, 65536), 0
            while at < len(events):
                at += 16 + struct.unpack_from("I", events, at + 12)[0]
                self.count += 1
        return time.monotonic()

    def close(self):
        os.close(self._inotify)


@contextlib.contextmanager
def arrivals(receiver):
    receiver.host.run(["install", "-d", "-m", "700", "-o", "bert", *(f"/home/bert/Maildir{part}" for part in ("", "/tmp", "/new", "/cur"))])
    one = Arrivals(receiver.host.path("/home/bert/Maildir/new"))
    try:
        yield one
    finally:
        one.close()


def went(name, message):
    """Whether the topmost headers of a message say that it came by this way."""
    top = message.partition(b"\n\n")[0].partition(b"\nReceived: ")
    top = top[0] + top[1] + top[2].partition(b"\nReceived: ")[0]
    return (b" with ESMTPS " in top) == (name in ("starttls", "sealed_keep")) and (b"X-Sotto: sealed" in top) == name.startswith("sealed")


def check(name, receiver, count):
    came = receiver.delivered("bert")
    assert len(came) == count, f"{name}: {len(came)} of {count} messages came"
    other = [message for message in came if not went(name, message)]
    assert not other, f"{name}: {len(other)} of {count} messages did not come that way: {other[0][:1500].decode(errors='replace')}"
    receiver.empty()


def source(target, receiver, count, *options):
    return ["smtp-source", *options, "-m", str(count), "-l", str(LENGTH), "-f", f"anna@{receiver.domain}", "-t", f"bert@{receiver.domain}",
            f"inet:{target}:25"]


def defer(sender, on):
    sender.postconf(*(["-e", "defer_transports=smtp"] if on else ["-X", "defer_transports"]))
    sender.reload()


def from_queue(name, sender, receiver, count):
    """Messages a second, from the moment when Postfix is told to try."""
    defer(sender, True)
    mark = len(sender.log())
    sender.host.run(source("127.0.0.1", receiver, count, "-d", "-s", "5"))
    sender.await_log(r"status=deferred \(deferred transport\)", mark, count=count)
    defer(sender, False)
    with arrivals(receiver) as coming:
        began = time.monotonic()
        sender.run_queue()
        ended = coming.wait_for(count, sender)
    sender.await_empty_queue()
    check(name, receiver, count)
    return count / (ended - began)


def through(client, name, sender, receiver, count):
    """Messages a second, from the moment when the first of them is given to the sender."""
    with arrivals(receiver) as coming:
        began = time.monotonic()
        client.host.run(source(sender.host.v4, receiver, count, "-s", "20"), seconds=300)
        ended = coming.wait_for(count, sender)
    sender.await_empty_queue()
    check(name, receiver, count)
    return count / (ended - began)


def measure(lab, client, rounds, count):
    got = {}
    for number in range(rounds + 1):
        for name, (sender, receiver, starttls) in WAYS.items():
            pair = lab.servers[sender], lab.servers[receiver]
            with pair[0].sotto_conf(starttls=starttls) if starttls else contextlib.nullcontext():
                for how, rate in (("queue", from_queue), ("path", lambda *words: through(client, *words))):
                    result = rate(name, *pair, count if number else 20)
                    if number:      # the first round makes up what is made once: identity keys, what is known of a domain
                        got.setdefault((how, name), []).append(result)
    return got


def main(rounds, count):
    with postfix_lab() as lab:
        client = postfix(lab, "c")
        for letter, (sotto, tls) in SETTINGS.items():
            postfix(lab, letter, sotto=sotto, tls=tls, mynetworks=f"127.0.0.0/8 {client.host.v4}/32")
        for letter in SETTINGS:
            lab.servers[letter].start()
        got = measure(lab, client, rounds, count)
    for (how, name), rates in got.items():
        print(f"postfix.{how}.{name}.per_second {statistics.median(rates):.4g}", flush=True)


if __name__ == "__main__":
    with lab_or_sentence():
        main(*(int(word) for word in (sys.argv[1:] + ["5", "400"][len(sys.argv) - 1:])))
