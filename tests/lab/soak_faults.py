# SPDX-License-Identifier: ISC
"""
The faults of the soak, for one host: each is done, lasts for a moment at most, and is undone. Everything that was changed is as
it was when a fault returns, but for what the fault is about (a process that is gone, a file that is lost).
"""

import contextlib
import os
import re
import signal
import subprocess
import time

from .host import CLEAN

PROGRAM = "/usr/libexec/sotto/sotto-session"
CONF = "/etc/sotto/sotto.conf"
STATE = "/var/lib/sotto"
RUN = "/run/sotto"
BROKEN = ("[sotto]\nmode = opportunistic\nmode = opportunistic\n", "[sotto]\npadding = maybe\n", "mode\n", "[sotto]\n" + "x" * 3000 + "\n", "\0\0\0\0")


class Faults:
    """
    server: the host's mail server; port: the switch's end of its cable. rng decides everything that can be decided. counts: how
    many of each kind have been done, by name. stop: an Event that ends waiting early.
    """

    def __init__(self, server, switch, port, rng, counts, stop):
        self.server, self.host = server, server.host
        self._switch, self._port, self._rng, self._counts, self._stop = switch, port, rng, counts, stop
        self.troubles = []      # what a fault could not do or undo
        self._kinds = {
            "sotto-session killed": (7, self.kill), "sotto-session stopped": (3, self.pause), "connection cut": (7, self.cut),
            "inner connection cut": (2, self.cut_inside), "line dead": (2, self.line), "state removed": (3, self.forget),
            "state damaged": (3, self.damage), "state unreadable": (1, self.unreadable), "state missing": (1, self.state_away),
            "identity key replaced": (1, self.identity), "live files removed": (1, self.live), "sotto.conf broken": (2, self.conf),
            "sotto-session missing": (2, self.program_away), "sotto-session crashes at once": (1, self.program_crashes),
            "Exim restarted": (1, self.restart)}

    def one(self):
        """Does one of them. One that found nothing to do counts as nothing."""
        kinds = list(self._kinds)
        kind = self._rng.choices(kinds, [self._kinds[name][0] for name in kinds])[0]
        try:
            if self._kinds[kind][1]() is not False:
                self._counts[kind] = self._counts.get(kind, 0) + 1
        except Exception as why:  # whatever it is, the rest of the soak goes on, and it is told at the end
            self.troubles.append(f"{self.server.name}: {kind}: {why!r}"[:600])

    def _moment(self, least=0.2, most=4.0):
        self._stop.wait(self._rng.uniform(least, most))

    # ---- processes

    def _session(self):
        """Waits a little for a sotto-session, and then for some part of its life to pass."""
        for _ in range(60):
            found = [pid for pid, name, _ in self.host.processes() if name == "sotto-session"]
            if found:
                time.sleep(self._rng.choice((0, 0, 0.01, 0.03, 0.1, 0.4)))
                return self._rng.choice(found)
            if self._stop.wait(0.03):
                break
        return None

    def _signal(self, pid, number):
        """True when it got there, and it is still a sotto-session of this host."""
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            if (pid, "sotto-session") not in [one[:2] for one in self.host.processes()]:
                return False
            signal.pidfd_send_signal(handle, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)

    def _hit(self, number):
        """Signals one of them; most end by themselves while we look, so that it takes several attempts. Its pid, or None."""
        for _ in range(8):
            pid = self._session()
            if pid is None or self._signal(pid, number):
                return pid
        return None

    def kill(self):
        return self._hit(self._rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV))) is not None

    def pause(self):
        pid = self._hit(signal.SIGSTOP)
        if pid is None:
            return False
        try:
            self._moment(0.1, 12)
        finally:
            self._signal(pid, signal.SIGKILL if self._rng.random() < 0.3 else signal.SIGCONT)
        return True

    def restart(self):
        self.server.restart()

    # ---- the network

    def _ss(self, *words):
        return subprocess.run(["nsenter", "-t", str(self.host.pid), "-n", "ss", "-Htn", *words], capture_output=True, text=True, env=CLEAN,
                              check=False).stdout

    def _cut(self, inside):
        """Resets one connection of those that are open, under both ends of it."""
        for _ in range(60):
            ends = [line.split()[3:5] for line in self._ss("state", "established", "state", "fin-wait-1", "state", "close-wait").splitlines()]
            ends = [one for one in ends if len(one) == 2 and one[0].startswith("127.") == inside and (inside or ":25" in "".join(e[-3:] for e in one))]
            if ends:
                local, peer = self._rng.choice(ends)
                time.sleep(self._rng.choice((0, 0, 0.01, 0.05)))
                return bool(self._ss("-K", "src", local, "dst", peer))
            if self._stop.wait(0.03):
                break
        return False

    def cut(self):
        return self._cut(False)

    def cut_inside(self):
        return self._cut(True)

    def line(self):
        self._switch.ip(f"link set {self._port} down")
        try:
            self._moment(0.2, 8)
        finally:
            self._switch.ip(f"link set {self._port} up")

    # ---- files

    def _state_files(self):
        return [path for folder in ("peers", "names") for path in self.host.path(f"{STATE}/{folder}").glob("*")]

    def forget(self):
        self.host.run(["rm", "-rf", f"{STATE}/peers", f"{STATE}/names"])

    def damage(self):
        files = self._state_files()
        if not files:
            return False
        path = self._rng.choice(files)
        octets = bytearray(path.read_bytes())
        how = self._rng.randrange(4)
        if how == 0:
            octets = octets[:self._rng.randrange(len(octets) + 1)]
        elif how == 1 and octets:
            octets[self._rng.randrange(len(octets))] ^= 1 << self._rng.randrange(8)
        else:
            octets = self._rng.randbytes(self._rng.choice((1, 100, 70000)))
        path.write_bytes(octets)
        return True

    @contextlib.contextmanager
    def _mode(self, path, mode):
        before = self.host.path(path).stat().st_mode & 0o7777
        self.host.path(path).chmod(mode)
        try:
            yield
        finally:
            self.host.path(path).chmod(before)

    def unreadable(self):
        with self._mode(STATE, self._rng.choice((0, 0o500))):
            self._moment()

    @contextlib.contextmanager
    def _away(self, path):
        self.host.run(["mv", path, f"{path}.away"])
        try:
            yield
        finally:
            self.host.run(["sh", "-c", f"rm -rf {path}; mv {path}.away {path}"])

    def state_away(self):
        with self._away(STATE):
            self._moment()

    def identity(self):
        """Another key, or octets that are none: the next session makes one, or has none."""
        path = self.host.path(f"{STATE}/identity")
        if self._rng.random() < 0.7:
            path.unlink(missing_ok=True)
        elif path.exists():
            path.write_bytes(self._rng.randbytes(self._rng.choice((0, 31, 32, 64))))

    def live(self):
        """Of sessions over IPv4: those over IPv6 are told by their trace."""
        for path in self.host.path(RUN).glob("*"):
            if re.match(r"(out-)?192\.", path.name):
                path.unlink(missing_ok=True)

    def conf(self):
        before = self.host.read(CONF)
        self.host.write(CONF, self._rng.choice(BROKEN))
        try:
            self._moment()
        finally:
            self.host.write(CONF, before)

    def program_away(self):
        with self._away(PROGRAM):
            self._moment()

    def program_crashes(self):
        with self._away(PROGRAM):
            self.host.run(["cp", "/bin/false", PROGRAM])
            self._moment()
