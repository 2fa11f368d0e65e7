# SPDX-License-Identifier: ISC
"""What the figures of run.py look like to a person, and which targets they reach. Measures nothing."""

WIDE = 92


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


def relay(t):
    t.head("Octets through two relays", "two plain read/write relays, two sotto-sessions passing through, two sealed",
           "the AEAD (libtomcrypt's ChaCha20-Poly1305, 16 KiB): seal and open at once, each in a thread; the slower one is what it allows",
           "a relay: per second of CPU of the slower of both, what a pair does that has a core each; all: of both relays and both ends")
    for figure, what in (("clock", "on the clock"), ("cpu", "a relay's CPU"), ("all", "all CPU")):
        against = [("plain", f"relay.plain.{figure}_octets_s")]
        t.row(f"plain, {what}", f"relay.plain.{figure}_octets_s", "MB/s", 1e-6)
        t.row(f"pass-through, {what}", f"relay.pass.{figure}_octets_s", "MB/s", 1e-6, against=against)
        t.row(f"sealed, {what}", f"relay.sealed.{figure}_octets_s", "MB/s", 1e-6, against=against)
    t.row("the AEAD alone, seal", "aead.seal_octets_s", "MB/s", 1e-6)
    t.row("the AEAD alone, open", "aead.open_octets_s", "MB/s", 1e-6)
    t.must("pass-through at least 0.9 of the plain relays' speed (on the clock)",
           t.ratio("relay.pass.clock_octets_s", "relay.plain.clock_octets_s"), lambda r: r >= 0.9)
    t.must("sealed at least 0.8 of what the AEAD alone allows (a relay's CPU, round by round)", t.figures.get("relay.sealed.of_aead"), lambda r: r >= 0.8)


def memory(t):
    t.head("Memory a session, with many open", "private pages of its process; sockets: TCP buffers in the kernel, 1.5 connections a session",
           "small: an envelope has passed; bulk: a MiB each way, too")
    for kind in ("sealed", "opaque"):
        for when in ("small", "bulk"):
            t.row(f"{kind}, {when}: private", f"memory.{kind}.{when}.private_kib", "KiB")
            t.row(f"{kind}, {when}: sockets", f"memory.{kind}.{when}.kernel_kib", "KiB", digits=1)
    most = [t.figures.get(f"memory.{kind}.{when}.most_kib") for kind in ("sealed", "opaque") for when in ("small", "bulk")]
    t.must("at most 600 KiB private memory a session (KiB of the largest)", None if None in most else max(most), lambda k: k <= 600, 0)


def start(t):
    t.head("Start, from fork to the ready octet")
    empty = [("the empty program", "start.empty_us")]
    t.row("sotto-session accept", "start.accept_us", "us", against=empty)
    t.row("sotto-session connect", "start.connect_us", "us", against=empty)
    t.row("an empty program with the same libraries", "start.empty_us", "us")
    ratios = [t.ratio(f"start.{role}_us", "start.empty_us") for role in ("accept", "connect")]
    t.must("sotto-session ready within twice the time of the empty program", None if None in ratios else max(ratios), lambda r: r <= 2)


WAYS = (("plain", "plain"), ("starttls", "STARTTLS"), ("sealed_skip", "sealed, starttls=skip"), ("sealed_keep", "sealed, STARTTLS inside"))


def turns(t):
    t.head("Round trips from the greeting until a message is accepted, Exim to Exim, 50 ms each way", "counted in the relay; and from the connection, in ms")
    for name, text in WAYS:
        t.row(text, f"turns.{name}.round_trips", "")
        t.row(f"{text}, time", f"turns.{name}.ms", "ms", against=[("plain", "turns.plain.ms")] if name != "plain" else [])
    plain, tls, sealed = (t.figures.get(f"turns.{name}.round_trips") for name in ("plain", "starttls", "sealed_skip"))
    known = None not in (plain, tls, sealed)
    t.must("exactly one round trip more than plain (starttls=skip, or no STARTTLS offered)", sealed - plain if known else None, lambda n: n == 1, 0)
    t.must("at least two round trips fewer than STARTTLS", tls - sealed if known else None, lambda n: n >= 2, 0)


def mail(t):
    t.head("Small messages, Exim to Exim", "CPU: all processes of both hosts, from the sender's queue into the receiver's Maildir")
    for how, what in (("one", "one connection a message"), ("many", "many messages a connection")):
        t.lines.append(f"  {what}")
        for name, text in WAYS:
            against = [(other, key) for other, key in (("plain", "plain"), ("STARTTLS", "starttls")) if key != name and name != "plain"]
            t.row(f"{text}, messages a second", f"mail.{how}.{name}.per_second", "/s", digits=1,
                  against=[(other, f"mail.{how}.{key}.per_second") for other, key in against])
            t.row(f"{text}, CPU a message", f"mail.{how}.{name}.cpu_ms", "ms", digits=1,
                  against=[(other, f"mail.{how}.{key}.cpu_ms") for other, key in against])
    ratio = t.ratio("mail.one.sealed_skip.cpu_ms", "mail.one.starttls.cpu_ms")
    t.must("CPU a message sealed (starttls=skip) below STARTTLS's, one connection a message", ratio, lambda r: r < 1)
    ratio = t.ratio("mail.one.sealed_skip.cpu_ms", "mail.one.plain.cpu_ms")
    t.must("CPU a message sealed (starttls=skip) at most 1.25 of plain, one connection a message", ratio, lambda r: r <= 1.25)


WORLDS = (("mx", "addresses that nobody answers at"), ("dns", "a DNS that does not answer"), ("tables", "the first, and tables of the administrator's"))


def lookups(t):
    t.head("A lookup of Postfix's, 1,000 a second, every MX in the world down", "99 % are quicker than that; all in turns, with one client; Postfix is busy meanwhile",
           "what was held up because the machine itself stood still is left out")
    ratios = []
    for world, text in WORLDS:
        plain = f"lookup.{world}.notfound.p99_us"
        t.lines.append(f"  {text}")
        t.row("a server that only answers NOTFOUND", plain, "us")
        t.row("sotto-policyd", f"lookup.{world}.policyd.p99_us", "us", against=[("that", plain)])
        t.row("sotto-policyd behind the connector", f"lookup.{world}.connector.p99_us", "us", against=[("that", plain)])
        ratios.append(t.ratio(f"lookup.{world}.policyd.p99_us", plain))
    t.must("a lookup (99 %) at most 3 times that of a server that only answers NOTFOUND, in each world", None if None in ratios else max(ratios),
           lambda r: r <= 3)


def sessions(t):
    t.head("Inbound sessions of Postfix a second: connect, EHLO, QUIT")
    for at_once in (1, 20):
        t.lines.append(f"  {at_once} at a time")
        for way, text in (("plain", "smtpd"), ("session", "sotto-front, sotto-session, smtpd"), ("front", "sotto-front alone, smtpd")):
            for figure, unit, what, digits in (("per_second", "/s", "", 0), ("cpu_ms", "ms", ", CPU a session", 2)):
                against = [("smtpd's", f"sessions.{at_once}.plain.{figure}")] if way != "plain" else []
                t.row(text + what, f"sessions.{at_once}.{way}.{figure}", unit, digits=digits, against=against)
    for way, text in (("session", "through sotto-front and sotto-session"), ("front", "through the front alone")):
        ratios = [t.ratio(f"sessions.{at_once}.{way}.per_second", f"sessions.{at_once}.plain.per_second") for at_once in (1, 20)]
        t.must(f"sessions a second {text} at least 0.35 of smtpd's", None if None in ratios else min(ratios), lambda r: r >= 0.35)


def postfixmail(t):
    t.head("Small messages, Postfix to Postfix", "until the last is in the receiver's Maildir; all of them arrived, and by the way that is meant",
           "a connection may take several; Postfix reuses those without STARTTLS inside")
    for how, what in (("queue", "from the sender's queue, let go all at once"), ("path", "from smtp-source, a connection each, through the sender")):
        t.lines.append(f"  {what}")
        for name, text in WAYS:
            against = [(other, f"postfix.{how}.{key}.per_second") for other, key in (("plain", "plain"), ("STARTTLS", "starttls"))
                       if key != name and name != "plain"]
            t.row(f"{text}, messages a second", f"postfix.{how}.{name}.per_second", "/s", digits=1, against=against)
    t.must("messages a second sealed (starttls=skip) at least STARTTLS's, from the queue",
           t.ratio("postfix.queue.sealed_skip.per_second", "postfix.queue.starttls.per_second"), lambda r: r >= 1)


def opensmtpd(t):
    t.head("Small messages, OpenSMTPD to OpenSMTPD, down one connection", "until the last is in the receiver's Maildir; CPU: all processes of both hosts",
           "most of the time smtpd waits for TCP's delayed acknowledgements, whichever way; inbound STARTTLS of 6.8 does not work with Debian 12's OpenSSL")
    for pair in ("6.8-to-6.8", "6.8-to-7.6", "7.6-to-7.6"):
        t.lines.append(f"  {pair.replace('-', ' ')}")
        for name, text in WAYS:
            if f"opensmtpd.mail.{pair}.{name}.per_second" not in t.figures and pair == "6.8-to-6.8":
                continue
            against = [(other, key) for other, key in (("plain", "plain"), ("STARTTLS", "starttls")) if key != name and name != "plain"]
            for figure, unit, what in (("per_second", "/s", "messages a second"), ("cpu_ms", "ms", "CPU a message")):
                t.row(f"{text}, {what}", f"opensmtpd.mail.{pair}.{name}.{figure}", unit, digits=1,
                      against=[(other, f"opensmtpd.mail.{pair}.{key}.{figure}") for other, key in against])
    t.head("Many sessions open at OpenSMTPD, half of them sealed", "a hundred messages meanwhile, one after the other; memory: the worker's own")
    for version in ("6.8", "7.6"):
        crowd = f"opensmtpd.{version}.crowd"
        t.row(f"{version}: a hundred messages, nobody else there", f"{crowd}.alone_ms", "ms")
        t.row(f"{version}: a hundred messages beside them", f"{crowd}.beside_ms", "ms", against=[("that", f"{crowd}.alone_ms")])
        t.row(f"{version}: memory a session", f"{crowd}.session_kib", "KiB", digits=1)
        t.row(f"{version}: processes with them", f"{crowd}.many.processes", "", against=[("those with 10", f"{crowd}.few.processes")])
    ratios = [t.ratio(f"opensmtpd.{version}.crowd.beside_ms", f"opensmtpd.{version}.crowd.alone_ms") for version in ("6.8", "7.6")]
    t.must("a hundred messages beside 1,000 sessions in at most 1.5 times the time", None if None in ratios else max(ratios), lambda r: r <= 1.5)
    ratios = [t.ratio(f"opensmtpd.{version}.crowd.many.processes", f"opensmtpd.{version}.crowd.few.processes") for version in ("6.8", "7.6")]
    t.must("no more processes with 1,000 sessions than with 10", None if None in ratios else max(ratios), lambda r: r <= 1)
    t.head("The answer to RCPT at OpenSMTPD, where the domain's mail server is dead")
    for version in ("6.8", "7.6"):
        rcpt = f"opensmtpd.{version}.rcpt"
        t.row(f"{version}: the first", f"{rcpt}.first_ms", "ms")
        for name, text in (("second", "the second"), ("other", "in another session")):
            t.row(f"{version}: {text}", f"{rcpt}.{name}_ms", "ms", digits=2, against=[("smtpd's without Sotto", f"{rcpt}.without.second_ms")])
    most = [t.figures.get(f"opensmtpd.{version}.rcpt.most_ms") for version in ("6.8", "7.6")]
    t.must("the first answer to RCPT within 3 s (ms)", None if None in most else max(most), lambda ms: ms <= 3000, 0)


def table(figures):
    """(lines, targets as they go into bench.json)."""
    t = Table(figures)
    for part in (handshake, start, relay, memory, turns, mail, lookups, sessions, postfixmail, opensmtpd):
        part(t)
    return t.lines, t.targets
