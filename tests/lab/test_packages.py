# SPDX-License-Identifier: ISC
"""The Debian packages as a new administrator meets them: install, switch on, mail, install again, remove, purge; the mail server works all the while."""

import hashlib
import subprocess

import pytest

from . import debs
from .paths import PROJECT
from .test_command import sotto, sotto_json
from .test_exim import arrives, letter

pytestmark = pytest.mark.long


@pytest.fixture(params=debs.SERVERS, ids="-".join)
def fresh(lab, request, needs_sotto):
    """A mail server without Sotto."""
    with debs.fresh(lab, *request.param) as server:
        yield server


def mail(watch, origin, target):
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)


def test_from_installation_to_purge(lab, fresh, watch):
    """Installing changes nothing; enable seals; removal switches off; after purge nothing of us is left."""
    peer, before = lab.servers["a"], debs.configuration(fresh)
    debs.install(fresh)
    assert debs.configuration(fresh) == before
    mail(watch, fresh, peer)
    assert not watch.said(fresh, "connect")

    assert "works: a session of our own was sealed" in sotto(fresh, "enable", "--yes")
    assert debs.configuration(fresh) != before
    mail(watch, fresh, peer)
    mail(watch, peer, fresh)
    watch.await_said(fresh, "connect", "sealed")
    fresh.host.await_quiet(lambda name, state: name.startswith("sotto-session"))
    status = sotto_json(fresh, "status")
    assert status["servers"] == {fresh.kind: "on"} and status["sessions"]["hour"]["out"]["sealed"] >= 1 and status["sessions"]["hour"]["in"]["sealed"] >= 1

    debs.install(fresh)         # once more
    mail(watch, fresh, peer)

    debs.dpkg(fresh, "-r", debs.PACKAGE[fresh.kind])
    assert debs.configuration(fresh) == before
    if fresh.kind == "postfix":
        fresh.daemon.stop()
    sealed = len(watch.said(fresh, "connect"))
    mail(watch, fresh, peer)
    mail(watch, peer, fresh)
    assert len(watch.said(fresh, "connect")) == sealed

    debs.dpkg(fresh, "-P", debs.PACKAGE[fresh.kind], "sotto-common")
    assert debs.configuration(fresh) == before
    assert not debs.traces(fresh)
    mail(watch, fresh, peer)


def test_two_builds_are_the_same_octets():
    """Another time, umask and time zone: the same packages."""
    def digests():
        return {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in debs.built()["bookworm"]}

    first = digests()
    subprocess.run(["sh", "-c", f"umask 027; TZ=Asia/Tokyo exec {PROJECT}/packaging/make-deb bookworm"], check=True, capture_output=True)
    assert first == digests()
