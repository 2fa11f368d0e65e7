# SPDX-License-Identifier: ISC
"""
The failure table's rows of test_failures_wire.py, and those of test_failures_host.py that need the relay in the middle, between two OpenSMTPDs, and
between OpenSMTPD and others. The domain has been asked before what it offers, so that the first connection that a rule sees is a message's.
"""

import pytest

from .test_failures_wire import (required, test_breaks_before_it_begins, test_dies_before_the_last_reply, test_exchange_on_the_way,    # noqa: F401
                                 test_exchange_stalls_on_the_way, test_keyword_on_the_way, test_sealed_again,
                                 test_sealed_and_lost_is_no_fault_of_the_state, test_sealed_breaks, test_sealed_truncated_is_no_end,
                                 test_stalls_where_it_has_sealed)
from .test_opensmtpd_failures_host import MIXED

pytestmark = pytest.mark.usefixtures("needs_sotto")
IN_CHECK = r"test_exchange_on_the_way\[6.8-to-7.6-(free|required)-(command|ciphertext)\]|test_sealed_breaks\[.*(flip-in-data|reset-in-data)|test_keyword.*stripped|test_sealed_again"


@pytest.fixture(scope="module")
def stands_before(middle, opensmtpds, postfixes):
    middle.stand_before(*(opensmtpds[letter] for letter in "ij"), postfixes["g"])
    return middle


@pytest.fixture(params=MIXED)
def ends(lab, opensmtpds, stands_before, request):     # pylint: disable=unused-argument
    return tuple(lab.servers[letter] for letter in request.param)


@pytest.fixture(autouse=True)
def known(request, middle, ends):
    origin, target = ends
    name = request.node.name
    if "octets-added" in name and (origin.probes or ("-free-" in name and not origin.second_way)):
        pytest.skip("smtpd bears nothing that comes out of turn, and Exim's next command would: the message comes back, with us and without")
    for server in ends:
        server.await_settled()      # a session of the test before writes at its end what it learnt
    if origin.probes:
        with middle.rules():
            origin.asks(middle.domain(target))
    for server in ends:
        server.await_settled()      # smtpd sends the next message down a connection that stands
