# SPDX-License-Identifier: ISC
"""Mail from and to Postfix, each version, and between Postfix and Exim: what SMTP can do, it can do sealed."""

import re

from .message import Message, difference
from .test_exim import arrives, letter, random_lines, to


def test_small_message(watch, mixed):
    """A letter arrives octet for octet; both logs call the session sealed, by one id; the trace names it; the tap reads nothing."""
    origin, target = mixed
    message = letter(origin, target)
    origin.submit(message)
    delivered = arrives(watch, origin, target, message)
    ids = watch.sealed(origin, target, message)
    watch.traced(delivered, ids)
