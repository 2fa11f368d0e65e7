# SPDX-License-Identifier: ISC
"""
What the README says under "Switch it on", command by command, typed at a terminal of a host that has a mail server and nothing else. Each command
must have a promise here, and each promise a command there.
"""

import re
import subprocess

import pytest

from . import debs
from .paths import PROJECT
from .test_exim import arrives, letter

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_sotto")]

# In the README's own words: what another administrator than Exim's on Debian 12 puts in their place.
PACKAGE, RELEASE, PEER = "exim4-sotto", "bookworm", "example.org"


def walk():
    """The commands of the README's walk-through, in order, without what is said about them."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8").partition("\n## Switch it on\n")[2].partition("\n## ")[0]
    block = re.search(r"(?m)(?:^    \S.*\n)+", text).group()
    return [line.partition(" # ")[0].strip() for line in block.splitlines()]


class Administrator:
    """One at a mail server, a, with Sotto, to write to. """

    def __init__(self, server, peer, watch):
        self.server, self.peer, self.watch = server, peer, watch
        self.before = debs.configuration(server)

    def say(self, command):
        """What is read on the screen; where Sotto's command has a table or a verdict to show, in colours."""
        shown = debs.at_terminal(self.server, command, [("Go on? [y/N]", "y"), ("[Y/n]", "y")])
        assert "\033[" in shown or not command.startswith(("sotto probe", "sotto status", "sotto check")), shown
        return re.sub(r"\033\[[0-9;]*m", "", shown)

    def mail(self, sealed):
        """A letter to the peer, and one from there; sealed on its way, or not."""
        server, peer = self.server, self.peer
        count = len(self.watch.said(server, "connect"))
        for origin, target in ((server, peer), (peer, server)):
            message = letter(origin, target)
            origin.submit(message)
            arrives(self.watch, origin, target, message)
        if sealed:
            self.watch.await_said(server, "connect", "sealed")
        assert (len(self.watch.said(server, "connect")) > count) == sealed

    def quiet(self):
        """Sessions are counted at their end."""
        assert not self.server.host.await_quiet(lambda name, state: name.startswith("sotto-session"))

    # ---- what each command promises ----

    def make(self, command):
        assert command == f"make deb RELEASE={self.server.release}"
        subprocess.run([*command.split(), "--dry-run"], cwd=PROJECT, check=True, capture_output=True)
        for deb in debs.built()[self.server.release]:
            self.server.host.write(f"/root/build/deb/{self.server.release}/{deb.name}", deb.read_bytes())

    def install(self, command):
        """Nothing of the mail server's configuration changes, and mail goes as before."""
        self.say(command)
        debs.as_systemd(self.server)
        assert debs.configuration(self.server) == self.before
        self.mail(sealed=False)

    def enable(self, command):
        text = self.say(command)
        assert "What changes in the configuration of" in text and "works: a session of our own was sealed" in text, text
        assert debs.configuration(self.server) != self.before
        self.mail(sealed=True)
        self.quiet()

    def probe(self, command):
        assert "sealed: the exchange succeeded" in self.say(command)

    def status(self, command):
        text = self.say(command)
        assert re.search(rf"(?m)^Sotto in {self.server.kind}: on since ", text), text
        assert re.search(r"(?m)^outbound +sealed +[1-9]\d* \(", text) and re.search(r"(?m)^inbound +sealed +[1-9]\d* \(", text), text

    def check(self, command):
        assert "nothing is wrong" in self.say(command)

    def disable(self, command):
        assert "Sotto is switched off." in self.say(command)
        assert debs.configuration(self.server).items() >= self.before.items()
        self.mail(sealed=False)

    def purge(self, command):
        if self.server.kind == "postfix":       # what systemd is told to do then
            self.server.daemon.stop()
        self.say(command)
        assert debs.configuration(self.server) == self.before
        assert not debs.traces(self.server)
        message = letter(self.server, self.peer)
        self.server.submit(message)
        arrives(self.watch, self.server, self.peer, message)


PROMISES = [("make deb ", Administrator.make), ("apt install ", Administrator.install), ("sotto enable", Administrator.enable), ("sotto probe ", Administrator.probe),
            ("sotto status", Administrator.status), ("sotto check", Administrator.check), ("sotto disable", Administrator.disable), ("apt purge ", Administrator.purge)]


@pytest.fixture(params=debs.SERVERS, ids="-".join)
def server(lab, request):
    with debs.fresh(lab, *request.param) as made:
        yield made


def test_the_walk_through(lab, server, watch):
    """Every command does what it says, in that order; in the end the host is what it was."""
    administrator = Administrator(server, lab.servers["a"], watch)
    commands = walk()
    assert [next((words for words, _ in PROMISES if command.startswith(words)), command) for command in commands] == [words for words, _ in PROMISES]
    for command, (_, promise) in zip(commands, PROMISES):
        promise(administrator, command.replace(PACKAGE, debs.PACKAGE[server.kind]).replace(RELEASE, server.release).replace(PEER, administrator.peer.domain))
