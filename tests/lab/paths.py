# SPDX-License-Identifier: ISC
"""Where things are: the project, what is built, what the lab keeps."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
STAGED = PROJECT / "build" / "staged"       # what `make install DESTDIR=build/staged` left there
LAB = PROJECT / "build" / "lab"
ROOTS = LAB / "roots"                       # cached Debian roots, one a release and kind
RUNS = LAB / "runs"                         # one folder a run: captures and logs


class Missing(Exception):
    """The lab cannot work here. The text is one sentence for the person who started it."""


class Failed(Exception):
    """A program of the lab did not do its work. The text says which, and where to read on."""
