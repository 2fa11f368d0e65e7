# SPDX-License-Identifier: ISC
"""Debian's OpenSMTPD in the lab, with the few lines that an internet site adds to its stock configuration; and with Sotto."""

import contextlib
import os
import re
import shutil
import signal
import socket
import time

from .mailserver import PATIENCE, MailServer
from .paths import Failed
from .smtp import Bare

FOLDER = "/usr/libexec/opensmtpd"
SCRIPT = "/usr/libexec/sotto/sotto-opensmtpd"
SPOOL = "/var/spool/smtpd"


class OpenSMTPD(MailServer):
    """6.8 on Debian 12, 7.6 on Debian 13."""

    kind = "opensmtpd"
    adapter_user = "_sotto"
    run_mode = "711"
    state_mode = "711"
    tells_late = 20
    accepted = "250 2.0.0 "
    accepted_any = r"250 2\.0\.0 \w+ Message accepted for delivery"
    bounced = r'result="PermFail"'
    lasting = ("sotto-worker", "sotto-table", "table-sotto")    # the last looks for the ends of its children when it is asked again
    taken = r" smtp envelope "
    unanswered = r'mta delivery .*result="TempFail"'
    cut_in_data = r'smtp disconnected .*reason="?(disconnect|io-error|quit)'
    pipelines = False   # a message, and what stands behind it, is refused
    probes = True       # it asks a new domain's mail server, by a connection of its own

    def __init__(self, host, domain, release):
        super().__init__(host, domain, release)
        self.prefix = []        # words before smtpd's own
        self._submitted = 0
        self.extra = []         # lines of smtpd.conf, before the matches
        self.pki = ""           # the line that names its certificate
        self.listen = ""        # options of its listeners

    @property
    def version(self):
        return re.search(r"version: OpenSMTPD (\S+)", self.host.run(["smtpd", "-h"], check=False).stderr.decode()).group(1)

    @property
    def log_folder(self):
        return self.host.folder

    def log(self):
        return [line for line in self.host.syslog() if line.startswith("smtpd[")]

    @property
    def traces(self):
        """6.8 cuts lines of messages that go by a filter, so that none do."""
        return self.release != "bookworm"

    # ---- configuration ----

    def _lines(self):
        ours = "{ " + ", ".join(f'"{name}"' for name in (self.domain, f"six.{self.domain}", f"mid.{self.domain}")) + " }"
        return [
            "table aliases file:/etc/aliases", *([self.pki] if self.pki else []), *(f"listen on {address}{self.listen}" for address in ("0.0.0.0", "::")),
            "mta limit session-keepalive 1",    # not 10: a session's log line comes at its end
            *(f"mta limit {one} 0" for one in ("conn-delay-route", "conn-delay-relay", "reconn-delay-route")),    # seconds that have nothing to do with us
            "smtp max-message-size 100M",       # not 35
            *self.extra,
            'action "local" maildir alias <aliases>', 'action "relay" relay',
            f'match from any for domain {ours} action "local"', 'match for local action "local"', 'match from local for any action "relay"',
        ]

    def configure(self):
        self.host.write("/etc/mailname", self.name + "\n")
        self.host.write("/etc/aliases", "postmaster: root\n")
        self.host.write("/etc/smtpd.conf", "".join(f"{line}\n" for line in self._lines()))
        if self.sotto:
            self.host.run([SCRIPT, "enable", "--no-restart"])

    def install_sotto(self, **how):
        passwd = self.host.read("/etc/passwd").decode()
        if "\n_sotto:" not in passwd:
            self.host.write("/etc/passwd", passwd + "_sotto:x:888:888::/var/lib/sotto:/usr/sbin/nologin\n")
            self.host.write("/etc/group", self.host.read("/etc/group").decode() + "_sotto:x:888:\n")
        super().install_sotto(**how)
        self.host.run(["install", "-d", "-m", self.state_mode, "-o", self.adapter_user, "/var/lib/sotto"])
        self.host.run(["setcap", "cap_net_bind_service+ep", f"{FOLDER}/filter-sotto"])

    def set_sotto_lines(self, on):
        self.sotto = on
        self.configure()

    # ---- running ----

    def start(self):
        if self.sotto and not self.host.path(f"{FOLDER}/filter-sotto").exists():
            self.install_sotto()
        self.configure()
        marks = len(self.log()), len(self.sotto_log())
        self.host.run([*self.prefix, "smtpd"])
        self.await_log(r"info: OpenSMTPD \S+ starting", marks[0])
        if self.sotto:
            self.await_sotto("connections are taken", marks[1])
        else:
            self.await_listening()

    def await_listening(self):
        """smtpd does not say when it listens."""
        deadline = time.monotonic() + PATIENCE
        while not all(re.search(r":0019 \S+ 0A ", self.host.in_network(self._sockets, name)) for name in ("tcp", "tcp6")):
            if time.monotonic() > deadline:
                raise Failed(f"smtpd on {self.name} does not listen:\n" + "\n".join(self.log()[-8:]))
            time.sleep(0.02)

    @staticmethod
    def _sockets(name):
        with open(f"/proc/thread-self/net/{name}", encoding="ascii") as f:
            return f.read()

    def processes(self, name):
        return [pid for pid, found, _ in self.host.processes() if found == name[:15]]

    def worker(self):
        """The worker's process number, or None."""
        found = self.processes("sotto-worker")
        return found[0] if found else None

    def stop(self):
        for pid in [int(self.host.read("/run/smtpd.pid").decode() or 0)]:
            if pid:
                self.host.run(["sh", "-c", f"kill {pid}"], check=False)
        left = self.host.await_quiet(lambda name, state: name in ("smtpd", "filter-sotto", "table-sotto", "sotto-table", "sotto-worker"))
        if left:
            raise Failed(f"OpenSMTPD on {self.name} does not stop: {left}")

    @contextlib.contextmanager
    def configured(self, *extra):
        """With these lines in smtpd.conf for as long as the block runs."""
        before, self.extra = self.extra, [*self.extra, *extra]
        self.restart()
        try:
            yield self
        finally:
            self.extra = before
            self.restart()

    def settled(self):
        """
        Whether there is no connection any more, neither the worker's (a session is no process here), nor one that smtpd, which does not look
        for a while, has not yet seen the end of, and would give the next message to.
        """
        routes = self.host.run(["smtpctl", "show", "routes"], check=False).stdout.decode()
        return not re.search(r"nconn=[1-9]", routes) and not any(self.host.in_network(self._connections, name) for name in ("tcp", "tcp6"))

    @staticmethod
    def _connections(name):
        """The sockets of mail, ours and smtpd's, that somebody has open: state, and both ports."""
        ports = ("0019", "2729", "272B")       # 25, 10025, 10027
        with open(f"/proc/thread-self/net/{name}", encoding="ascii") as f:
            lines = [line.split() for line in f.readlines()[1:]]
        return [line for line in lines if line[3] not in ("0A", "06") and line[9] != "0" and
                any(end.rpartition(":")[2] in ports for end in line[1:3])]

    def without_chunking(self):
        """There is none."""
        return contextlib.nullcontext(self)

    def patient(self):
        """It ends a session after so many errors, and that cannot be set."""
        return contextlib.nullcontext(self)

    def asks(self, domain):
        """Has the domain's mail server asked what it offers, as a first mail to it would have; returns when that is known, or after 3 s."""
        with Bare(self.host, None, sock=self.host.in_network(lambda: socket.create_connection(("127.0.0.1", 25), 30))) as client:
            client.reply()
            client.ask(f"EHLO {self.name}", 250)
            client.ask(f"MAIL FROM:<asks@{self.domain}>", 250)
            client.ask(f"RCPT TO:<asks@{domain}>", 250)
            client.ask("RSET", 250)
            client.ask("QUIT", 221)

    def forget(self):
        """Also what sessions write at their end."""
        with contextlib.suppress(Failed):
            self.await_settled(5)
        super().forget()
        for folder in ("table", "hop"):
            shutil.rmtree(self.host.path(f"/var/lib/sotto/{folder}"), ignore_errors=True)

    def settle(self, message):
        to = message.recipients[0]
        self.await_log(f"{self.sent(to)}|{self.deferred(to)}", self._submitted)

    def submit(self, message, *options):
        """It knows few of sendmail's options, and needs none."""
        self._submitted = len(self.log())
        super().submit(message, *(one for one in options if not one.startswith("-od")))

    def forget_hosts(self):
        """It does not go a route for a while that failed; that it may again is said by an administrator."""
        for number in re.findall(r"^(\d+)\. ", self.host.run(["smtpctl", "show", "routes"], check=False).stdout.decode(), re.M):
            self.host.run(["smtpctl", "resume", "route", number], check=False)

    def kill_worker(self, number=signal.SIGKILL):
        pid = self.worker()
        os.kill(pid, number)
        return pid

    # ---- mail ----

    def sent(self, recipient):
        return rf'mta delivery .*to=<{re.escape(recipient)}>.*result="Ok"'

    def deferred(self, recipient):
        return rf'mta delivery .*to=<{re.escape(recipient)}>.*result="TempFail"'

    def took(self, sender):
        return rf"smtp envelope .*from=<{re.escape(sender)}>"

    def queue(self):
        return re.findall(r"^([0-9a-f]{16})\|", self.host.run(["smtpctl", "show", "queue"], check=False).stdout.decode(), re.M)

    def run_queue(self, one_connection=False):
        with contextlib.suppress(Failed):       # else it goes down a connection that is dead, as smtpd will see a second later
            self.await_settled(5)
        self.host.run(["smtpctl", "schedule", "all"], check=False)

    def clear_queue(self):
        if self._queued():
            self.host.run(["smtpctl", "remove", "all"], check=False)

    def _queued(self):
        found = []
        for name in ("queue", "incoming"):
            for folder, _, files in os.walk(self.host.path(f"{SPOOL}/{name}")):
                found += [f"{folder}/{one}" for one in files]
        return found

    def spool_folders(self):
        return [folder for name in ("queue", "incoming") for folder, _, _ in os.walk(self.host.path(f"{SPOOL}/{name}"))]
