# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_files.py, between two OpenSMTPDs, and between OpenSMTPD and others: the clock, and sotto.conf."""

import pytest

from .test_failures_files import (test_avoided, test_avoided_and_the_clock_jumps, test_clock_jumps, test_conf_broken_with_a_good_copy,   # noqa: F401
                                  test_conf_broken_without_a_copy, test_conf_is_no_file)
from .test_failures_start import broken, required     # noqa: F401 (fixtures)
from .test_opensmtpd_failures_host import ends     # noqa: F401 (a fixture)

pytestmark = pytest.mark.usefixtures("needs_sotto")
IN_CHECK = r"test_clock_jumps\[.*back|test_avoided\[|test_conf_broken_with_a_good_copy\[.*garbage|test_conf_is_no_file\[.*free-a-pipe"
