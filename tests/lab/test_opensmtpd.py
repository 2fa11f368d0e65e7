# SPDX-License-Identifier: ISC
"""OpenSMTPD with OpenSMTPD, with Exim and with Postfix, in both directions: sealed from the first mail on, and complete."""

from .message import Message
from .test_exim import arrives, letter


def test_first_mail(watch, with_opensmtpd):
    """The first mail between two that have never heard of each other is sealed, and nothing of it can be read on the wire."""
    origin, target = with_opensmtpd
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    if watch.sealing:
        watch.await_said(origin, "connect", "sealed")
        watch.await_said(target, "accept", "sealed")
        assert not watch.wire.find(*message.secrets)
