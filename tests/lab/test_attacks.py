# SPDX-License-Identifier: ISC
"""
Known attacks on what happens at a switch from clear to sealed, and on where a message ends. What is smuggled in before or behind
the switch is never taken for something that was sealed; and Exim gets the very octets that it would get without us.
"""

import contextlib
import re
import socket
import subprocess
import threading

import pytest

from .message import difference
from .smtp import Bare
from .test_exim import letter
from .test_exim_peers import hand_over, stranger_letter
from .test_session import FOLDER, PROGRAM

HELLO = bytes(1184) + b"\x09" + bytes(31)   # a client hello that is accepted: zeros pass the modulus check, 9 is a point like any
COMMAND = b"XSOTTO 1 1216\r\n"
GO = re.compile(rb"220 [^\r\n]*\r\n")


def transaction(server):
    return (f"MAIL FROM:<evil@p.example>\r\nRCPT TO:<bert@{server.domain}>\r\nDATA\r\nSubject: smuggled\r\n\r\nby them\r\n.\r\nQUIT\r\n").encode()


def everything(client):
    """What still comes until the other side closes, however it does."""
    out = b""
    with contextlib.suppress(ConnectionError):
        while True:
            part = client.some()
            if not part:
                break
            out += part
    return out


def no_trace(watch, server):
    """The mail server has taken no message, and no session was called sealed."""
    assert not server.delivered("bert") and not [line for line in watch.log(server) if re.search(server.taken, line) or "<= evil" in line], watch.log(server)[-5:]
    assert not watch.said(server, "accept", outcome="sealed")


# ---- commands injected, we are the server -------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [True, False], ids=["in the hello's segment", "behind it"])
def test_commands_behind_the_hello(watch, server, stranger, needs_sotto, at_once):
    """CVE-2011-0411: commands in the clear right behind the hello are read as a record, fail as one, and reach nobody."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        evil = transaction(server)
        client.send(COMMAND + HELLO + (evil if at_once else b""))
        if not at_once:
            client.send(evil)
        said = everything(client)
    assert GO.match(said) and len(said) <= GO.match(said).end() + 1136 + 1042, said[:60]      # the exchange and IDENT, and that is all
    with Bare(stranger.host, server.host) as client:     # by now Exim would have logged it
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        no_trace(watch, server)
        hand_over(client, server, stranger_letter(server))


@pytest.mark.parametrize("before", ["EHLO mx.p.example\r\n", "EHLO mx.p.example\r\nMAIL FROM:<evil@p.example>\r\n", "NOOP\r\nEHLO mx.p.example\r\n"])
def test_switch_in_a_batch(watch, server, stranger, needs_sotto, before):
    """XSOTTO sent in one batch with commands before it, their replies still owed, is no switch: Exim refuses it as it refuses any word."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.send(before.encode() + COMMAND + HELLO + b"\r\n" + b"QUIT\r\n")
        said = everything(client)
    assert not re.search(rb"(?m)^220 ", said) and re.search(rb"(?m)^5", said), said
    no_trace(watch, server)


def test_commands_behind_a_refused_hello(watch, server, stranger, needs_sotto):
    """Behind a hello that is refused, commands are answered in their order, in the clear, the refusal first."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        client.send(COMMAND + b"\xff" * 1216 + b"RSET\r\nMAIL FROM:<anna@p.example>\r\n")
        assert [client.reply()[-1][:3] for _ in range(3)] == ["501", "250", "250"]
        client.ask("RSET", 250)
        hand_over(client, server, stranger_letter(server))


def test_endless_refusals(server, stranger, needs_sotto):
    """A peer that sends bad hellos for ever in one connection is shown the door."""
    with Bare(stranger.host, server.host) as client:
        client.reply()
        client.ask("EHLO mx.p.example", 250)
        codes = []
        while not codes or codes[-1] in ("501", "503"):
            client.send(COMMAND + b"\xff" * 1216)
            codes.append(client.reply()[-1][:3])
        assert codes[-1] == "421" and len(codes) <= 25 and client.closed()


# ---- somebody in the middle -------------------------------------------------------------------------------------


class Middle:
    """
    Stands at the stranger's port 25 and passes every connection on to the target; into the first one it inserts octets, once, in one
    direction, `skip` octets behind the first match of a pattern.
    """

    def __init__(self, stranger, target, pattern, skip, octets, from_client):
        self._at, self._target, self._stop = stranger.host, target.host, threading.Event()
        self._pattern, self._skip, self._octets, self._from_client = re.compile(pattern), skip, octets, from_client
        self.connections, self.inserted = 0, False
        self._listener = stranger.host.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((stranger.host.v4, 25))
        self._listener.listen(20)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = self._at.socket()
                server.connect((self._target.v4, 25))
                first = self.connections == 1
                threading.Thread(target=self._pump, args=(client, server, first and self._from_client), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, first and not self._from_client), daemon=True).start()

    def _tampered(self, seen, part):
        """part, with the octets in it where they belong."""
        found = None if self.inserted else self._pattern.search(seen + part)
        where = found.end() + self._skip - len(seen) if found else -1
        if not 0 <= where <= len(part):
            return part
        self.inserted = True
        return part[:where] + self._octets + part[where:]

    def _pump(self, source, to, tamper):
        seen = b""
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                to.sendall(self._tampered(seen, part) if tamper else part)
                seen += part
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)


@pytest.fixture(params=[("a", "c"), ("c", "a")], ids=["4.96-to-4.98", "4.98-to-4.96"])
def pair(lab, request):
    return tuple(lab.servers[name] for name in request.param)


@pytest.fixture
def in_the_middle(lab, stranger, pair):
    """insert(pattern, skip, octets, from_client): from now on mail from origin to target passes somebody who inserts octets."""
    target, before, made = pair[1], list(lab.dns.records), []
    lab.dns.set([line.replace(f"MX 10 {target.name}.", f"MX 10 {stranger.name}.") for line in before])
    stranger.stop()

    def insert(pattern, skip, octets, from_client):
        made.append(Middle(stranger, target, pattern, skip, octets, from_client))
        return made[0]

    yield insert
    for one in made:
        one.close()
    stranger.start()
    lab.dns.set(before)


EVIL_RECORD = b"\x00\x11" + b"A" * 17
SERVER_SIDE = rb"\r\n250 [^\r\n]*\r\n220 [^\r\n]*\r\n"
PLACES = {
    # name: (pattern, octets behind it, what is inserted, on the client's side?)
    "commands behind the client's hello": (rb"XSOTTO 1 1216\r\n", 1216, b"MAIL FROM:<evil@p.example>\r\n", True),
    "a record behind the client's hello": (rb"XSOTTO 1 1216\r\n", 1216, EVIL_RECORD, True),
    "replies behind the server's hello": (SERVER_SIDE, 1136, b"250 OK\r\n250 Accepted\r\n354 go\r\n250 OK\r\n", False),
    "a record behind the server's hello": (SERVER_SIDE, 1136, EVIL_RECORD, False),
    "a reply behind the server's 220": (SERVER_SIDE, 0, b"250 OK\r\n", False),
    "a reply before the server's 220": (rb"\r\n250 [^\r\n]*\r\n", 0, b"250 OK\r\n", False),
    "a line in the reply to EHLO": (rb"250-XSOTTO 1\r\n", 0, b"250-EVIL\r\n", False),
}


@pytest.mark.parametrize("place", list(PLACES))
def test_injection_in_the_middle(watch, pair, in_the_middle, needs_sotto, place):
    """Whatever somebody in the middle inserts around the switch: neither Exim acts on it, and the message arrives, once and unaltered."""
    origin, target = pair
    pattern, skip, octets, from_client = PLACES[place]
    middle = in_the_middle(pattern, skip, octets, from_client)
    message = letter(origin, target)
    origin.submit(message, "-odi")
    origin.settle(message)
    if origin.queue():
        origin.forget_hosts()
        origin.run_queue()
    assert middle.inserted
    origin.await_empty_queue()
    # what the sender pipelined may have arrived whole before the end that it then had no answer for: as with any cut connection
    unanswered = [line for line in watch.log(origin) if re.search(origin.unanswered, line)]
    target.await_empty_queue()
    copies = target.await_mail("bert")
    assert not [wrong for one in copies for wrong in [difference(one, message)] if wrong]
    assert len(copies) == 1 or len(copies) == 2 == len(unanswered) + 1
    assert not [line for line in watch.log(target) if re.search(target.took("evil@p.example"), line)]
    # a session that the receiver calls sealed is one that nobody had a hand in; one that only the sender does, which had closed first, it calls lost
    ids = [{one.id for one in watch.said(server, role, outcome="sealed") if "end=" not in one.line} for server, role in ((origin, "connect"), (target, "accept"))]
    lost = {one.id for one in watch.said(target, "accept") if "end=lost" in one.line}
    assert ids[1] <= ids[0] and ids[0] - ids[1] <= lost, (ids, lost)


# ---- smuggling ----------------------------------------------------------------------------------------------------

ENDS = [b"\r\n.\r\n", b"\n.\r\n", b"\n.\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\n\n.\r\n", b"\r\r\n.\r\n", b"\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
        b"\r\n\0\n.\r\n", b"\r\n..\r\n", b"\r\n.\r\n.\r\n", b"\n..\r\n", b"\x1a.\r\n", b"\r\n.\x85\r\n", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\r\n. \r\n", b"\r\n.\t\r\n"]
GREETINGS = [b"EHLO mx.x.example\n", b"EHLO mx.x.example\r", b"EHLO\0mx.x.example\r\n", b"EHLO mx.x\0.example\r\n", b"ehlo mx.x.example \r\n", b"EHLO mx.x.example\r\r\n", b"EHLO\r\n",
             b"EHLO mx.x.example\n\r\n", b"EHLO mx.x.example\r\nNOOP\n", b"\r\nEHLO mx.x.example\r\n", b"EHLO " + b"x" * 600 + b"\r\n", b"EHLO m\xc3\xbc.example\r\n",
             b"EHLO mx.x.example\r\nXSOTTO 1 0\n", b"HELO mx.x.example\n", b"EHLO mx.x.example\r\n\0\r\n", b"XSOTTO 1 1216\r\nEHLO mx.x.example\r\n"]


def smuggle(server, end):
    """One message that may be two, depending on what a server takes for the end of a message."""
    second = b"Subject: smuggled\r\n\r\nsecond\r\n"
    commands = f"MAIL FROM:<evil@p.example>\r\nRCPT TO:<bert@{server.domain}>\r\nBDAT {len(second)} LAST\r\n"
    return b"Subject: one\r\n\r\nfirst" + end + commands.encode() + second + b"\r\n.\r\n"


def normal(octets):
    """Without what differs from one time to the next: ids and times; without our keyword, and the one that we hide (PROTOCOL.md 6)."""
    octets = re.sub(rb"250-(XSOTTO 1|PIPECONNECT)\r\n", b"", octets)
    octets = re.sub(rb"\b[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}\b", b"ID", octets)         # Exim's
    octets = re.sub(rb"(?<=250 2\.0\.0 )[0-9a-f]{8}(?= Message)|(?<=SMTP id )[0-9a-f]{8}\b|(?<=<)[0-9a-f]{16}(?=@)", b"ID", octets)      # OpenSMTPD's
    octets = re.sub(rb"(?<=queued as )[0-9A-F]+|(?<=SMTP id )[0-9A-F]+|<?\b20\d{12}\.[0-9A-F]+@", b"ID", octets)     # Postfix's
    octets = re.sub(rb"\w{3}, {1,2}\d\d? \w{3} \d{4} [\d:]{8} [+-]\d{4}", b"TIME", octets)
    return re.sub(rb"\n\t\(X-Sotto: [^)]*\)|(?<=\n)X-Sotto: [^\n]*\n", b"", octets)


def open_clear(origin, server):
    return contextlib.nullcontext(Bare(origin.host, server.host))


@contextlib.contextmanager
def open_sealed(origin, server):
    """A client that sends its octets through a sotto-session of its own."""
    net = origin.host.socket()
    net.connect((server.host.v4, 25))
    ours, its = socket.socketpair()
    origin.host.run(["mkdir", "-p", f"{FOLDER}/state", f"{FOLDER}/run"])
    words = [PROGRAM, "connect", "--net", str(net.fileno()), "--mta", str(its.fileno()), "--state", f"{FOLDER}/state", "--run", f"{FOLDER}/run", "--adapter", "exim"]
    process = origin.host.popen(words, pass_fds=[net.fileno(), its.fileno()], stdin=subprocess.DEVNULL)
    net.close()
    its.close()
    try:
        yield Bare(None, None, sock=ours)
    finally:
        ours.close()
        process.wait(60)


def outcome(opened, server, dialogue):
    """(all that was said, all that was delivered) for one dialogue: parts that are each sent after a reply to the one before."""
    server.empty("bert")
    with opened as client, client:
        said = [client.reply()]
        for part in dialogue[:-1]:
            client.send(part)
            said.append(client.reply())
        with contextlib.suppress(ConnectionError):      # who has had enough is gone
            client.send(dialogue[-1])
        rest = everything(client)
    heard = normal("\r\n".join("\r\n".join(one) for one in said).encode() + b"\r\n" + rest)
    codes = re.findall(server.accepted_any.encode(), heard)
    mails = [normal(one) for one in server.await_mail("bert", len(codes))] if codes else []
    return heard, sorted(mails)


def dialogues(server):
    start = [b"EHLO mx.x.example\r\n", b"MAIL FROM:<anna@x.example>\r\n", f"RCPT TO:<bert@{server.domain}>\r\n".encode(), b"DATA\r\n"]
    return {end: start + ([smuggle(server, end) + b"QUIT\r\n"] if server.pipelines else [smuggle(server, end), b"QUIT\r\n"]) for end in ENDS}


@pytest.fixture(params=[("b", "a"), ("d", "c")], ids=["4.96", "4.98"])
def client_and_server(lab, request, needs_sotto):
    """A host to send from, which has Sotto by itself, and a server of the same version."""
    return tuple(lab.servers[name] for name in request.param)


def test_smuggling(watch, client_and_server):
    """For every odd end of a message, Exim answers and stores what it answers and stores without us: in the clear, and sealed."""
    origin, server = client_and_server
    clear = {end: outcome(open_clear(origin, server), server, how) for end, how in dialogues(server).items()}
    sealed = {end: outcome(open_sealed(origin, server), server, how) for end, how in dialogues(server).items()}
    watch.await_said(server, "accept", "sealed", len(ENDS))
    server.disable_sotto()
    try:
        without = {end: outcome(open_clear(origin, server), server, how) for end, how in dialogues(server).items()}
    finally:
        server.enable_sotto()
    ended, went_on = (without[end][1] for end in (b"\r\n.\r\n", b"\r\n..\r\n"))
    assert (len(ended), len(went_on)) == (2 if server.pipelines else 0, 1)      # it can be told apart
    for end in ENDS:
        assert clear[end] == without[end], end
        assert sealed[end] == without[end], end


def test_odd_greetings(client_and_server):
    """For every odd way to send EHLO, alone and in one batch with a message, Exim answers and stores what it does without us."""
    origin, server = client_and_server
    mail = b"MAIL FROM:<anna@x.example>\r\nRCPT TO:<bert@" + server.domain.encode() + b">\r\n"
    ways = [[greeting + mail + b"QUIT\r\n"] for greeting in GREETINGS] + [[b"EHLO mx.x.example\r\n", first + mail + b"QUIT\r\n"] for first in (b"NOOP\n", b"\0\r\n", b"XSOTTO\n", b"\r\n", b"N\r")]
    with_sotto = [outcome(open_clear(origin, server), server, how) for how in ways]
    server.disable_sotto()
    try:
        without = [outcome(open_clear(origin, server), server, how) for how in ways]
    finally:
        server.enable_sotto()
    for how, one, other in zip(ways, with_sotto, without):
        assert one == other, how
