# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_files.py, between two Postfixes, and between Postfix and Exim: the clock, and sotto.conf."""

import pytest

from . import faults
from .faults import STATE
from .test_failures_files import (YEAR, shift, test_avoided, test_avoided_and_the_clock_jumps, test_clock_jumps,   # noqa: F401 (tests)
                                  test_conf_broken_with_a_good_copy, test_conf_broken_without_a_copy, test_conf_is_no_file)
from .test_failures_start import broken, letter_between, nothing_left, required     # noqa: F401 (fixtures)
from .test_postfix_failures_start import ends     # noqa: F401 (a fixture)

pytestmark = pytest.mark.usefixtures("needs_sotto")


@pytest.mark.parametrize("jump", [-YEAR, YEAR], ids=["back", "forth"])
def test_no_offer_and_the_clock_jumps(watch, ends, stranger, jump):     # noqa: F811
    """A "no" from another year is not believed: the host is asked again, and its mail arrives."""
    origin = ends[0]
    if origin.kind != "postfix":
        pytest.skip("Exim is not told by domains")
    letter_between(watch, (origin, stranger)).send().arrives()
    nothing_left(origin)
    assert faults.damage(origin.host, f"{STATE}/domains", shift(-jump))
    letter_between(watch, (origin, stranger)).send().arrives()
    watch.await_said(origin, "connect", "native", 2)
