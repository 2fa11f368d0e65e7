# SPDX-License-Identifier: ISC
"""The floods of test_floods.py, where our mail server is OpenSMTPD: one worker for all of them, and nothing of ours is left afterwards."""

import pytest

from .held import until
from .test_floods import (comparing, test_a_hello_in_drips, test_commands_without_end, test_cover_records, test_hellos_at_full_speed,    # noqa: F401 (tests)
                          test_never_reads, test_slow_clients)

IN_CHECK = r"test_slow_clients\[7.6|test_a_hello_in_drips\[7.6"


@pytest.fixture(params=["i", "j"], ids=["6.8", "7.6"])
def server(opensmtpds, request):
    return opensmtpds[request.param]


@pytest.fixture
def compare(lab, server, stranger, needs_sotto, request):     # pylint: disable=unused-argument
    """As for Exim. There are as many processes as ever; what ends is connections."""
    def calm(_):
        return server.settled()

    def as_before(before):
        return until(server, lambda now: server.settled() and (now.servers, now.files) == (before.servers, before.files))

    return comparing(lab, server, stranger, request.node.name, calm, as_before)
