# SPDX-License-Identifier: ISC
"""The attacks of test_attacks.py, where our mail server is Postfix."""

import contextlib

import pytest

from .test_attacks import (PLACES, in_the_middle, test_commands_behind_a_refused_hello, test_commands_behind_the_hello,    # noqa: F401 (fixtures, tests)
                           test_endless_refusals, test_injection_in_the_middle, test_odd_greetings, test_smuggling, test_switch_in_a_batch)

# pylint: disable=unused-argument


@pytest.fixture(scope="module", autouse=True)
def impatient(postfixes):
    """Of a record that stays unfinished a mail server waits for the rest as long as for any reply."""
    with contextlib.ExitStack() as stack:
        for name in ("f", "g"):
            stack.enter_context(postfixes[name].configured(smtp_mail_timeout="5s"))
        yield


@pytest.fixture
def server(postfix):
    return postfix


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def pair(postfixes, request):
    return tuple(postfixes[name] for name in request.param)


@pytest.fixture(params=[("h", "f"), ("h", "g")], ids=["3.7", "3.10"])
def client_and_server(postfixes, request, needs_sotto):
    """A host to send from, which has Sotto by itself, and a server."""
    return tuple(postfixes[name] for name in request.param)
