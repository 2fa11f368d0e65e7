# SPDX-License-Identifier: ISC
"""Many sessions at once at OpenSMTPD: they cost no process, little memory, and others little time."""

import pytest

from .crowd import COVERS, MESSAGES, ROOMY, deliver, memory, open_sessions, processes

MANY, FEW = 1000, 10
MOST = 256          # KiB of the worker's own memory a session: two buffers of 64 KiB, and what stands around them


@pytest.fixture
def roomy(opensmtpd):
    """smtpd with descriptors for so many."""
    opensmtpd.prefix = ROOMY
    opensmtpd.restart()
    yield opensmtpd
    opensmtpd.prefix = []
    opensmtpd.restart()


def test_a_thousand_sessions(lab, roomy, stranger, needs_sotto):
    """With 1,000 open, half of them sealed: no more processes than with 10, a bounded price each, and others are served as before."""
    assert COVERS.exists(), "`make lab-tools` makes what holds sealed sessions"
    server = roomy
    deliver(stranger, server)
    alone = min(deliver(stranger, server) for _ in range(3))
    with open_sessions(stranger, server, FEW):
        few = processes(server), memory(server)
    with open_sessions(stranger, server, MANY):
        many = processes(server), memory(server)
        beside = min(deliver(stranger, server) for _ in range(3))
    each = (many[1] - few[1]) / (MANY - FEW)
    lab.say(f"OpenSMTPD {server.version}: {many[0]} processes with {MANY} sessions, {few[0]} with {FEW}; {each:.0f} KiB a session; {MESSAGES} messages in "
            f"{beside * 1000:.0f} ms beside them, {alone * 1000:.0f} ms alone ({beside / alone:.2f})")
    assert many[0] == few[0]
    assert each <= MOST
    assert beside <= 1.5 * alone, (beside, alone)
