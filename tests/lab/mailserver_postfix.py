# SPDX-License-Identifier: ISC
"""Debian's Postfix in the lab, as its package sets it up for an internet site, with chrooted services; and Sotto switched on by its own script."""

import contextlib
import json
import os
import re
import time

from .mailserver import MailServer
from .paths import Failed
from .unit import Unit

SCRIPT = "/usr/libexec/sotto/sotto-postfix"
DAEMON = "/usr/libexec/sotto/sotto-policyd"
SPOOL = "/var/spool/postfix"
MAIN, MASTER = CF = ("/etc/postfix/main.cf", "/etc/postfix/master.cf")
QUEUES = ("maildrop", "incoming", "active", "deferred", "hold")


class Postfix(MailServer):
    """3.7 on Debian 12, 3.10 on Debian 13."""

    kind = "postfix"
    adapter_user = "_sotto"
    run_mode = "711"
    lasting = ("sotto-policyd", "sotto-connector", "sotto-serving", "sotto-counting")
    accepted = "250 2.0.0 Ok: queued as "
    accepted_any = r"250 2\.0\.0 Ok: (?:\d+ bytes )?queued as "      # by BDAT
    bounced = r"status=bounced"
    cut_in_data = r"lost connection after DATA"
    taken = r"from=<.*>, size="
    unanswered = r"lost connection.*while sending (end of data|message body)|conversation.*timed out while sending"
    # As with Exim: what cannot be read on the wire cannot be read because of Sotto, and not of STARTTLS.
    NO_STARTTLS = {"smtpd_tls_security_level": "none"}

    def __init__(self, host, domain, release):
        super().__init__(host, domain, release)
        self.settings = {"myhostname": self.name, "myorigin": domain, "home_mailbox": "Maildir/", "message_size_limit": "51200000",
                         "mydestination": f"{domain}, six.{domain}, mid.{domain}, {self.name}, localhost", **self.NO_STARTTLS}
        self.daemon = Unit(host, "sotto-policyd")
        self._submitted = 0
        self._forgotten = -1
        self.prefix = []        # words before `postfix start`

    @property
    def version(self):
        return self.host.run(["postconf", "-h", "mail_version"]).stdout.decode().strip()

    @property
    def second_way(self):
        return self.sotto

    @property
    def log_folder(self):
        return self.host.folder

    def log(self):
        return [line for line in self.host.syslog() if line.startswith("postfix/")]

    def postconf(self, *words):
        said = self.host.run(["postconf", *words]).stdout.decode()
        if re.match(r"-[MPF]?[eX#]$", words[0]):
            self.let_files_be_old()
        return said

    def let_files_be_old(self):
        """Postfix's programs wait until main.cf has not been touched for some seconds; nobody else writes it here, so let it be old."""
        then = time.time() - 60
        for path in CF:
            os.utime(self.host.path(path), (then, then))

    def configure(self):
        self.host.write("/etc/mailname", self.name + "\n")
        self.postconf("-e", *(f"{key}={value}" for key, value in self.settings.items()))
        self.host.run(["newaliases"])

    def install_sotto(self, **how):
        passwd = self.host.read("/etc/passwd").decode()
        if "\n_sotto:" not in passwd:
            self.host.write("/etc/passwd", passwd + "_sotto:x:888:888::/var/lib/sotto:/usr/sbin/nologin\n")
            self.host.write("/etc/group", self.host.read("/etc/group").decode() + "_sotto:x:888:\n")
        super().install_sotto(**how)

    def set_sotto_lines(self, on):
        self.sotto = on
        self.host.run([SCRIPT, "enable" if on else "disable", "--no-reload"])

    # ---- running ----

    def start(self):
        if self.sotto:
            if not self.host.path(DAEMON).exists():
                self.install_sotto()
            self.set_sotto_lines(True)
            self.start_daemon()
        if self.release == "bookworm":      # Debian's unit does that first there; later `postfix start` does: the files in the chroot
            self.host.run(["/usr/lib/postfix/configure-instance.sh", "-"])
        self.host.run([*self.prefix, "postfix", "start"])
        self.await_log(r"daemon started", self._mark_of_start())

    def _mark_of_start(self):
        """Where the log of the start that was just made begins."""
        starts = [n for n, line in enumerate(self.log()) if "starting the Postfix mail system" in line]
        return starts[-1] if starts else 0

    def stop(self):
        self.host.run(["postfix", "stop"], check=False)
        left = self.host.await_quiet(lambda name, state: name == "master")
        if left:
            raise Failed(f"Postfix on {self.name} does not stop: {left}")
        self.daemon.stop()

    def start_daemon(self, must_start=True):
        """Returns when it has asked Postfix's configuration, and knows whether the hop may be used; or when it has failed, if it may."""
        mark = len(self.sotto_log())
        if self.daemon.start(must_start):
            self.await_sotto("outgoing mail is", mark)

    def reload(self):
        mark = len(self.log())
        self.host.run(["postfix", "reload"])
        self.await_log(r"master\[\d+\]: reload", mark)

    @contextlib.contextmanager
    def configured(self, starttls=False, **settings):
        """With these settings in main.cf for as long as the block runs. starttls: offered, with Debian's own certificate."""
        if starttls:
            settings.update(smtpd_tls_security_level="may")
        before = {key: self.postconf("-h", key).strip() for key in settings if self.postconf("-n", key).strip()}
        self.postconf("-e", *(f"{key}={value}" for key, value in settings.items()))
        self._changed()
        try:
            yield self
        finally:
            gone = [key for key in settings if key not in before]
            if gone:
                self.postconf("-X", *gone)
            if before:
                self.postconf("-e", *(f"{key}={value}" for key, value in before.items()))
            self._changed()

    @contextlib.contextmanager
    def not_waiting_for_its_log(self):
        """Postfix would wait; it logs to a file meanwhile."""
        def again(*change):
            self.stop()
            self.postconf(*change)

        again("-e", "maillog_file=/var/log/postfix.log")
        self.host.run(["postfix", "start"])
        self.start_daemon()
        try:
            yield
        finally:
            again("-X", "maillog_file")
            self.start()

    def without_chunking(self):
        return self.configured(smtpd_discard_ehlo_keywords="chunking")

    def patient(self):
        """It does not end a session after so many commands that bring no mail, or that it does not know."""
        return self.configured(smtpd_junk_command_limit="100000000", smtpd_hard_error_limit="100000000", smtpd_soft_error_limit="100000000")

    def _changed(self):
        self.restart()

    def settings_changed(self):
        """Postfix believes an answer for 30 s; who changes settings reloads it (postfix-sotto(7))."""
        if self.sotto:
            self.reload()

    def _is_new(self):
        """Whether anybody has said anything since it was last made to forget. If not, there is nothing to forget."""
        return len(self.host.syslog()) != self._forgotten

    def forget_hosts(self):
        """An answer of ours counts for 30 s, also one that mail must wait."""
        if self._is_new():
            self.settings_changed()
            self._forgotten = len(self.host.syslog())

    def forget(self):
        """Also what sessions write at their end, and what Postfix has heard."""
        if self._is_new():
            self.host.await_quiet(lambda name, state: name.startswith("sotto-session"), 20)
            super().forget()
            self.forget_hosts()

    def program_changed(self, must_start=True):
        """The daemon holds the program that it was started with."""
        self.daemon.stop()
        self.start_daemon(must_start)

    # ---- mail ----

    def sent(self, recipient):
        return rf"to=<{re.escape(recipient)}>.*status=sent"

    def deferred(self, recipient):
        return rf"to=<{re.escape(recipient)}>.*status=deferred"

    def took(self, sender):
        return rf"from=<{re.escape(sender)}>, size="

    def settle(self, message):
        to = message.recipients[0]
        self.await_log(f"{self.sent(to)}|{self.deferred(to)}", self._submitted)

    def waiting(self):
        return len([name for name in self._queued(("deferred",))]) if not self._queued(QUEUES[:3]) else 0

    def submit(self, message, *options):
        self._submitted = len(self.log())
        super().submit(message, *options)

    def queue(self):
        lines = self.host.run(["postqueue", "-j"], check=False).stdout.decode().splitlines()
        return [json.loads(line)["queue_id"] for line in lines]

    def run_queue(self, one_connection=False):
        self.host.run(["postqueue", "-f"])

    def clear_queue(self):
        if self._queued():
            self.host.run(["postsuper", "-d", "ALL"], check=False)

    def _queued(self, names=QUEUES):
        found = []
        for name in names:
            for _, _, files in os.walk(self.host.path(f"{SPOOL}/{name}")):
                found += files
        return found

    def spool_folders(self):
        folders = [self.host.path(f"{SPOOL}/{name}") for name in QUEUES]
        return folders + [path for folder in folders for path in folder.glob("*") if path.is_dir()]
