# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_wire.py, between two Postfixes, and between Postfix and Exim."""

import pytest

from .test_failures_wire import (required, test_breaks_before_it_begins, test_dies_before_the_last_reply, test_exchange_on_the_way,    # noqa: F401
                                 test_exchange_stalls_on_the_way, test_keyword_on_the_way, test_sealed_and_lost_is_no_fault_of_the_state,
                                 test_sealed_breaks, test_sealed_truncated_is_no_end)
from .test_postfix_failures_host import ends, stands_before     # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("needs_sotto")
