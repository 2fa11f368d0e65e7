# SPDX-License-Identifier: ISC
"""A unit of packaging/units, run as systemd would, as far as a mail server depends on it: readiness, watchdog, restart, reload, stop."""

import configparser
import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time

from .host import CLEAN
from .paths import PROJECT, Failed

NOTIFY = "/run/lab-notify"
PATIENCE = 60


def seconds(text):
    return float(text.removesuffix("s"))


class Unit:
    """
    start() returns when the program says that it is ready (Type=notify). One that ends, or does not say in WatchdogSec that it is alive,
    is started again after RestartSec, for as long as stop() has not been called. `restarts` counts.
    """

    def __init__(self, host, name, options=()):
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str
        parser.read(PROJECT / "packaging/units" / f"{name}.service", encoding="utf-8")
        self.service = parser["Service"]
        assert self.service["Type"] == "notify" and self.service["Restart"] == "always"
        self.host, self.name, self.options = host, name, list(options)
        self.prefix = []        # words before the program's own
        self.restarts = 0
        self._program = self.service["ExecStart"].split()[0]
        self._watchdog, self._pause = seconds(self.service["WatchdogSec"]), seconds(self.service["RestartSec"])
        self._kill = signal.Signals[self.service["WatchdogSignal"]]
        self._changed = threading.Condition()
        self._ready, self._wanted, self._failed = False, False, None
        self._process = self._thread = self._socket = None

    def start(self, must_start=True):
        """False where it has ended instead, which must_start forbids; it is tried again."""
        self._wanted, self._ready, self._failed = True, False, None
        path = self.host.path(NOTIFY)
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(str(path))
        os.chmod(path, 0o666)
        self._begin()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        with contextlib.nullcontext() if must_start else contextlib.suppress(Failed):
            self.await_ready()
            return True
        return False

    def _begin(self):
        user = self.service["User"]
        env = dict(CLEAN, NOTIFY_SOCKET=NOTIFY, WATCHDOG_USEC=str(int(self._watchdog * 1e6)))
        with open(self.host.folder / f"{self.name}.err", "ab") as err:
            self._process = self.host.popen(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *self.prefix, self._program, *self.options],
                                            stdin=subprocess.DEVNULL, stdout=err, stderr=err, env=env)

    def _live(self):
        """What systemd's own loop does."""
        alive = time.monotonic()
        while self._wanted:
            ended = self._process.poll() is not None
            late = time.monotonic() - alive > self._watchdog
            if late and not ended:
                self._signal(self._kill)
                self._process.wait()
            if ended or late:
                self._set(False, None if self._was_ready() else (self.host.folder / f"{self.name}.err").read_text(errors="replace")[-2000:])
                time.sleep(self._pause)
                if not self._wanted:
                    return
                self.restarts += 1
                self._begin()
                alive = time.monotonic()
            if select.select([self._socket], [], [], 0.1)[0]:
                text = self._socket.recv(4096).decode()
                alive = time.monotonic()
                if "READY=1" in text:
                    self._set(True)
                elif "RELOADING=1" in text:
                    self._set(False)

    def _was_ready(self):
        return self._ready

    def _set(self, ready, failed=None):
        with self._changed:
            self._ready, self._failed = ready, failed
            self._changed.notify_all()

    def await_ready(self):
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready or self._failed is not None, PATIENCE):
                raise Failed(f"{self.name} on {self.host.name} is not ready in time")
            if not self._ready:
                raise Failed(f"{self.name} on {self.host.name} does not start: {self._failed}")

    def await_gone(self):
        with self._changed:
            if not self._changed.wait_for(lambda: not self._ready, PATIENCE):
                raise Failed(f"{self.name} on {self.host.name} goes on")

    @property
    def pids(self):
        name = os.path.basename(self._program)[:15]
        return [pid for pid, found, _ in self.host.processes() if found == name]

    def _signal(self, number):
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        # nsenter stops itself when its child is stopped, and lets it go on when it does so itself
        if number == signal.SIGSTOP:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)

    def kill(self, number=signal.SIGKILL):
        """A signal to the main process, from whoever. It comes back; await_ready() waits for that."""
        self._signal(number)

    def reload(self):
        """ExecReload, and waits until it has been done."""
        self._set(False)
        self._signal(signal.SIGHUP)
        self.await_ready()

    def stop(self):
        if not self._wanted:
            return
        self._wanted = False
        self._thread.join()
        self._signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._socket.close()
        self.host.path(NOTIFY).unlink(missing_ok=True)

    def restart(self):
        self.stop()
        self.start()
