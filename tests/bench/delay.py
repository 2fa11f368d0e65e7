# SPDX-License-Identifier: ISC
"""A TCP relay on a host of the lab that hands every octet on after a while, in either direction, and writes down when. Used by turns.py."""

import queue
import socket
import threading
import time


class Delay:
    """Listens at (host, port), connects to target for each connection; .connections holds what happened in each."""

    def __init__(self, host, port, seconds):
        self.host, self.seconds = host, seconds
        self.target = None
        self.connections = []
        self._listener = host.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host.v4, port))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            events = [(time.time(), "connected", b"")]
            self.connections.append(events)
            server = self.host.socket()
            server.connect((self.target, 25))
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pump(client, server, "client", events)
            self._pump(server, client, "server", events)

    def _pump(self, source, sink, who, events):
        waiting = queue.Queue()

        def hear():
            octets = b"x"
            while octets:
                try:
                    octets = source.recv(65536)
                except OSError:
                    octets = b""
                waiting.put((time.monotonic() + self.seconds, octets))

        def tell():
            octets = b"x"
            while octets:
                due, octets = waiting.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if octets:
                    events.append((time.time(), who, octets))
                try:
                    sink.sendall(octets) if octets else sink.shutdown(socket.SHUT_WR)
                except OSError:
                    return

        for work in (hear, tell):
            threading.Thread(target=work, daemon=True).start()


def turns(events, until):
    """How often the client spoke after it had heard the server, up to that time: the round trips it waited for."""
    count, heard = 0, False
    for when, who, _ in sorted(events, key=lambda event: event[0]):
        if when > until:
            break
        if who == "server":
            heard = True
        elif who == "client" and heard:
            count, heard = count + 1, False
    return count
