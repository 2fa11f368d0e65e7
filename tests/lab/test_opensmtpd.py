# SPDX-License-Identifier: ISC
"""
OpenSMTPD, each version, with itself, with Exim and with Postfix, in both directions: all that is tested of Postfix (test_postfix.py), sealed
from the first mail on.
"""

import pytest

from .test_postfix import *     # noqa: F401, F403 (its tests, with the hosts that stand below)


@pytest.fixture
def mixed(with_opensmtpd):
    """(origin, target), at least one of them OpenSMTPD."""
    return with_opensmtpd
