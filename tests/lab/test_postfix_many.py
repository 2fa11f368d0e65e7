# SPDX-License-Identifier: ISC
"""Mail for very many domains at once, among them some whose mail server takes its time: that is nobody's concern but theirs."""

import threading

import pytest

from .administrator import results
from .message import Message
from .peer import NAME, Gone, clear
from .promise import IN_TIME
from .test_postfix import all_sealed_on_the_wire

pytestmark = pytest.mark.usefixtures("needs_sotto")
MANY, SLOW = 300, 20


@pytest.fixture(params=[("f", "g"), ("g", "f")], ids=["3.7-to-3.10", "3.10-to-3.7"])
def pair(postfixes, request):
    return tuple(postfixes[letter] for letter in request.param)


@pytest.fixture
def domains(lab, pair, peer):   # pylint: disable=unused-argument
    """(domains of the target's, domains of the peer's)."""
    kept, target = list(lab.dns.records), pair[1]
    quick, slow = [f"d{n}.many.example" for n in range(MANY)], [f"d{n}.slow.example" for n in range(SLOW)]
    lab.dns.add(*(f"{name}. MX 10 {target.name}." for name in quick), *(f"{name}. MX 10 {NAME}." for name in slow))
    with target.configured(mydestination=f"{target.settings['mydestination']}, {', '.join(quick)}"):
        yield quick, slow
    lab.dns.set(kept)


def test_a_slow_one_holds_nobody_up(watch, pair, peer, domains):
    """300 domains, of which nothing is known, get a letter each at the same time; all arrive, sealed, before 20 others' mail server has said a word."""
    origin, target = pair
    quick, slow = domains
    speak = threading.Event()

    def slowly(talk):
        if not speak.wait(300):
            raise Gone
        clear(talk)

    letters = {domain: Message(f"anna@{origin.domain}", f"bert@{domain}") for domain in (*slow, *quick)}
    mark = len(origin.log())
    with peer.serving(slowly) as served:
        for message in letters.values():
            origin.submit(message)
        origin.await_log(r"to=<bert@d\d+\.many\.example>, .*status=", mark, seconds=300, count=MANY)
        became = results(origin.log()[mark:])
        assert set(became) == {f"bert@{domain}" for domain in quick}, "a slow one has been decided"
        assert {one[3] for one in became.values()} == {"sent"}
        assert served.connections > 0 and not served.messages
        speak.set()
        for domain in slow:
            served.await_message(letters[domain], 60 + IN_TIME)
        origin.await_empty_queue()
        assert all(served.count(letters[domain]) == 1 for domain in slow)
    for domain in quick:
        target.await_token("bert", letters[domain])
    assert len(target.delivered("bert")) == MANY and not origin.delivered("anna")
    assert all(one[1].startswith("127.") for one in became.values()), [one for one in became.items() if not one[1][1].startswith("127.")][:3]
    all_sealed_on_the_wire(watch, origin, target)
