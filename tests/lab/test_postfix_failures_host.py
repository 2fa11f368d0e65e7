# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_host.py, between two Postfixes, and between Postfix and Exim."""

import pytest

from . import faults
from .promise import delivers
from .test_failures_host import (STATES, broken, is_sealed_in_time, required, test_disk_hangs, test_killed, test_log_blocks, test_no_log,    # noqa: F401 (fixtures, tests)
                                 test_state_is_damaged, test_state_of_pipes, test_stopped_and_killed, test_stopped_for_a_while,
                                 test_stopped_in_the_exchange, test_terminated)
from .test_failures_start import demanded, letter_between

pytestmark = pytest.mark.usefixtures("needs_sotto")


@pytest.fixture(scope="module")
def stands_before(middle, postfixes):
    middle.stand_before(postfixes["f"], postfixes["g"])
    return middle


LONG = pytest.mark.long
MIXED = [pytest.param(("f", "g"), id="postfix-to-postfix"), pytest.param(("f", "c"), id="postfix-to-exim", marks=LONG),
         pytest.param(("a", "g"), id="exim-to-postfix", marks=LONG)]


@pytest.fixture(params=MIXED)
def ends(lab, postfixes, stands_before, request):     # pylint: disable=unused-argument
    return tuple(lab.servers[letter] for letter in request.param)


@pytest.fixture(autouse=True)
def forgotten(request, ends):     # noqa: F811
    """What a session said of the lists of one test counts a moment longer (domains.h), and the next test ends its own before it has said anything."""
    demand = "required" in request.fixturenames and request.getfixturevalue("required")
    yield
    if demand:
        ends[0].program_changed()


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("how", STATES)
def test_state(watch, ends, broken, how, known):     # noqa: F811
    """The state is missing, read-only, on a full disk, not ours: nothing is remembered, and sealing goes on. Without /run/sotto, where the
    daemon's sockets are, outgoing mail goes natively, and what must be sealed waits."""
    if known:
        is_sealed_in_time(watch, ends)
    with STATES[how](broken.host):
        if "run" in how and broken is ends[0] and broken.kind == "postfix":
            with demanded(ends):
                delivers(letter_between(watch, ends), True)
            broken.clear_queue()
            letter_between(watch, ends).send().arrives()
        else:
            is_sealed_in_time(watch, ends)
    is_sealed_in_time(watch, ends)
