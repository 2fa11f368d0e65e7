# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_files.py, between two Postfixes, and between Postfix and Exim: the clock, and sotto.conf."""

import pytest

from . import faults
from .faults import STATE
from .test_failures_files import (BROKEN_CONF, SOME_BROKEN_CONF, YEAR, conf, make_avoided, shift, test_clock_jumps, test_conf_broken_with_a_good_copy,   # noqa: F401
                                  test_conf_broken_without_a_copy, test_conf_is_no_file)
from .test_failures_host import is_sealed_in_time
from .test_failures_start import broken, letter_between, nothing_left, required     # noqa: F401 (fixtures)
from .test_postfix_failures_start import ends     # noqa: F401 (a fixture)

pytestmark = pytest.mark.usefixtures("needs_sotto")


def outcome_without(server):
    """How its log calls a connection that was not sealed."""
    return "native" if server.second_way else "clear"


def test_avoided(watch, ends):     # noqa: F811
    """A host that is avoided for a while gets its mail in the clear, from the second message on without a session, unless encryption is required."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    assert faults.damage(ends[0].host, f"{STATE}/peers", make_avoided)
    letter_between(watch, ends).send().arrives()
    watch.await_said(ends[0], "connect", outcome_without(ends[0]))
    said = len(watch.said(ends[0], "connect"))
    letter_between(watch, ends).send().arrives()
    assert len(watch.said(ends[0], "connect")) == said, "a session for a peer that is known to be avoided"
    is_sealed_in_time(watch, ends)


@pytest.mark.parametrize("jump", [-YEAR, YEAR], ids=["back", "forth"])
def test_avoided_and_the_clock_jumps(watch, ends, jump):     # noqa: F811
    """... but not when the clock has jumped by a year meanwhile."""
    is_sealed_in_time(watch, ends)
    nothing_left(*ends)
    faults.damage(ends[0].host, f"{STATE}/peers", make_avoided)
    assert faults.damage(ends[0].host, f"{STATE}/peers", shift(-jump))
    letter_between(watch, ends).send().arrives()
    watch.await_said(ends[0], "connect", "sealed", 2)


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
