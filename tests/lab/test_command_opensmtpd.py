# SPDX-License-Identifier: ISC
"""`sotto forget` on a host with OpenSMTPD, where a worker and a table answer by what is remembered: both have forgotten it as well."""

import pytest

from .test_command import quiet, sotto, sotto_json
from .test_exim import arrives, letter

pytestmark = pytest.mark.usefixtures("needs_sotto")


def offers(origin, domain):
    """What is remembered of the domain."""
    return [one["offered"] for one in sotto_json(origin, "peers", domain)["domains"]]


def send(watch, origin, target):
    """A letter, and how many sessions were sealed for it."""
    sealed = len(watch.said(origin, "connect", outcome="sealed"))
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    quiet(origin)
    return len(watch.said(origin, "connect", outcome="sealed")) - sealed


@pytest.fixture
def target(lab):
    """One that had no Sotto for a while."""
    yield lab.servers["a"]
    sotto(lab.servers["a"], "enable", "--yes")


def test_forget_a_no(watch, opensmtpd, target):
    """A domain that did not offer it, and does now: forgotten, it is asked again, and the next letter is sealed."""
    sotto(target, "disable", "--yes")
    assert send(watch, opensmtpd, target) == 0 and offers(opensmtpd, target.domain) == [False]
    sotto(target, "enable", "--yes")
    assert sotto_json(opensmtpd, "forget", target.domain)["dropped"] >= 1 and offers(opensmtpd, target.domain) == []
    assert send(watch, opensmtpd, target) == 1 and offers(opensmtpd, target.domain) == [True]


def test_forget_a_yes(watch, opensmtpd, target):
    """One that offered it, and does not now: forgotten, it is asked, and its mail does not take the hop; later it does again."""
    assert send(watch, opensmtpd, target) == 1 and offers(opensmtpd, target.domain) == [True]
    sotto(target, "disable", "--yes")
    sotto(opensmtpd, "forget", "--all")
    sessions = len(watch.said(opensmtpd, "connect"))
    assert send(watch, opensmtpd, target) == 0 and offers(opensmtpd, target.domain) == [False]
    assert len(watch.said(opensmtpd, "connect")) == sessions
    sotto(target, "enable", "--yes")
    sotto(opensmtpd, "forget", "--all")
    assert send(watch, opensmtpd, target) == 1
