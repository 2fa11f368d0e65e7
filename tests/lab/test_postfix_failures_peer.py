# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_peer.py, where our mail server is Postfix: what a fault costs is a connection of Postfix's own."""

import pytest

from .test_failures_peer import (required, server, test_always_broken, test_exchange_breaks, test_exchange_stalls, test_exchange_stalls_where_required,    # noqa: F401 (fixtures, tests)
                                 test_refused, test_second_connection_fails_too, test_second_connection_is_slow)

pytestmark = pytest.mark.usefixtures("needs_sotto")


@pytest.fixture(params=[("f", False), ("g", True)], ids=["3.7-free", "3.10-required"])
def kind(request, postfixes):     # pylint: disable=unused-argument
    return request.param


@pytest.fixture
def old(postfixes):
    return postfixes["f"]


@pytest.fixture
def new(postfixes):
    return postfixes["g"]


@pytest.fixture
def connections_of_a_refusal():
    """421, and Postfix goes there by itself."""
    return 2
