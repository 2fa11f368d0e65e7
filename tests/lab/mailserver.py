# SPDX-License-Identifier: ISC
"""
Mail servers of the lab, one class a kind. A mail server is Debian's, in Debian's stock configuration; what a test changes
is what an administrator would change, in the same files.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time

from . import wait
from .paths import STAGED, Failed

PATIENCE = 60       # seconds that anything may take that has no size to speak of


class MailServer:
    """What every kind can do; the kinds say how."""

    kind = ""               # a kind of root.py
    adapter_user = ""       # who owns Sotto's state
    run_mode = "700"        # of /run/sotto
    state_mode = "700"      # of /var/lib/sotto
    log_path = ""           # the mail server's own log, in the root
    lasting = ()            # programs of Sotto's that outlive a connection
    second_way = False      # does it go on without Sotto, in the same attempt, where a connection through Sotto was lost?
    tells_late = 0          # seconds between a failed attempt and the line that says so
    pipelines = True        # whether it takes more commands at once than one
    traces = True           # whether it lets Sotto say in the message how that came in
    probes = False          # whether Sotto there asks a new domain's mail server before the first mail

    def __init__(self, host, domain, release):
        self.host, self.domain, self.release = host, domain, release
        self.name = host.name
        self.users = {}
        self.sotto = False

    # what a kind has to say

    def configure(self):
        raise NotImplementedError

    def start(self):
        raise NotImplementedError

    def stop(self):
        raise NotImplementedError

    def _queued(self):
        """What is in the queue, by its files."""
        raise NotImplementedError

    def queue(self):
        """The ids of what waits in the queue."""
        raise NotImplementedError

    def run_queue(self, one_connection=False):
        """
        Tries now to deliver all that waits, and returns when it has been tried. one_connection: so that messages for one
        host follow each other down one connection.
        """
        raise NotImplementedError

    def set_sotto_lines(self, on):
        raise NotImplementedError

    # how its log, and its queue, say what happened: patterns, and folders that change when the queue does

    accepted = ""       # in the reply to a message that was taken
    accepted_any = ""   # the same as a pattern, however it came
    bounced = ""
    cut_in_data = ""    # a client was lost while it sent a message
    taken = ""          # a message has come in, from whomever

    def sent(self, recipient):
        raise NotImplementedError

    def deferred(self, recipient):
        raise NotImplementedError

    def took(self, sender):
        """A message has come in."""
        raise NotImplementedError

    def spool_folders(self):
        raise NotImplementedError

    unanswered = ""     # the connection broke when the message had been sent, and before it was answered

    def settle(self, message):
        """Returns when the message that was just submitted has been tried once."""

    def waiting(self):
        """How many messages are in the queue and are not being delivered."""
        return len(self.queue())

    def forget_hosts(self):
        """What the mail server itself remembers of hosts that it could not deliver to."""

    def settled(self):
        """Whether no connection of Sotto's is left that is no process (those of which are waited for otherwise)."""
        return True

    def await_settled(self, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not self.settled():
            if time.monotonic() > deadline:
                raise Failed(f"there are still connections on {self.name}")
            time.sleep(0.02)

    def program_changed(self, must_start=True):
        """Another sotto-session is installed."""

    # what all share

    def submit(self, message, *options):
        """Gives the message to the server's own sendmail."""
        self.host.run(["/usr/sbin/sendmail", "-i", "-f", message.sender or "<>", *options, "--", *message.recipients], message.octets)

    def await_empty_queue(self, seconds=PATIENCE):
        wait.until(lambda: not self._queued(), self.spool_folders, seconds,
                   lambda: f"the queue of {self.name} is empty; it holds {self._queued()[:9]}, and its log ends:\n" + "\n".join(self.log()[-8:]))

    def restart(self):
        self.stop()
        self.start()

    def add_users(self, *names):
        """Accounts with a home of their own; mail is delivered to ~/Maildir."""
        passwd = self.host.read("/etc/passwd").decode()
        for name in names:
            uid = 2000 + len(self.users)
            self.users[name] = uid
            passwd += f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n"
            home = self.host.path(f"/home/{name}")
            home.mkdir(parents=True)
            os.chown(home, uid, uid)
        self.host.write("/etc/passwd", passwd)

    @property
    def log_folder(self):
        """The folder whose changes tell that the log has grown."""
        return self.host.path(self.log_path).parent

    def log(self):
        return self.host.read(self.log_path).decode(errors="replace").splitlines()

    def _new(self, user):
        return self.host.path(f"/home/{user}/Maildir/new")

    def delivered(self, user):
        """The messages in a user's mailbox, in the order in which they came."""
        folder = self._new(user)
        if not folder.is_dir():
            return []
        return [path.read_bytes() for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)]

    def empty(self, *users):
        for user in users or self.users:
            folder = self._new(user)
            if folder.is_dir():
                for path in folder.iterdir():
                    path.unlink()

    def await_mail(self, user, count=1, seconds=PATIENCE):
        """Waits until so many messages are in the user's mailbox, and returns all that are there."""
        folder = self._new(user)
        wait.until(lambda: folder.is_dir() and len(list(folder.iterdir())) >= count, [folder], seconds,
                   lambda: f"{count} message(s) for {user}@{self.domain}; what the log of {self.name} ends with:\n"
                           + "\n".join(self.log()[-8:]))
        return self.delivered(user)

    def await_token(self, user, message, seconds=PATIENCE):
        """Waits for this very message in the user's mailbox, and returns it."""
        folder, token = self._new(user), message.message_id.encode()

        def arrived():
            for path in folder.iterdir() if folder.is_dir() else ():
                with open(path, "rb") as f:
                    if token in f.read(65536):
                        return path
            return None

        path = wait.until(arrived, [folder], seconds,
                          lambda: f"{message} for {user}@{self.domain}; what the log of {self.name} ends with:\n" + "\n".join(self.log()[-8:]))
        return path.read_bytes()

    def await_log(self, pattern, after=0, seconds=PATIENCE, count=1):
        """Waits for a line of the log that holds the pattern, from line number `after` on; returns all such lines."""
        def there():
            found = [line for line in self.log()[after:] if re.search(pattern, line)]
            return found if len(found) >= count else None
        return wait.until(there, [self.log_folder], seconds,
                          lambda: f"/{pattern}/ in the log of {self.name}, which ends:\n" + "\n".join(self.log()[-12:]))

    def await_sotto(self, pattern, after=0, seconds=PATIENCE, count=1):
        """The same for what Sotto gave to syslog."""
        def there():
            found = [line for line in self.sotto_log()[after:] if re.search(pattern, line)]
            return found if len(found) >= count else None
        return wait.until(there, [self.host.folder], seconds,
                          lambda: f"/{pattern}/ from Sotto on {self.name}, which said:\n" + "\n".join(self.sotto_log()[-12:]))

    def sotto_log(self):
        return [line for line in self.host.syslog() if line.startswith("sotto-")]

    def install_sotto(self, staged=STAGED):
        """What the package would do: the files, and the folders that belong to the mail server's user."""
        if not staged.is_dir():
            raise Failed(f"there is no {staged}; `make staged` makes it")
        subprocess.run(["cp", "-a", "--no-preserve=ownership", f"{staged}/.", str(self.host.path("/"))], check=True)
        for folder, mode in (("/var/lib/sotto", "700"), ("/run/sotto", self.run_mode)):
            self.host.run(["install", "-d", "-m", mode, "-o", self.adapter_user, folder])

    def enable_sotto(self):
        self.set_sotto_lines(True)
        self.sotto = True
        self.restart()

    def disable_sotto(self):
        self.set_sotto_lines(False)
        self.sotto = False
        self.restart()

    def forget(self):
        """Removes what Sotto remembers of its peers (not its identity key), as a new installation would not have it."""
        for folder in ("/var/lib/sotto/peers", "/var/lib/sotto/names", "/run/sotto/peers", "/var/lib/sotto/domains"):
            shutil.rmtree(self.host.path(folder), ignore_errors=True)

    @contextlib.contextmanager
    def sotto_conf(self, **settings):
        """With these settings in sotto.conf for as long as the block runs; the names require and exclude are files."""
        files = {f"/etc/sotto/{name}": "".join(f"{line}\n" for line in settings.pop(name)) for name in ("require", "exclude")
                 if name in settings}
        if settings:
            files["/etc/sotto/sotto.conf"] = "[sotto]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
        before = {path: self.host.read(path) for path in files}
        for path, text in files.items():
            self.host.write(path, text)
        self.settings_changed()
        try:
            yield self
        finally:
            for path, text in before.items():
                self.host.write(path, text)
            self.settings_changed()

    def settings_changed(self):
        """A file in /etc/sotto is another one."""

    def reap(self):
        """The mail server looks for the ends of its own children."""

    def not_waiting_for_its_log(self):
        """For as long as the block runs, nobody but us writes to /dev/log, or those who don't wait for it."""
        return contextlib.nullcontext()


class Exim(MailServer):
    """Debian's exim4-daemon-heavy, set up as `dpkg-reconfigure exim4-config` does for an internet site."""

    kind = "exim"
    adapter_user = "Debian-exim"
    log_path = "/var/log/exim4/mainlog"
    accepted = accepted_any = "250 OK id="
    bounced = r" \*\* "
    cut_in_data = r"SMTP connection .* lost while reading message data"
    taken = r" <= "
    unanswered = r" == .*(end of data|BDAT)"

    DEBCONF = {"dc_eximconfig_configtype": "internet", "dc_other_hostnames": "", "dc_local_interfaces": "", "dc_readhost": "",
               "dc_relay_domains": "", "dc_minimaldns": "false", "dc_relay_nets": "", "dc_smarthost": "", "CFILEMODE": "644",
               "dc_use_split_config": "false", "dc_hide_mailname": "", "dc_mailname_in_oh": "true",
               "dc_localdelivery": "maildir_home"}
    # Debian's Exim offers STARTTLS with a certificate that it makes up at start. Here it doesn't, except where a test wants
    # it, so that what cannot be read on the wire cannot be read because of Sotto.
    NO_STARTTLS = ("tls_advertise_hosts =",)
    LOCALMACROS = "/etc/exim4/exim4.conf.localmacros"
    LOCALMACROS_SPLIT = "/etc/exim4/conf.d/main/000_localmacros"      # read instead of the other with the split configuration
    SWITCH = ".include_if_exists /usr/share/sotto/exim4-sotto.conf"

    def __init__(self, host, domain, release):
        super().__init__(host, domain, release)
        self.debconf = dict(self.DEBCONF, dc_other_hostnames=f"{domain} : six.{domain} : mid.{domain}")
        self.macros = list(self.NO_STARTTLS)
        self.prefix = []        # words before the daemon's own
        self._daemon = None

    @property
    def version(self):
        return re.search(r"Exim version (\S+)", self.host.run(["exim4", "-bV"]).stdout.decode()).group(1)

    def configure(self):
        lines = "".join(f"{key}='{value}'\n" for key, value in self.debconf.items())
        self.host.write("/etc/exim4/update-exim4.conf.conf", lines)
        self.host.write("/etc/mailname", self.name + "\n")
        self._write_macros()

    def _write_macros(self):
        lines = self.macros + ([self.SWITCH] if self.sotto else [])
        split = self.debconf["dc_use_split_config"] == "true"
        for path, used in ((self.LOCALMACROS, not split), (self.LOCALMACROS_SPLIT, split)):
            self.host.path(path).unlink(missing_ok=True)
            if used:
                self.host.write(path, "".join(f"{line}\n" for line in lines))
        self.host.run(["update-exim4.conf"])

    def set_sotto_lines(self, on):
        self.sotto = on
        self._write_macros()

    def start(self):
        self.host.run(["install", "-d", "-o", "Debian-exim", "-g", "Debian-exim", "-m", "750", "/run/exim4"])
        before = len(self.log())
        err = open(self.host.folder / "exim4.err", "ab")
        self._daemon = self.host.popen([*self.prefix, "/usr/sbin/exim4", "-bdf", "-q30m"], stderr=err, stdin=subprocess.DEVNULL)
        err.close()

        def up():
            if self._daemon.poll() is not None:
                raise Failed(f"exim4 on {self.name} does not start: {(self.host.folder / 'exim4.err').read_text()[-2000:]}")
            return sum("daemon started: pid=" in line or "End queue run" in line for line in self.log()[before:]) >= 2
        wait.until(up, [self.host.path(self.log_path).parent, self.host.folder], PATIENCE, f"exim4 on {self.name} is up")

    def stop(self):
        if self._daemon is None:
            return
        pid = self.host.read("/run/exim4/exim.pid").decode().strip()
        self.host.run(["sh", "-c", f"kill {pid}"])
        self._daemon.wait(PATIENCE)
        self._daemon = None

    @contextlib.contextmanager
    def configured(self, *macros, files=None, debconf=None, starttls=False):
        """
        With these lines in exim4.conf.localmacros (and files, and answers to debconf) for as long as the block runs.
        starttls: without NO_STARTTLS.
        """
        before = list(self.macros), dict(self.debconf), {path: self.host.read(path) for path in files or {}}
        self.macros = [line for line in self.macros if not (starttls and line in self.NO_STARTTLS)] + list(macros)
        self.debconf.update(debconf or {})
        try:
            for path, text in (files or {}).items():
                self.host.write(path, text)
            self.configure()
            self.restart()
            yield self
        finally:
            self.macros, self.debconf = before[0], before[1]
            for path, text in before[2].items():
                self.host.write(path, text)
            self.configure()
            self.restart()

    def reap(self):
        """By its own source (daemon.c) it may miss a child's end in the moment before it waits, and sees that with the next one."""
        self.host.run(["sh", "-c", "kill -CHLD $(cat /run/exim4/exim.pid)"])

    def without_chunking(self):
        return self.configured("chunking_advertise_hosts =")

    def patient(self):
        """It does not end a session after so many commands that bring no mail."""
        return self.configured("smtp_accept_max_nonmail_hosts =")

    def submit_smtp(self, message, parameters="", rcpt_parameters="", ehlo=True):
        """Gives the message to `exim4 -bs`, the local user's SMTP, for what sendmail has no option for. The dialogue."""
        lines = [f"EHLO {self.name}" if ehlo else f"HELO {self.name}", f"MAIL FROM:<{message.sender}>{parameters}"]
        lines += [f"RCPT TO:<{recipient}>{rcpt_parameters}" for recipient in message.recipients] + ["DATA"]
        data = "".join(f"{line}\r\n" for line in lines).encode() + message.smtp + b"QUIT\r\n"
        said = self.host.run(["/usr/sbin/exim4", "-bs"], data).stdout.decode(errors="replace")
        if not re.search(r"^250 OK id=", said, re.M):
            raise Failed(f"exim4 -bs on {self.name} did not take {message}:\n{said}")
        return said

    def sent(self, recipient):
        return rf"[=-]> {re.escape(recipient)}"

    def deferred(self, recipient):
        return rf"== {re.escape(recipient)}"

    def took(self, sender):
        return rf"<= {re.escape(sender)} "

    def forget_hosts(self):
        for hints in self.host.path("/var/spool/exim4/db").glob("*"):
            hints.unlink() if hints.is_file() else shutil.rmtree(hints)

    def queue(self):
        return re.findall(r"^ *\S+ +\S+ +(\S+-\S+-\S+) ", self.host.run(["exim4", "-bp"]).stdout.decode(), re.M)

    def run_queue(self, one_connection=False):
        self.host.run(["exim4", "-qqff" if one_connection else "-qff"], seconds=300)

    def clear_queue(self):
        ids = self.queue()
        if ids:
            self.host.run(["exim4", "-Mrm", *ids])

    def spool_folders(self):
        return [self.host.path("/var/spool/exim4/input")]

    def _queued(self):
        return [name for folder in self.spool_folders() for _, _, names in os.walk(folder) for name in names if name.endswith("-H")]


from .mailserver_opensmtpd import OpenSMTPD  # noqa: E402 (these are made of what stands above)
from .mailserver_postfix import Postfix     # noqa: E402

KINDS = {"exim": Exim, "postfix": Postfix, "opensmtpd": OpenSMTPD}

