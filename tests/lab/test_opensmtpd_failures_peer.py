# SPDX-License-Identifier: ISC
"""
The failure table's rows of test_failures_peer.py, where our mail server is OpenSMTPD. The peer has been asked before what it offers, so that the first
connection that a script sees is a message's.
"""

import pytest

from .peer import DOMAIN, clear_offering
from .test_failures_peer import (required, server, test_always_broken, test_exchange_breaks, test_exchange_stalls, test_exchange_stalls_where_required,    # noqa: F401 (fixtures, tests)
                                 test_refused, test_second_connection_fails_too, test_second_connection_is_slow)

pytestmark = pytest.mark.usefixtures("needs_sotto")
IN_CHECK = r"test_exchange_breaks\[.*-(closes|garbage|421|wrong-confirmation)\]|test_exchange_stalls\[nothing\]|test_refused\[.*454|test_second_connection_is_slow"


@pytest.fixture(params=[("i", False), ("j", True)], ids=["6.8-free", "7.6-required"])
def kind(request, opensmtpds):     # pylint: disable=unused-argument
    return request.param


@pytest.fixture
def old(opensmtpds):
    return opensmtpds["i"]


@pytest.fixture
def new(opensmtpds):
    return opensmtpds["j"]


@pytest.fixture
def connections_of_a_refusal():
    return 1


@pytest.fixture(autouse=True)
def known(opensmtpds, peer):
    for letter in "ij":
        opensmtpds[letter].await_settled()      # a session of the test before writes at its end what it learnt
    with peer.serving(clear_offering):
        for letter in "ij":
            opensmtpds[letter].asks(DOMAIN)
    for letter in "ij":
        opensmtpds[letter].await_settled()
