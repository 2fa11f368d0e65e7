# SPDX-License-Identifier: ISC
"""
The lab's name server: NSD, serving the whole tree from the root, so that every name has an answer at once; also where one host asks
more than 200 times a second, which NSD takes for an attack.
"""

import socket
import struct
import subprocess

from . import wait

CONF = """server:
  username: nsd
  zonesdir: /etc/nsd
  database: ""
  pidfile: /run/nsd.pid
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: .
  zonefile: root.zone
"""


def question(name, kind, flags=0):
    """A question as it is sent (RFC 1035, 4.1); flags: of the second word, as RD."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.strip(".").split(".") if part)
    return struct.pack(">HHHHHH", 0x5054, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


class NameServer:
    """Records are lines of a zone file ("a.example. MX 10 mx.a.example."); set() replaces them all."""

    def __init__(self, host):
        self.host = host
        self.records = []
        self._serial = 0
        self._daemon = None

    @property
    def resolv_conf(self):
        return f"nameserver {self.host.v4}\noptions timeout:2 attempts:2\n"

    def start(self):
        self.host.write("/etc/nsd/nsd.conf", CONF)
        self._serial += 1
        lines = ["$TTL 60", f". SOA ns.lab. root.lab. {self._serial} 60 60 60 5", ". NS ns.lab.", f"ns.lab. A {self.host.v4}"]
        self.host.write("/etc/nsd/root.zone", "\n".join(lines + self.records) + "\n")
        with open(self.host.folder / "nsd.log", "ab") as log:
            self._daemon = self.host.popen(["nsd", "-d", "-c", "/etc/nsd/nsd.conf"], stderr=log, stdin=subprocess.DEVNULL)
        wait.until(self._serves, [self.host.folder], 10, "the lab's name server serves its zone")

    def set(self, records):
        """Serves these records from now on; returns once it does. (Started anew: a reload says nothing when it is done.)"""
        self.records = list(records)
        self.host.run(["sh", "-c", "kill $(cat /run/nsd.pid)"])
        self._daemon.wait(10)
        self.start()

    def add(self, *records):
        self.set(self.records + list(records))

    def _serves(self):
        """Asked after each line in NSD's log. Its socket is bound before it says so: the question waits there."""
        with self.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            try:
                sock.connect((self.host.v4, 53))
                sock.send(question("", 6))
                return struct.pack(">I", self._serial) in sock.recv(4096)
            except (TimeoutError, ConnectionError):
                return False
