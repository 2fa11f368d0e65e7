# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_host.py, between two Postfixes."""

import pytest

from .test_failures_host import (broken, required, test_disk_hangs, test_killed, test_log_blocks, test_no_log, test_state,    # noqa: F401 (fixtures, tests)
                                 test_state_is_damaged, test_state_of_pipes, test_stopped_and_killed, test_stopped_for_a_while,
                                 test_stopped_in_the_exchange, test_terminated)

pytestmark = pytest.mark.usefixtures("needs_sotto")


@pytest.fixture(scope="module")
def stands_before(middle, postfixes):
    middle.stand_before(postfixes["f"], postfixes["g"])
    return middle


@pytest.fixture
def ends(postfixes, stands_before):     # pylint: disable=unused-argument
    return postfixes["f"], postfixes["g"]
