# SPDX-License-Identifier: ISC
"""The attacks of test_attacks.py, where our mail server is OpenSMTPD."""

import pytest

from .test_attacks import (PLACES, in_the_middle, test_commands_behind_the_hello, test_endless_refusals,    # noqa: F401 (fixtures, tests)
                           test_injection_in_the_middle, test_odd_greetings, test_smuggling, test_switch_in_a_batch)

IN_CHECK = r"test_commands_behind_the_hello|test_switch_in_a_batch\[7.6-EHLO|test_injection_in_the_middle\[.*(commands behind|a reply before)|test_smuggling\[7.6"
# pylint: disable=unused-argument


@pytest.fixture
def server(opensmtpd):
    return opensmtpd


@pytest.fixture(params=[("i", "j")], ids=["6.8-to-7.6"])
def pair(opensmtpds, request):
    """The target has been asked what it offers, so that the first connection is a message's."""
    origin, target = (opensmtpds[name] for name in request.param)
    origin.asks(target.domain)
    origin.await_settled()
    return origin, target


@pytest.fixture(params=[("k", "i"), ("k", "j")], ids=["6.8", "7.6"])
def client_and_server(opensmtpds, request, needs_sotto):
    """A host to send from, which has Sotto by itself, and a server."""
    return tuple(opensmtpds[name] for name in request.param)
