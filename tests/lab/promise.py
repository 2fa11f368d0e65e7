# SPDX-License-Identifier: ISC
"""
The rule that outranks all others, as checks: whatever fails, no message is lost, none bounces, none comes later than it may, none comes twice,
and none is in the clear where encryption is required.
"""

import contextlib
import re
import time

from . import wait
from .message import difference

ORDINARY = 4            # seconds that a delivery takes without us, generously: the machine is busy
LATER = 10              # seconds that it may take longer with us (ARCHITECTURE.md)
IN_TIME = ORDINARY + LATER


class Mailbox:
    """Where messages arrive at a real mail server."""

    def __init__(self, server, user="bert"):
        self.server, self.user = server, user

    def count(self, message):
        return sum(message.message_id.encode() in one for one in self.server.delivered(self.user))

    def await_message(self, message, seconds):
        wrong = difference(self.server.await_token(self.user, message, seconds), message)
        assert not wrong, wrong
        self.server.await_empty_queue()


class Letter:
    """One message on its way from a mail server of ours to a mailbox, under a promise."""

    def __init__(self, watch, origin, message, mailbox):
        self.watch, self.origin, self.message, self.mailbox = watch, origin, message, mailbox
        self.began = None
        self._mark = len(origin.log())

    def send(self):
        self.began = time.monotonic()
        self.origin.submit(self.message)
        return self

    def _left(self):
        return max(0.5, self.began + IN_TIME - time.monotonic())

    def arrives(self, times=1):
        """In time, complete, once; nothing bounced and nothing is left in the queue."""
        self.mailbox.await_message(self.message, self._left())
        self.origin.await_empty_queue()
        self.once(times)

    def once(self, times=1):
        found = self.mailbox.count(self.message)
        assert found == times, f"it arrived {found} times instead of {times}"
        self.no_bounce()

    def no_bounce(self):
        assert not [line for line in self.origin.log()[self._mark:] if re.search(self.origin.bounced, line)], "a message bounced"
        user = self.message.sender.partition("@")[0]
        assert not self.origin.delivered(user), f"a report went to {user}"

    def waits(self):
        """In time it is deferred: it is in the queue, whole, and has gone nowhere."""
        self.origin.await_log(self.origin.deferred(self.message.recipients[0]), self._mark, self._left() + self.origin.tells_late)
        wait.until(lambda: self.origin.waiting() == 1, self.origin.spool_folders(), 5, "it is in the queue")
        assert self.mailbox.count(self.message) == 0
        self.no_bounce()

    def fares(self, required):
        """It waits where encryption is required, and arrives where it is not."""
        if required:
            self.waits()
        else:
            self.arrives()

    def arrives_or_waits(self):
        """In time it is one or the other."""
        to, origin = self.message.recipients[0], self.origin
        origin.await_log(f"{origin.sent(to)}|{origin.deferred(to)}", self._mark, self._left() + origin.tells_late)
        if any(re.search(origin.sent(to), line) for line in origin.log()[self._mark:]):
            self.arrives()
        else:
            self.waits()

    def comes_back(self, required=False):
        """
        Its connection was lost: it waits for the next queue run. A mail server that has a second way to the same place goes that way
        at once, unless encryption is required.
        """
        if required or not self.origin.second_way:
            self.waits()
            self.again()
        return self

    def again(self):
        """The next queue run (what the mail server remembers of the host is forgotten, so that it is one): the message may now arrive."""
        self._mark = len(self.origin.log())
        self.origin.forget_hosts()
        self.began = time.monotonic()
        self.origin.run_queue()
        return self

    def unread(self):
        """Nothing of it, not even the envelope, was in the clear on the wire."""
        read = self.watch.wire.find(*self.message.secrets)
        assert not read, f"can be read on the wire ({self.watch.wire.path}): {read[:5]}"


@contextlib.contextmanager
def requiring(server, *names, on=True):
    """With these names in the server's file require."""
    if not on:
        yield
        return
    with server.sotto_conf(require=names):
        yield


def delivers(letter, required, lost=False):
    """
    The promise to a message that met a fault: where encryption is not required, it arrives, in time and once; lost: not until the queue is
    run again. Where it is required it waits, unread; the caller mends things, and lets it arrive.
    """
    letter.send()
    if required:
        letter.waits()
        letter.unread()
        return
    if lost:
        letter.comes_back()
    letter.arrives()
