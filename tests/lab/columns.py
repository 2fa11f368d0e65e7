# SPDX-License-Identifier: ISC
"""Two columns of text for a person to compare; in colour on a terminal only."""

import os
import sys

from .paths import Failed, Missing

WIDTH = 100
COLUMN = (WIDTH - 3) // 2
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def colour(text, *styles):
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR"):
        return text
    return "\033[" + ";".join(STYLES[style] for style in styles) + "m" + text + "\033[0m" if text else text


def fit(text, width):
    """The text in exactly that many columns, cut with an ellipsis; nothing in it can move a terminal's cursor."""
    clean = "".join(c if c.isprintable() else "·" for c in text)
    return clean.ljust(width) if len(clean) <= width else clean[:width - 1] + "…"


def rule(left="", right="", join="┬"):
    def half(title):
        return f"── {title} ".ljust(COLUMN + 1, "─") if title else "─" * (COLUMN + 1)
    print(colour(f"{half(left)}{join}{half(right)}", "dim") if not left else f"{half(left)}{join}{half(right)}")


def row(left, right):
    """left and right: (text, styles…) or text."""
    cells = []
    for cell in (left, right):
        text, *styles = (cell,) if isinstance(cell, str) else cell
        cells.append(colour(fit(text, COLUMN), *styles))
    print(f"{cells[0]} {colour('│', 'dim')} {cells[1]}".rstrip())


def rows(left, right):
    """Two lists of cells, the shorter one filled up."""
    for n in range(max(len(left), len(right))):
        row(left[n] if n < len(left) else "", right[n] if n < len(right) else "")


class Status:
    """What is being done now: one line that replaces itself on a terminal, lines of their own elsewhere."""

    def __init__(self):
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, text):
        if self._live:
            print("\r\033[K" + colour(f"  … {text}", "dim"), end="", flush=True)
        else:
            print(f"  … {text}", flush=True)

    def clear(self):
        if self._live:
            print("\r\033[K", end="", flush=True)


def play(stage, unfinished):
    """For a person who looks on: what stage(status) returns, as an exit code; 1 after a sentence where it comes to no end. unfinished: how that begins."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    status = Status()
    try:
        return stage(status)
    except (Missing, Failed, AssertionError, OSError) as why:
        status.clear()
        print(why if isinstance(why, Missing) else f"{unfinished}: {why}", file=sys.stderr)
    except KeyboardInterrupt:
        status.clear()
        print("stopped", file=sys.stderr)
    return 1
