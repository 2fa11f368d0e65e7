# SPDX-License-Identifier: ISC
"""Files of the state (core/runtime/state-text.h): lines of words, and one with a check over those before it."""

import re


def checked(text):
    """The text with the check line that belongs to it."""
    body = re.sub(rb"^check [0-9a-f]{16}\n", b"", text, flags=re.M)
    value = 14695981039346656037
    for octet in body:
        value = (value ^ octet) * 1099511628211 % (1 << 64)
    return body + b"check %016x\n" % value
