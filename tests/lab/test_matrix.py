# SPDX-License-Identifier: ISC
"""Every mail server with every other, with Sotto on both, on one of them and on none; `make matrix` shows it to a person."""

import pytest

from . import matrix
from .conftest import nothing_left

# One of each pair of kinds with Sotto on both, and of each kind one of the other settings. Those that write and those that read are of
# different releases, so that all six servers are in it.
WRITES = {"exim": "bookworm", "postfix": "trixie", "opensmtpd": "bookworm"}
READS = {"exim": "trixie", "postfix": "bookworm", "opensmtpd": "trixie"}
NEXT = {"exim": "postfix", "postfix": "opensmtpd", "opensmtpd": "exim"}


def cell(writes, reads, setting):
    return matrix.Cell((writes, WRITES[writes]), (reads, READS[reads]), setting)


SHORT = [cell(writes, reads, "both") for writes in WRITES for reads in READS] + [cell(*pair, setting) for pair in NEXT.items()
                                                                                  for setting in ("sender", "receiver", "none")]


@pytest.fixture(scope="module")
def cells(request):
    """Those that are wanted of this run."""
    return [item.callspec.params["one"] for item in request.session.items if item.module is request.module]


@pytest.fixture(scope="module")
def lab(sealing, cells):
    """A lab of its own: the hosts without Sotto are many."""
    with matrix.open_lab(lambda text: None) as made:
        matrix.start(made, cells, sealing)
        yield made
    nothing_left(made)


@pytest.fixture(autouse=True)
def tidy(kernel_log):
    """Nothing of ours has crashed. Else there is nothing to tidy: no two of these meet."""
    yield
    crashes = kernel_log.crashes()
    assert not crashes, crashes


@pytest.mark.parametrize("one", [pytest.param(one, id=str(one), marks=() if one in SHORT else pytest.mark.long) for one in matrix.CELLS])
def test_pair(lab, sealing, one):
    """A message gets from here to there, sealed where both have Sotto, else as ever."""
    matrix.keep(lab, one, sealing)
