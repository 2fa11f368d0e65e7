# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_wire.py, between two Postfixes, and between Postfix and Exim."""

import contextlib

import pytest

from .rules import CLIENT, SERVER, STALL, Rule, octet
from .test_failures_wire import (BIG, letter_through, required, test_breaks_before_it_begins, test_exchange_on_the_way,    # noqa: F401 (fixtures, tests)
                                 test_exchange_stalls_on_the_way, test_keyword_on_the_way, test_sealed_and_lost_is_no_fault_of_the_state, test_sealed_breaks,
                                 test_sealed_truncated_is_no_end)
from .test_postfix import configured
from .test_postfix_failures_host import ends, stands_before     # noqa: F401 (fixtures)

pytestmark = pytest.mark.usefixtures("needs_sotto")


@pytest.mark.parametrize("sotto", [True, False], ids=["with", "without"])
def test_dies_before_the_last_reply(watch, middle, ends, sotto):      # noqa: F811 (a fixture)
    """The connection dies between the final dot and its reply: the message comes twice, as SMTP has it, with us and without us alike."""
    origin, target = ends
    with contextlib.ExitStack() as stack:
        stack.enter_context(configured(target, {"smtpd_discard_ehlo_keywords": "chunking"}, ["chunking_advertise_hosts ="]))
        if not sotto:
            for server in ends:
                server.disable_sotto()
                stack.callback(server.enable_sotto)
        letter = letter_through(watch, middle, ends, body=BIG)
        with middle.rules(Rule(STALL, CLIENT, octet(100_000), [0], stalls=(SERVER,))) as fired:
            letter.send()
            target.await_token("bert", letter.message)
            assert letter.mailbox.count(letter.message) == 1
            middle.reset_all()
            if not origin.second_way:
                origin.await_log(origin.deferred(letter.message.recipients[0]), letter._mark)
                letter.again()
            target.await_mail("bert", 2)
            origin.await_empty_queue()
            target.await_empty_queue()
        letter.once(times=2)
    assert len(fired.connections) == 2
