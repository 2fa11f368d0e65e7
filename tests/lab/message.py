# SPDX-License-Identifier: ISC
"""Messages to send, and telling whether what arrived is what was sent."""

import itertools
import os
import re

_count = itertools.count(1)
ADDED = re.compile(rb"(Return-path|Envelope-to|Delivery-date|X-Original-To|Delivered-To|Received|X-Sotto):|Content-Disposition: inline$", re.I)

LINES = ("The quarterly figures are attached to nothing at all.",
         "Meet me behind the old lighthouse at twenty to nine.",
         "The combination of the safe is thirty-one, seven, nineteen.",
         "Nobody else needs to know about the greenhouse.")


class Message:
    """
    One message with contents that occur nowhere else. .octets is what is given to the mail server (lines end with LF);
    .secrets are the texts that a wiretap must not be able to read.
    """

    def __init__(self, sender, recipients, subject=None, body=None, extra_headers=()):
        self.sender = sender
        self.recipients = [recipients] if isinstance(recipients, str) else list(recipients)
        self.token = f"{os.urandom(5).hex()}{next(_count)}"
        self.subject = subject or f"A word in private, number {self.token}"
        self.message_id = f"<{self.token}.letter@{sender.rpartition('@')[2] or 'a.example'}>"
        text = body if body is not None else "".join(f"{line}\n" for line in LINES) + f"Token {self.token}\n"
        self.body = text if isinstance(text, bytes) else text.encode()
        if not self.body.endswith(b"\n"):
            self.body += b"\n"
        to = self.recipients[0] if len(self.recipients) == 1 else "undisclosed-recipients:;"
        headers = [f"From: {sender or 'postmaster@a.example'}", f"To: {to}", f"Subject: {self.subject}", "Date: Mon, 02 Nov 2026 10:00:00 +0000",
                   f"Message-ID: {self.message_id}", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
                   "Content-Transfer-Encoding: 8bit", *extra_headers]
        self.octets = "\n".join(headers).encode() + b"\n\n" + self.body

    @property
    def secrets(self):
        lines = [line for line in self.body.split(b"\n") if len(line) >= 16][:40]
        people = [address for address in (self.sender, *self.recipients[:40]) if "@" in address]
        return [*people, self.subject, self.message_id, "Subject: ", "MAIL FROM:", "RCPT TO:", *lines]

    @property
    def smtp(self):
        """The message as it is sent after DATA: CRLF, dots doubled, the final dot."""
        lines = self.octets.removesuffix(b"\n").split(b"\n")
        return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"

    def __repr__(self):
        return f"Message({self.token}: {self.sender} to {len(self.recipients)}, {len(self.octets)} octets)"


def difference(delivered, message):
    """
    "" if what was delivered is, octet for octet, what was sent, under headers that mail servers add on the way (and
    nothing else); otherwise what is wrong.
    """
    if not delivered.endswith(message.octets):
        return f"what arrived ({len(delivered)} octets) does not end with the {len(message.octets)} octets that were sent"
    added = delivered[:len(delivered) - len(message.octets)]
    for line in added.split(b"\n"):
        if line and line[:1] not in b" \t" and not ADDED.match(line):
            return f"a line was added that nobody announced: {line[:200]!r}"
    return ""


def headers(octets):
    """[(name in lower case, value with its folds)] of a message."""
    top = octets.split(b"\n\n", 1)[0].decode(errors="replace")
    folded = re.split(r"\n(?![ \t])", top)
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in folded)]
