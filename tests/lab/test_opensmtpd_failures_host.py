# SPDX-License-Identifier: ISC
"""
The failure table's rows of test_failures_host.py, between two OpenSMTPDs, and between OpenSMTPD and others. All sessions are in one worker: what kills
it is in test_opensmtpd_worker.py.
"""

import pytest

from .test_failures_host import (broken, required, test_disk_hangs, test_log_blocks, test_no_log, test_state_is_damaged,    # noqa: F401
                                 test_state_of_pipes)
from .test_postfix_failures_host import test_state    # noqa: F401

pytestmark = pytest.mark.usefixtures("needs_sotto")
LONG = pytest.mark.long
MIXED = [pytest.param(("i", "j"), id="6.8-to-7.6"), pytest.param(("j", "i"), id="7.6-to-6.8", marks=LONG),
         pytest.param(("j", "c"), id="7.6-to-exim", marks=LONG), pytest.param(("a", "j"), id="exim-to-7.6", marks=LONG),
         pytest.param(("j", "g"), id="7.6-to-postfix", marks=LONG), pytest.param(("g", "j"), id="postfix-to-7.6", marks=LONG)]
IN_CHECK = r"test_disk_hangs|test_state_of_pipes|test_no_log|test_state\[.*(missing|full-run).*new|test_state_is_damaged\[.*garbage"


@pytest.fixture(params=MIXED)
def ends(lab, opensmtpds, postfixes, request):     # pylint: disable=unused-argument
    pair = tuple(lab.servers[letter] for letter in request.param)
    for server in pair:
        server.await_settled()      # no message goes down a connection of the test before
    return pair
