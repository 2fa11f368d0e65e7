# SPDX-License-Identifier: ISC
"""
A resolver that validates (unbound), as an administrator has it who wants DANE. It holds one zone of its own, signed with a key that it trusts; all other names it asks
the lab's name server for, and nobody has signed them. It stands for the one that a mail server has on its own host, whose word (the AD bit) that believes.
"""

import contextlib
import socket
import struct
import subprocess

from . import root, wait
from .dns import question
from .host import Host

ZONE = "signed.example"
NUMBER = 54
FORGED = "f0" * 32          # in a TLSA record: replaced by something else once the zone was signed
RD_AD, AD, SOA = 0x0120, 0x0020, 6
FOLDER = "/etc/unbound"
RESOLV_CONF = ("/etc/resolv.conf", "/var/spool/postfix/etc/resolv.conf")    # the latter is what Postfix's chrooted programs read
CONF = """server:
  interface: {own}
  access-control: 0.0.0.0/0 allow
  chroot: ""
  directory: "/etc/unbound"
  use-syslog: no
  do-daemonize: no
  module-config: "validator iterator"
  trust-anchor-file: "/etc/unbound/trusted.key"
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
auth-zone:
  name: "{zone}"
  zonefile: "/etc/unbound/signed.zone"
  for-downstream: no
  for-upstream: yes
stub-zone:
  name: "."
  stub-addr: {other}
"""


class Resolver:
    """Records are lines of a zone file, as the name server's; all in ZONE. The first set() starts it."""

    def __init__(self, lab):
        self.host = Host("resolver.lab", root.get("resolver", "bookworm", lab.say), lab.folder / "resolver.lab")
        lab.hosts.append(self.host)
        lab.switch.connect(self.host, NUMBER)
        self.records, self._serial, self._daemon = [], 0, None
        self.host.write(f"{FOLDER}/unbound.conf", CONF.format(own=self.host.v4, zone=ZONE, other=lab.dns.host.v4))
        self._key = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", ZONE).decode().strip()
        self.host.write(f"{FOLDER}/trusted.key", self.host.read(f"{FOLDER}/{self._key}.key"))

    def _run(self, *words):
        return self.host.run(["sh", "-c", f'cd {FOLDER} && exec "$@"', "sh", *words]).stdout

    def set(self, records):
        """Serves these records from now on, signed anew; returns once it does."""
        self.records = list(records)
        self._serial += 1
        lines = [f"$ORIGIN {ZONE}.", "$TTL 60", f"@ SOA resolver.lab. root.lab. {self._serial} 60 60 60 5", "@ NS resolver.lab."]
        self.host.write(f"{FOLDER}/zone", "\n".join(lines + self.records) + "\n")
        self._run("ldns-signzone", "-f", "signed.zone", "zone", self._key)
        signed = self.host.read(f"{FOLDER}/signed.zone").decode()
        self.host.write(f"{FOLDER}/signed.zone", signed.replace(FORGED, "0f" * 32))
        if self._daemon is not None:
            self.host.run(["sh", "-c", "kill $(cat /run/unbound.pid)"])
            self._daemon.wait(10)
        with open(self.host.folder / "unbound.log", "ab") as log:
            self._daemon = self.host.popen(["unbound", "-d", "-v"], stderr=log, stdin=subprocess.DEVNULL)
        wait.until(self._validates, [self.host.folder], 10, "the lab's resolver has validated the signed zone")

    def _validates(self):
        """Asked after each line in its log; the first that says that its service starts comes when its socket is bound."""
        with self.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            try:
                sock.connect((self.host.v4, 53))
                sock.send(question(ZONE, SOA, RD_AD))
                reply = sock.recv(4096)
            except (TimeoutError, ConnectionError):
                return False
            return struct.pack(">I", self._serial) in reply and struct.unpack(">H", reply[2:4])[0] & AD != 0

    @contextlib.contextmanager
    def used_by(self, server):
        """It is the server's resolver for as long as the block runs. (The C library notices by itself.)"""
        before = {path: server.host.read(path) for path in RESOLV_CONF}
        for path in before:
            server.host.write(path, f"nameserver {self.host.v4}\noptions timeout:2 attempts:2 trust-ad\n")
        try:
            yield
        finally:
            for path, text in before.items():
                server.host.write(path, text)
