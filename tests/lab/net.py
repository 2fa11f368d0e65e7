# SPDX-License-Identifier: ISC
"""The lab's network: one switch without a router, documentation addresses, and recordings of what crosses it."""

import os
import signal
import socket
import subprocess

from . import wait
from .host import CLEAN, Host
from .paths import Failed
from .pcap import Wire

MARKER_TYPE = 0x88B5    # IEEE 802: for local experiments
ETH_P_ALL = 3
MARKERS = 250           # more than one block of the kernel's ring, so that tcpdump gets them, and all before them, at once


class Recording:
    """tcpdump on the switch, from before the first octet to after the last one."""

    def __init__(self, switch, path):
        self.path = path
        self._switch = switch
        self._log = path.with_suffix(".log")
        self._out = open(self._log, "wb")
        self._dump = subprocess.Popen(
            ["nsenter", "-t", str(switch.pid), "-n", "tcpdump", "-i", "br0", "-n", "-U", "-s", "0", "-B", "65536", "-Z", "root",
             "-w", str(path)], stderr=self._out, stdin=subprocess.DEVNULL, env=CLEAN)
        wait.until(self._listening, [path.parent], 20, "tcpdump listens")

    def _listening(self):
        if self._dump.poll() is not None:
            raise Failed(f"tcpdump ended: {self._log.read_text(errors='replace').strip()}")
        return b"listening on" in self._log.read_bytes()

    def stop(self):
        """Ends the recording once everything sent so far is in it, and returns it as a Wire."""
        token = os.urandom(16)
        frame = b"\xff" * 6 + b"\x02" + b"\0" * 5 + MARKER_TYPE.to_bytes(2, "big") + token.ljust(1400, b"\0")
        with self._switch.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sock:
            sock.bind(("br0", 0))
            for _ in range(MARKERS):
                sock.send(frame)
        wait.until(lambda: self._ends_with(token), [self.path.parent], 30, "tcpdump has written all of it")
        self.kill()
        said = self._log.read_text(errors="replace")
        if "\n0 packets dropped by kernel" not in said:
            raise Failed(f"the recording {self.path} has gaps: {said.strip()}")
        return Wire(self.path)

    def _ends_with(self, token):
        size = self.path.stat().st_size
        with open(self.path, "rb") as f:
            f.seek(max(0, size - 8192))
            return token in f.read()

    def kill(self):
        if self._dump.poll() is None:
            self._dump.send_signal(signal.SIGINT)
            self._dump.wait(20)
        self._out.close()


class Switch(Host):
    """A bridge in a network namespace of its own."""

    def __init__(self, folder):
        super().__init__("switch", None, folder)
        self._count = 0
        self.ip("link set lo up", "link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set br0 up")

    def connect(self, host, number):
        """Plugs a host in as 192.0.2.NUMBER and 2001:db8::NUMBER."""
        self._count += 1
        port = f"port{self._count}"
        host.v4, host.v6 = f"192.0.2.{number}", f"2001:db8::{number}"
        host.set_sysctl("net.ipv6.conf.all.disable_ipv6", 0)
        host.set_sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.ip(f"link add {port} type veth peer name eth0 netns {host.pid}", f"link set {port} master br0 up")
        host.ip("link set lo up", "link set eth0 up", f"addr add {host.v4}/24 dev eth0", f"addr add {host.v6}/64 dev eth0 nodad")

    def record(self, path):
        return Recording(self, path)
