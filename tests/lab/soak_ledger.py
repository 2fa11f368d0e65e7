# SPDX-License-Identifier: ISC
"""The soak's book-keeping: what was sent, what arrived, what is explained by what the mail servers logged. Thread-safe where noted."""

import hashlib
import os
import re
import threading
import time

from .message import ADDED, Message

TOKEN = re.compile(rb"^Message-ID: <(\w+)\.letter@", re.M)
SIZES = ((50, 200, 4_000), (25, 4_000, 60_000), (15, 60_000, 600_000), (8, 600_000, 3_000_000), (2, 3_000_000, 10_000_000))
# The connection was gone when the sender waited for the answer to the whole message: it cannot know, and sends it again. Exim does not
# always say at what; where its own end was cut, only the kernel's words are there.
UNANSWERED = re.compile(r"end of data|BDAT|sending data block|after sending|message content|final dot|connection abort|reset by peer|Broken pipe|timed out", re.I)


class Letter:
    """What is kept of a message once it was sent."""

    def __init__(self, message, origin, target, required):
        self.size, self.digest = len(message.octets), hashlib.sha256(message.octets).digest()
        self.origin, self.target, self.required = origin, target, required
        self.at = time.monotonic()
        self.copies, self.took, self.sealed = 0, None, 0

    def fault(self, delivered):
        """"" if what arrived is what was sent, under headers that mail servers add."""
        if len(delivered) < self.size or hashlib.sha256(delivered[len(delivered) - self.size:]).digest() != self.digest:
            return f"{len(delivered)} octets arrived that do not end with the {self.size} that were sent"
        for line in delivered[:len(delivered) - self.size].split(b"\n"):
            if line and line[:1] not in b" \t" and not ADDED.match(line):
                return f"a line was added: {line[:200]!r}"
        return ""


class Writer:
    """Makes messages of mixed sizes, of text that occurs nowhere else."""

    def __init__(self, rng):
        self._rng = rng
        pool = rng.randbytes(6_000_000).hex()
        self._pool = "\n".join(pool[at:at + 76] for at in range(0, len(pool), 76))

    def message(self, sender, recipient):
        _, least, most = self._rng.choices(SIZES, [weight for weight, _, _ in SIZES])[0]
        size = self._rng.randint(least, most)
        at = self._rng.randrange(len(self._pool) - size)
        dots = self._rng.choice(("", "", ".\n..\n.hidden\n", "\n.\n"))
        return Message(sender, recipient, body=f"{dots}{os.urandom(16).hex()}\n{self._pool[at:at + size]}\n")


class Ledger:
    """All messages by token. add() and collect() may be called from several threads."""

    def __init__(self):
        self.letters, self.altered, self.strange, self.octets = {}, [], [], 0
        self._lock = threading.Lock()

    def add(self, message, origin, target, required):
        with self._lock:
            self.letters[message.token] = Letter(message, origin, target, required)

    def collect(self, server, user):
        """Takes what is in the user's mailbox out of it, and enters it."""
        folder = server.host.path(f"/home/{user}/Maildir/new")
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            octets = path.read_bytes()
            self._enter(server, octets)
            path.unlink()

    def _enter(self, server, octets):
        found = TOKEN.search(octets)
        with self._lock:
            letter = self.letters.get(found.group(1).decode()) if found else None
            if letter is None or letter.target is not server:
                self.strange.append(f"{server.name}: {octets[:300]!r}")
                return
            letter.copies += 1
            letter.took = letter.took or time.monotonic() - letter.at
            self.octets += len(octets)
            letter.sealed += re.search(rb"X-Sotto: sealed v=1 id=", octets.split(b"\n\n", 1)[0]) is not None
            fault = letter.fault(octets)
            if fault:
                self.altered.append(f"{found.group(1).decode()} to {server.name}: {fault}")

    def queued(self, servers):
        """The tokens of what waits in the queues."""
        found = set()
        for server in servers:
            for folder, _, names in os.walk(server.host.path("/var/spool/exim4/input")):
                for name in names:
                    if name.endswith("-H"):
                        try:
                            with open(os.path.join(folder, name), "rb") as f:
                                found |= set(re.findall(rb"<(\w+)\.letter@", f.read()))
                        except FileNotFoundError:
                            pass
        return {token.decode() for token in found}


class Logs:
    """What the mail servers' main logs say of messages, read once, at the end."""

    def __init__(self, servers):
        self.lines = {server: server.log() for server in servers}
        self._ids, self._of, self._accepted = {}, {}, {}
        for server, lines in self.lines.items():
            for line in lines:
                words = line.split(" ", 4)
                if len(words) < 4:
                    continue
                self._of.setdefault((server, words[2]), []).append(line)
                token = re.search(r" id=(\w+)\.letter@", line)
                if words[3] == "<=" and token:
                    (self._ids if " P=local" in line else self._accepted).setdefault((server, token.group(1)), []).append(words[2])

    def bounced(self):
        return [line for lines in self.lines.values() for line in lines if re.search(r"^\S+ \S+ \S+ \*\* ", line)]

    def panics(self):
        return [line for server in self.lines for line in server.host.read("/var/log/exim4/paniclog").decode(errors="replace").splitlines()]

    def accepted(self, letter, token):
        """How often the target took the message."""
        return len(self._accepted.get((letter.target, token), ()))

    def unanswered(self, letter, token):
        """How often the origin sent it whole and was not told what became of it: its log lines, one each time."""
        lines = [line for exim_id in self._ids.get((letter.origin, token), ()) for line in self._of.get((letter.origin, exim_id), ())]
        return [line for line in lines if " == " in line and UNANSWERED.search(line)]

    def about(self, letter, token):
        return [f"{letter.origin.name}: {line}" for exim_id in self._ids.get((letter.origin, token), ()) for line in self._of.get((letter.origin, exim_id), ())] \
            + [f"{letter.target.name}: {line}" for exim_id in self._accepted.get((letter.target, token), ()) for line in self._of.get((letter.target, exim_id), ())]
