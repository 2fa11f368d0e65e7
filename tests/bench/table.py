# SPDX-License-Identifier: ISC
"""What the figures of run.py look like to a person, and which targets they reach. Measures nothing."""

WIDE = 74


class Table:
    """Lines of text; figures that were not measured leave a dash, or no target."""

    def __init__(self, figures):
        self.figures = figures
        self.lines, self.targets = [], []

    def head(self, text, *notes):
        self.lines += ["", text, *(f"  ({note})" for note in notes)]

    def ratio(self, name, other):
        one, two = self.figures.get(name), self.figures.get(other)
        return one / two if one is not None and two else None

    def row(self, text, name, unit, scale=1.0, digits=0, against=()):
        """One figure, and its ratio to each of (text, other figure)."""
        value = self.figures.get(name)
        shown = "-" if value is None else f"{value * scale:,.{digits}f} {unit}"
        ratios = [f"{self.ratio(name, other):.2f} of {what}" for what, other in against if self.ratio(name, other) is not None]
        self.lines.append(f"  {text:<46}{shown:>18}   {', '.join(ratios)}".rstrip())

    def must(self, text, value, reached, digits=2):
        if value is None:
            state = "not measured"
        else:
            state = f"{value:.{digits}f}: " + ("reached" if reached(value) else "NOT REACHED")
        self.targets.append({"target": text, "value": value, "reached": value is not None and bool(reached(value))})
        self.lines.append(f"    must: {text:<{WIDE}}{state}")


def handshake(t):
    t.head("One handshake, CPU", "in memory; XSOTTO from EHLO to sealed with IDENT checked; OpenSSL: TLS 1.3, X25519, no tickets")
    for side in ("server", "client"):
        against = [("RSA-2048", f"handshake.rsa2048.{side}_us"), ("P-256", f"handshake.p256.{side}_us")]
        t.row(f"XSOTTO, {side}", f"handshake.xsotto.{side}_us", "us", against=against)
        t.row(f"OpenSSL, RSA-2048, {side}", f"handshake.rsa2048.{side}_us", "us")
        t.row(f"OpenSSL, ECDSA P-256, {side}", f"handshake.p256.{side}_us", "us")
    t.must("server handshake at most 0.6 of OpenSSL's with RSA-2048", t.ratio("handshake.xsotto.server_us", "handshake.rsa2048.server_us"),
           lambda r: r <= 0.6)


def aead(t):
    t.head("ChaCha20-Poly1305 alone (libtomcrypt), records of 16 KiB, a second of CPU")
    t.row("seal", "aead.seal_octets_s", "MB/s", 1e-6)
    t.row("open", "aead.open_octets_s", "MB/s", 1e-6)


def start(t):
    t.head("Start, from fork to the ready octet")
    empty = [("the empty program", "start.empty_us")]
    t.row("sotto-session accept", "start.accept_us", "us", against=empty)
    t.row("sotto-session connect", "start.connect_us", "us", against=empty)
    t.row("an empty program with the same libraries", "start.empty_us", "us")
    ratios = [t.ratio(f"start.{role}_us", "start.empty_us") for role in ("accept", "connect")]
    t.must("sotto-session ready within twice the time of the empty program", None if None in ratios else max(ratios), lambda r: r <= 2)


def table(figures):
    """(lines, targets as they go into bench.json)."""
    t = Table(figures)
    for part in (handshake, aead, start):
        part(t)
    return t.lines, t.targets
