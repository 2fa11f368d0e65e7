# SPDX-License-Identifier: ISC
"""
Under the lists of system calls that systemd knows: Postfix's unit on Debian 13 has one whose breach is death (SystemCallFilter=@system-service @setuid chroot), and our own
unit has one. The lists are those of Debian 13's systemd on Debian 13, and those of this machine's otherwise.
"""

import functools
import re
import shutil
import signal
import subprocess

import pytest

from . import root
from .paths import PROJECT
from .test_exim import arrives, letter

pytestmark = pytest.mark.usefixtures("needs_sotto")
TOOL = PROJECT / "build" / "lab-tools" / "filtered"
FILTER = re.compile(r"(?m)^SystemCallFilter=(.*)$")
OF_DEBIAN_13 = ["@system-service @setuid chroot"]      # Debian 12's unit has none
INSIDE, LIST = "/usr/lib/lab-filtered", "/etc/lab-%s.calls"


@functools.cache
def sets(release):
    """{"@name": the names in it}, as systemd-analyze(1) of the release prints them."""
    inside = ["chroot", root.get("systemd", release)] if release == "trixie" else []
    if not inside and not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze on this machine, and so no lists")
    found, name = {}, None
    for line in subprocess.run([*inside, "systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            found[name] = []
        elif name and line.startswith(" ") and re.fullmatch(r"@?[a-z0-9_-]+", word):
            found[name].append(word)
    return found


def calls(names, known):
    """What is in the list of a unit: names and sets, of which `~` takes away."""
    allowed = set(known["@default"])
    for line in names:
        taken, words = set(), line.removeprefix("~").split()
        while words:
            word = words.pop()
            words += known[word] if word.startswith("@") else []
            taken.add(word)
        allowed = allowed - (taken - set(known["@default"])) if line.startswith("~") else allowed | taken
    return sorted(name for name in allowed if not name.startswith("@"))


def install(server, name, lines):
    """The tool and a list, in the host."""
    assert TOOL.exists(), "`make lab-tools` makes what filters"
    server.host.write(INSIDE, TOOL.read_bytes(), 0o755)
    server.host.write(LIST % name, "".join(f"{call}\n" for call in calls(lines, sets(server.release))))
    return LIST % name


@pytest.fixture
def confined(postfixes, postfix):
    """The Postfix at hand, in its unit's list; and our daemon in its own."""
    unit = postfix.host.read("/usr/lib/systemd/system/postfix.service").decode()
    by_postfix = install(postfix, "postfix", FILTER.findall(unit) or OF_DEBIAN_13)
    ours = install(postfix, "ours", FILTER.findall((PROJECT / "packaging/units/sotto-policyd.service").read_text(encoding="utf-8")))
    assert postfix.host.run([INSIDE, "kill", by_postfix, "true"], check=False).returncode == 0
    killed = postfix.host.run([INSIDE, "kill", by_postfix, "pivot_root", "/", "/"], check=False)      # is in no list of either
    assert killed.returncode in (-signal.SIGSYS, 128 + signal.SIGSYS), killed
    postfix.stop()
    postfix.daemon.prefix = [INSIDE, "EPERM", ours]
    postfix.prefix = [INSIDE, "kill", by_postfix]
    postfix.start()
    yield postfix, postfixes["g" if postfix is postfixes["f"] else "f"]
    postfix.stop()
    postfix.prefix, postfix.daemon.prefix = [], []
    postfix.start()


def test_sealed_in_both_directions(watch, confined):
    """Mail comes in and goes out, sealed; nobody was killed, and the sandbox of sotto-session is in force."""
    ours, other = confined
    with ours.configured(lmtp_tls_loglevel="0"):        # another restart, by the list's own means
        for origin, target in ((ours, other), (other, ours)):
            message = letter(origin, target)
            origin.submit(message)
            arrives(watch, origin, target, message)
    for origin, target in ((ours, other), (other, ours)):
        watch.sealed(origin, target)
    assert not [line for line in watch.log(ours) if re.search(r"signal 31|killed by signal|bad command startup", line)]
    assert not [line for line in ours.sotto_log()[watch.marks[ours][1]:] if "sandbox" in line]
