# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_client.py, where our mail server is OpenSMTPD."""

import pytest

from .test_failures_client import (required, server, test_client_breaks, test_client_drips, test_client_ends_in_a_sealed_session,    # noqa: F401 (fixtures, tests)
                                   test_client_gives_a_length_that_is_none, test_client_is_refused_in_step, test_client_is_silent)

pytestmark = pytest.mark.usefixtures("needs_sotto")
IN_CHECK = r"test_client_(is_refused|gives|drips)|test_client_breaks\[.*(half-a-hello|bad-record)"


@pytest.fixture(params=[("i", False), ("j", True)], ids=["6.8-free", "7.6-required"])
def kind(request, opensmtpds):     # pylint: disable=unused-argument
    return request.param
