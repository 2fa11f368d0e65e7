# SPDX-License-Identifier: ISC
"""
The worker of OpenSMTPD's filter is killed a hundred times while mail comes in, and then a plain relay in its place just as often: smtpd lives,
nothing is lost, and no more comes twice than with the plain relay.
"""

import contextlib
import math
import random
import re
import subprocess
import threading
import time
from typing import NamedTuple

import pytest

from .faults import replaced
from .host import CLEAN
from .message import difference
from .paths import PROJECT
from .test_exim import letter
from .test_opensmtpd_worker import TAKEN, WORKER, smtpds

PLAIN = PROJECT / "build" / "lab-tools" / "plain-worker"
TIMES = 100
RUNNERS, AT_ONCE = 2, 10        # queue runners at a time, messages that are put into the queue at a time
CONNECTED = r"smtp connected "


class Load(threading.Thread):
    """Mail from Exim's queue, which is tried again and again, whatever Exim thinks of the host, until stop() is called and all of it has left."""

    def __init__(self, origin, target):
        super().__init__()
        self.origin, self.target, self.messages = origin, target, []
        self._stopped = threading.Event()

    def stop(self):
        self._stopped.set()
        self.join()

    def _enqueue(self):
        new = [letter(self.origin, self.target) for _ in range(AT_ONCE)]
        batch = b"".join(f"MAIL FROM:<{one.sender}>\r\nRCPT TO:<{one.recipients[0]}>\r\nDATA\r\n".encode() + one.smtp for one in new)
        self.origin.host.run(["/usr/sbin/exim4", "-odq", "-bS"], batch)
        self.messages += new

    def run(self):
        while not self._stopped.is_set() or self.origin._queued():
            if len(self.origin._queued()) < AT_ONCE and not self._stopped.is_set():
                self._enqueue()
            self.origin.forget_hosts()
            self.origin.forget()        # who was lost is not avoided: all of it is to be sealed that can be
            runs = [self.origin.host.popen(["/usr/sbin/exim4", "-qff"], stdin=subprocess.DEVNULL, env=CLEAN) for _ in range(RUNNERS)]
            for one in runs:
                one.wait()


@contextlib.contextmanager
def relayed(server, program):
    """By the worker (None), or by this program in its place."""
    with replaced(server.host, WORKER, program.read_bytes()) if program else contextlib.nullcontext():
        mark = len(server.sotto_log())
        server.kill_worker()
        server.await_sotto(TAKEN, mark)
        yield
    mark = len(server.sotto_log())
    server.kill_worker()
    server.await_sotto(TAKEN, mark)


def kill_each(server, times, longest):
    """Kills it so many times, each at some moment of the first `longest` seconds of a connection that was made since the last time."""
    moments = random.Random(1)
    for _ in range(times):
        server.await_log(CONNECTED, len(server.log()))
        time.sleep(moments.uniform(0, longest))     # no event: any moment will do, but not always the same
        mark = len(server.sotto_log())
        server.kill_worker()
        server.await_sotto(TAKEN, mark)


def session_time(origin, target):
    """Seconds that the sending of one message takes, about."""
    message = letter(origin, target)
    began = time.monotonic()
    origin.submit(message)
    target.await_token("bert", message)
    return time.monotonic() - began


def unanswered(lines, message_ids):
    """{message: how often Exim did not hear whether all of it was taken}, by Message-ID."""
    names = {found.group(1): found.group(2) for line in lines if (found := re.search(r"(\S+) <= .* id=(\S+)", line))}
    count = dict.fromkeys(message_ids, 0)
    for line in lines:
        found = re.search(r"(\S+) == .*(?:end of data|BDAT)", line)
        if found and names.get(found.group(1)) in count:
            count[names[found.group(1)]] += 1
    return count


class Result(NamedTuple):
    """What became of the mail while one was killed: copies is {Message-ID: those that arrived}, cut as unanswered() has it."""
    copies: dict
    cut: dict
    sealed: int

    @property
    def twice(self):
        return sum(len(found) - 1 for found in self.copies.values())

    def unexplained(self):
        """Those of which more came than there were answers cut off."""
        return [message_id for message_id, found in self.copies.items() if len(found) - 1 > self.cut[message_id]]


def measure(origin, target, program):
    """Nothing is lost, and all that comes is whole."""
    with relayed(target, program):
        longest = session_time(origin, target)
        marks = len(origin.log()), len(target.sotto_log())
        load = Load(origin, target)
        load.start()
        try:
            kill_each(target, TIMES, longest)
        finally:
            load.stop()
        sealed = sum("outcome=sealed" in line for line in target.sotto_log()[marks[1]:])
    target.await_empty_queue()
    there, copies = target.delivered("bert"), {}
    for message in load.messages:
        name = message.message_id.strip("<>")
        copies[name] = [one for one in there if name.encode() in one]
        assert copies[name], f"{message} was lost"
        assert not any(difference(one, message) for one in copies[name])
    target.empty()
    return Result(copies, unanswered(origin.log()[marks[0]:], copies), sealed)


@pytest.mark.long
def test_killed_like_a_plain_relay(lab, opensmtpd, needs_sotto):
    """A hundred kills of each, in one run: what comes twice is what was not answered, and that is no more than with a plain relay."""
    assert PLAIN.exists(), "`make lab-tools` makes the plain relay"
    origin = lab.servers["a"]    # not 4.98: it takes a connection that ends between the replies to RCPT and DATA for a delivery
    before = smtpds(opensmtpd)
    results = {}
    for name, program in (("a plain relay", PLAIN), ("the worker", None)):
        one = results[name] = measure(origin, opensmtpd, program)
        lab.say(f"OpenSMTPD {opensmtpd.version}: {name} killed {TIMES} times: {len(one.copies)} messages, none lost, {sum(one.cut.values())} answers cut off, "
                f"{one.twice} copies too many, {one.sealed} sealed")
        assert smtpds(opensmtpd) == before
    plain, worker = results.values()
    assert not worker.unexplained(), "came again although it had been answered"
    assert worker.twice <= plain.twice + 3 * math.sqrt(plain.twice + worker.twice + 1), "more came twice than with a plain relay"
