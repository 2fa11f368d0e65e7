# SPDX-License-Identifier: ISC
"""
The relay in the middle: a host of its own on the switch that DNS names as the MX of mid.LETTER.example, and that connects on
to the real mail server of LETTER.example. To both mail servers it is the network; what it does to the octets is said by rules.

    middle = Middle(lab)
    middle.stand_before(target)
    with middle.rules(Rule(RESET, CLIENT, record(3))) as fired: … fired.await_fired(); middle.domain(target) …

Runs in a thread of this process, on sockets in the host's network. Without rules, every octet and every end goes through.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
import threading

from .host import Host
from .rules import CLIENT, FLIP, RESET, SERVER, STALL, Lines, Rule, Track

CHUNK = 1 << 16
FIRST_NUMBER = 101      # of its addresses: 192.0.2.101 stands before the first mail server


class _Half:
    """One direction: reads, waits for as long as the line is long, applies the rules, writes."""

    def __init__(self, connection, side, reader, writer):
        self.connection, self.side, self.reader, self.writer = connection, side, reader, writer
        self.track, self.stalled = Track(side), asyncio.Event()
        self.stalled.set()      # clear: nothing passes
        rules = connection.rules
        self._rules = [one for one in rules if isinstance(one, Rule) and one.side == side]
        self._lines = [one for one in rules if isinstance(one, Lines) and one.side == side]
        self._rest, self._seen_250 = b"", False
        self._count = 0
        self._queue = asyncio.Queue(64)

    async def read(self):
        loop = asyncio.get_running_loop()
        while True:
            try:
                octets = await self.reader.read(CHUNK)
            except OSError:
                octets = None
            await self._queue.put((loop.time() + self.connection.middle.delay, octets))
            if not octets:
                return

    async def write(self):
        while True:
            due, octets = await self._queue.get()
            late = due - asyncio.get_running_loop().time()
            if late > 0:
                await asyncio.sleep(late)
            if octets is None:
                await self.connection.end(RESET)
                return
            await self._pass(self._by_lines(octets))
            if not octets:
                await self.stalled.wait()
                with contextlib.suppress(OSError):
                    self.writer.write_eof()
                return

    def _by_lines(self, octets):
        """What goes on now: whole lines, as long as there is somebody who looks at them."""
        if not self._lines:
            return octets
        out = []
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for n, line in enumerate(lines):
            out.append(self._line(line + b"\n"))
            if self._is_last(line):
                self._rest, self._lines = b"\n".join([*lines[n + 1:], self._rest]), []
                break
        if not octets or not self._lines:
            out.append(self._rest)
            self._rest = b""
        return b"".join(out)

    def _line(self, line):
        for one in self._lines:
            line = one.function(line)
        return line

    def _is_last(self, line):
        self._count += 1
        if self.side == CLIENT:
            return self._count == 2
        last, self._seen_250 = self._seen_250, self._seen_250 or line.startswith(b"250 ")
        return last

    async def _pass(self, octets):
        start = self.track.seen
        self.track.add(octets)
        for rule in list(self._rules):
            at = rule.place(self.track)
            if at is None or at > self.track.seen or (at == self.track.seen and rule.what == FLIP):
                continue
            self._rules.remove(rule)
            here = max(0, at - start)
            if rule.what == FLIP:
                octets = octets[:here] + bytes([octets[here] ^ (1 << rule.bit)]) + octets[here + 1:]
                self.connection.fired.fire(rule)
                continue
            await self._send(octets[:here])
            octets = octets[here:]
            start = at
            await self._act(rule)
        await self._send(octets)

    async def _act(self, rule):
        if rule.what == STALL:
            for half in self.connection.halves:
                if half.side in rule.stalls:
                    half.stalled.clear()
            self.connection.fired.fire(rule)
        else:
            await self.connection.end(rule.what)
            self.connection.fired.fire(rule)

    async def _send(self, octets):
        await self.stalled.wait()
        if not octets or self.connection.over:
            return
        with contextlib.suppress(OSError):
            self.writer.write(octets)
            await self.writer.drain()


class Connection:
    """One connection through the middle: .tracks say what has passed."""

    def __init__(self, middle, number, rules, fired, client, server):
        self.middle, self.number, self.fired, self.over = middle, number, fired, False
        self.rules = [one for one in rules if one.connections is None or number in one.connections]
        self._writers = (client[1], server[1])
        self.halves = (_Half(self, CLIENT, client[0], server[1]), _Half(self, SERVER, server[0], client[1]))
        self.tracks = {half.side: half.track for half in self.halves}

    async def run(self):
        for writer in self._writers:
            writer.transport.set_write_buffer_limits(0)
        readers = [asyncio.ensure_future(half.read()) for half in self.halves]
        writers = [asyncio.ensure_future(half.write()) for half in self.halves]
        try:
            await asyncio.gather(*writers)
        finally:
            for task in readers + writers:
                task.cancel()
            if not self.over:
                self.over = True
                for writer in self._writers:
                    writer.close()

    async def end(self, how):
        """Ends it both ways, once what was written has got there."""
        if self.over and how != RESET:
            return
        self.over = True
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            await self._await_written(sock)
            if how == RESET:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                with contextlib.suppress(OSError):
                    writer.write_eof()
        for half in self.halves:
            half.stalled.set()

    @staticmethod
    async def _await_written(sock):
        for _ in range(1000):
            try:
                if not struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]:
                    return
            except (OSError, ValueError):       # it is closed already
                return
            await asyncio.sleep(0.001)


class Fired:
    """What the rules of one block did, and the connections that there were."""

    def __init__(self):
        self.rules, self.connections = [], []
        self._news = threading.Condition()

    def fire(self, rule):
        with self._news:
            self.rules.append(rule)
            self._news.notify_all()

    def add(self, connection):
        with self._news:
            self.connections.append(connection)
            self._news.notify_all()

    def await_fired(self, count=1, seconds=30):
        with self._news:
            assert self._news.wait_for(lambda: len(self.rules) >= count, seconds), f"no rule came to be applied within {seconds} s"

    def await_connections(self, count=1, seconds=30):
        with self._news:
            assert self._news.wait_for(lambda: len(self.connections) >= count, seconds), f"no {count} connections within {seconds} s"


class Middle:
    """The host, and the thread that does it. .delay: seconds that octets are under way, each way."""

    def __init__(self, lab, number=100):
        self.lab, self.delay = lab, 0.0
        self.host = Host("middle", None, lab.folder / "middle")
        lab.hosts.append(self.host)
        lab.switch.connect(self.host, number)
        self.addresses = {}
        self._rules, self._fired, self._count = (), Fired(), 0
        self._connections = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @staticmethod
    def domain(target):
        """Mail for this domain goes through the middle, to that server."""
        return f"mid.{target.domain}"

    def address(self, target):
        """What that server's peers see as its address, and it as theirs."""
        return self.addresses[target.name]

    def stand_before(self, *targets):
        """Makes mail for mid.DOMAIN of these servers go through the middle. DNS is told once for all of them."""
        records = []
        for target in (one for one in targets if one.name not in self.addresses):
            address = f"192.0.2.{FIRST_NUMBER + len(self.addresses)}"
            self.addresses[target.name] = address
            name = target.name.replace("mx", "mid", 1)
            self.host.ip(f"addr add {address}/24 dev eth0")
            records += [f"{self.domain(target)}. MX 10 mx.{name}.", f"mx.{name}. A {address}",
                        ".".join(reversed(address.split("."))) + f".in-addr.arpa. PTR mx.{name}."]
            listener = self.host.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, 25))
            listener.listen(256)
            self._do(self._listen(listener, address, target))
        self.lab.dns.add(*records)

    @contextlib.contextmanager
    def rules(self, *rules):
        """With these rules for each new connection; at the end, connections that are still open are reset."""
        self._rules, self._fired, self._count = rules, Fired(), 0
        try:
            yield self._fired
        finally:
            self._rules = ()
            self.reset_all()

    def reset_all(self):
        """Ends what is open, as if a cable had been pulled and somebody had noticed."""
        self._do(self._reset_all())

    def release(self):
        """What is stalled goes on."""
        def go():
            for connection in self._connections:
                for half in connection.halves:
                    half.stalled.set()
        self._loop.call_soon_threadsafe(go)

    def close(self):
        self.reset_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _reset_all(self):
        for connection in list(self._connections):
            await connection.end(RESET)

    async def _listen(self, listener, address, target):
        async def serve(reader, writer):
            fired, rules, number = self._fired, self._rules, self._count
            self._count += 1
            try:
                onward = self.host.socket()
                onward.setblocking(False)
                onward.bind((address, 0))
                await asyncio.get_running_loop().sock_connect(onward, (target.host.v4, 25))
            except OSError:
                onward.close()
                writer.transport.abort()
                return
            connection = Connection(self, number, rules, fired, (reader, writer), await asyncio.open_connection(sock=onward))
            self._connections.add(connection)
            fired.add(connection)
            try:
                await connection.run()
            finally:
                self._connections.discard(connection)
        await asyncio.start_server(serve, sock=listener)
