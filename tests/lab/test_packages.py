# SPDX-License-Identifier: ISC
"""The Debian packages as a new administrator meets them: install, switch on, mail, upgrade, remove, purge; the mail server works all the while."""

import hashlib
import json
import subprocess

import pytest

from .message import Message
from .paths import PROJECT
from .smtp import Bare
from .test_command import sotto, sotto_json
from .test_exim import arrives, letter

pytestmark = pytest.mark.long

HOSTS = {"s": ("exim", "bookworm"), "t": ("exim", "trixie"), "u": ("postfix", "bookworm"), "v": ("postfix", "trixie"), "w": ("opensmtpd", "bookworm"), "x": ("opensmtpd", "trixie")}
PACKAGE = {"exim": "exim4-sotto", "postfix": "postfix-sotto", "opensmtpd": "opensmtpd-filter-sotto"}
CONFIGURATION = {"exim": "/etc/exim4", "postfix": "/etc/postfix", "opensmtpd": "/etc/smtpd.conf"}


@pytest.fixture(scope="session")
def packages():
    """The packages of each release, built from the sources as they are."""
    subprocess.run([PROJECT / "packaging/make-deb"], check=True, capture_output=True)
    return {release: sorted((PROJECT / "build/deb" / release).glob("*sotto*_[0-9]*.deb")) for release in ("bookworm", "trixie")}


@pytest.fixture(params=HOSTS, ids=lambda letter: "-".join(HOSTS[letter]))
def fresh(lab, packages, request, needs_sotto):
    """A mail server without Sotto, and the packages for it in /root."""
    kind, release = HOSTS[request.param]
    server = lab.mail_host(kind, release, request.param, ["anna", "bert"])
    server.start()
    for deb in packages[release]:
        if "dbgsym" not in deb.name and ("common" in deb.name or deb.name.startswith(PACKAGE[kind])):
            server.host.write(f"/root/{deb.name}", deb.read_bytes())
    return server


def configuration(server):
    """A digest of each file of the mail server's configuration."""
    place = server.host.path(CONFIGURATION[server.kind])
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return {path.name if path == place else str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def dpkg(server, *words):
    server.host.run(["sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg " + " ".join(words)], seconds=300)


def install(server):
    dpkg(server, "-i /root/*.deb")
    if server.kind == "postfix":        # what systemd does there
        if server.daemon.pids:
            server.daemon.restart()
        else:
            server.start_daemon()


def mail(watch, origin, target):
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)


def test_from_installation_to_purge(lab, fresh, watch):
    """Installing changes nothing; enable seals; an upgrade cuts no session; removal switches off; after purge nothing of us is left."""
    peer, before = lab.servers["a"], configuration(fresh)
    install(fresh)
    assert configuration(fresh) == before
    mail(watch, fresh, peer)
    assert not watch.said(fresh, "connect")

    assert "works: a session of our own was sealed" in sotto(fresh, "enable", "--yes")
    assert configuration(fresh) != before
    mail(watch, fresh, peer)
    mail(watch, peer, fresh)
    watch.await_said(fresh, "connect", "sealed")
    fresh.host.await_quiet(lambda name, state: name.startswith("sotto-session"))
    status = sotto_json(fresh, "status")
    assert status["servers"] == {fresh.kind: "on"} and status["sessions"]["hour"]["out"]["sealed"] >= 1 and status["sessions"]["hour"]["in"]["sealed"] >= 1

    upgraded_under_an_open_session(lab, fresh)
    mail(watch, fresh, peer)

    dpkg(fresh, "-r", PACKAGE[fresh.kind])
    assert configuration(fresh) == before
    if fresh.kind == "postfix":
        fresh.daemon.stop()
    sealed = len(watch.said(fresh, "connect"))
    mail(watch, fresh, peer)
    mail(watch, peer, fresh)
    assert len(watch.said(fresh, "connect")) == sealed

    dpkg(fresh, "-P", PACKAGE[fresh.kind], "sotto-common")
    assert configuration(fresh) == before
    left = fresh.host.run(["sh", "-c", "find / -xdev -iname '*sotto*' -not -path '/proc/*' -not -path '/root/*' -not -path '/var/log/*' -not -path '/home/*'"]).stdout.decode()
    assert not [line for line in left.split() if "/var/lib/systemd" not in line], left
    mail(watch, fresh, peer)


def test_two_builds_are_the_same_octets(packages):
    """Another time, umask and time zone: the same packages."""
    first = {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in packages["bookworm"]}
    subprocess.run(["sh", "-c", f"umask 027; TZ=Asia/Tokyo exec {PROJECT}/packaging/make-deb bookworm"], check=True, capture_output=True)
    assert first == {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in packages["bookworm"]}


def upgraded_under_an_open_session(lab, server):
    """A client is in the middle of a message while the packages are installed again: it does not notice."""
    message = Message("carl@p.example", f"anna@{server.domain}")
    with Bare(lab.servers["p"].host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.ask("MAIL FROM:<carl@p.example>", 250)
        client.ask(f"RCPT TO:<anna@{server.domain}>", 250)
        install(server)
        client.ask("DATA", 354)
        client.send(message.smtp)
        assert client.reply()[-1].startswith("250")
        client.ask("QUIT", 221)
    server.await_token("anna", message)
    assert json.loads(server.host.run(["/usr/bin/sotto", "check", "--json"], check=False).stdout)["level"] == "ok"
