# SPDX-License-Identifier: ISC
"""The failure table's rows of test_failures_client.py, where our mail server is Postfix."""

import pytest

from .test_failures_client import (required, server, test_client_breaks, test_client_drips, test_client_ends_in_a_sealed_session,    # noqa: F401 (fixtures, tests)
                                   test_client_gives_a_length_that_is_none, test_client_is_refused_in_step, test_client_is_silent)

pytestmark = pytest.mark.usefixtures("needs_sotto")


@pytest.fixture(params=[("f", False), ("g", True)], ids=["3.7-free", "3.10-required"])
def kind(request, postfixes):     # pylint: disable=unused-argument
    return request.param
