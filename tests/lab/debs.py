# SPDX-License-Identifier: ISC
"""Mail servers as a new administrator has them, without Sotto; the Debian packages, built from the sources as they are; and what is done with both."""

import contextlib
import functools
import hashlib
import itertools
import os
import pty
import select
import subprocess

from . import root
from .paths import PROJECT, Failed

RELEASES = ("bookworm", "trixie")
SERVERS = [(kind, release) for kind in ("exim", "postfix", "opensmtpd") for release in RELEASES]
PACKAGE = {"exim": "exim4-sotto", "postfix": "postfix-sotto", "opensmtpd": "opensmtpd-filter-sotto"}
CONFIGURATION = {"exim": "/etc/exim4", "postfix": "/etc/postfix", "opensmtpd": "/etc/smtpd.conf"}
DEBS = PROJECT / "build/deb"
_numbers = itertools.count(1)


@functools.cache
def built(version=None):
    """The packages of each release; version: not the changelog's, and in a folder of their own."""
    folder = DEBS if version is None else PROJECT / "build/deb-next"
    subprocess.run([PROJECT / "packaging/make-deb", *(["--version", version, "--into", folder] if version else [])], check=True, capture_output=True)
    return {release: sorted((folder / release).glob("*sotto*_[0-9]*.deb")) for release in RELEASES}


def wanted(kind, release, debs=None):
    """Those that the mail server takes."""
    return [deb for deb in debs or built()[release] if "dbgsym" not in deb.name and ("common" in deb.name or deb.name.startswith(PACKAGE[kind] + "_"))]


@contextlib.contextmanager
def fresh(lab, kind, release):
    """A mail server that never heard of Sotto, on a host of its own, with apt; it is running. Gone when the block is left."""
    lab.prepare((f"new-{kind}", release))
    letter = f"{kind}{next(_numbers)}"
    server = lab.mail_host(kind, release, letter, ["anna", "bert"], root_kind=f"new-{kind}")
    try:
        server.start()
        yield server
    finally:
        server.stop()
        del lab.servers[letter]
        server.host.close()


@contextlib.contextmanager
def stock(lab, kind, release):
    """The same in the configuration that Debian's package came with, started by its own script."""
    with fresh(lab, kind, release) as server:
        server.stop()
        place = CONFIGURATION[kind]
        server.host.run(["rm", "-rf", place])
        subprocess.run(["cp", "-a", root.get(f"new-{kind}", release) / place.lstrip("/"), server.host.path(place)], check=True)
        server.host.run(["service", kind.replace("exim", "exim4"), "start"])
        yield server


def configuration(server):
    """A digest of each file of the mail server's configuration."""
    place = server.host.path(CONFIGURATION[server.kind])
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return {path.name if path == place else str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def as_systemd(server):
    """What systemd does after the packages of a Postfix have been installed, or installed again."""
    if server.kind != "postfix":
        return
    if server.daemon.pids:
        server.daemon.restart()
    else:
        server.start_daemon()


def dpkg(server, *words):
    server.host.run(["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *words], seconds=300)


def install(server, debs=None, by="dpkg -i"):
    """What dpkg or apt says of it."""
    server.host.run(["rm", "-rf", "/root/debs"])
    for deb in wanted(server.kind, server.release, debs):
        server.host.write(f"/root/debs/{deb.name}", deb.read_bytes())
    said = server.host.run(["sh", "-c", f"DEBIAN_FRONTEND=noninteractive {by} /root/debs/*.deb 2>&1"], seconds=300).stdout.decode(errors="replace")
    as_systemd(server)
    return said


def traces(server):
    """What in the root has our name."""
    found = server.host.run(["sh", "-c", "find / -xdev -iname '*sotto*' -not -path '/proc/*' -not -path '/root/*' -not -path '/var/log/*' -not -path '/home/*'"]).stdout.decode()
    return [line for line in found.split() if "/var/lib/systemd" not in line]


def at_terminal(server, command, answers=(), seconds=300):
    """
    A command, as who sits at a terminal in /root gives it, and what stood there. answers: (what the last line ends with, what is typed then).
    It must end well.
    """
    ours, its = pty.openpty()
    process = server.host.popen(["sh", "-c", f"cd /root && {command}"], stdin=its, stdout=its, stderr=its)
    os.close(its)
    said, answered = b"", 0
    try:
        while select.select([ours], [], [], seconds)[0]:
            try:
                part = os.read(ours, 4096)
            except OSError:     # nobody has the other end any more
                break
            said += part
            for question, answer in answers:
                if said[answered:].decode(errors="replace").rstrip().endswith(question):
                    os.write(ours, f"{answer}\n".encode())
                    answered = len(said)
        code = process.wait(seconds)
    finally:
        os.close(ours)
        process.kill()
    text = said.decode(errors="replace").replace("\r\n", "\n")
    if code != 0:
        raise Failed(f"on {server.name}, `{command}` ended with {code}:\n{text[-3000:]}")
    return text
