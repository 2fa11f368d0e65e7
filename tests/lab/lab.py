# SPDX-License-Identifier: ISC
"""
A whole lab: one switch, one name server, some mail hosts. Used as a context manager by the tests and the demo; nothing is
left of it afterwards, and of a run that was killed only its folder under build/lab/runs, which the next run removes.
"""

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from . import root
from .dns import NameServer
from .host import Host, check_machine
from .mailserver import KINDS
from .net import Switch
from .paths import RUNS

DNS_NUMBER = 53
DNS_RELEASE = "bookworm"


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def sweep():
    """Removes the folders of runs whose process is gone; the newest three are kept, their logs may be wanted."""
    if not RUNS.is_dir():
        return
    dead = [path for path in RUNS.iterdir() if path.name.rpartition("-")[2].isdigit() and not _alive(int(path.name.rpartition("-")[2]))]
    for path in sorted(dead)[:-3]:
        shutil.rmtree(path, ignore_errors=True)


class Lab:
    """with Lab() as lab: lab.mail_host("exim", "bookworm", "a") …"""

    def __init__(self, say=lambda text: None, folder=None):
        check_machine()
        sweep()
        self.say = say
        self.folder = folder or RUNS / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.hosts, self.servers, self._recordings = [], {}, []
        self.switch = self.dns = None
        self._numbers = iter(range(1, DNS_NUMBER))
        self._recorded = 0

    def __enter__(self):
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGHUP, _interrupt)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self):
        self.switch = Switch(self.folder / "switch")
        self.hosts.append(self.switch)
        dns = self._host("ns.lab", "dns", DNS_RELEASE, DNS_NUMBER)
        self.dns = NameServer(dns)
        self.dns.start()

    def prepare(self, *wanted):
        """Makes the roots of (kind, release), two at a time."""
        root.get_all([*wanted, ("dns", DNS_RELEASE)], self.say)

    def _host(self, name, kind, release, number):
        host = Host(name, root.get(kind, release, self.say), self.folder / name)
        self.hosts.append(host)
        self.switch.connect(host, number)
        return host

    def mail_host(self, kind, release, letter, users=(), root_kind=None):
        """A mail server mx.LETTER.example for LETTER.example, configured but not started; DNS knows it. root_kind: of root.py, otherwise kind."""
        number = next(self._numbers)
        name, domain = f"mx.{letter}.example", f"{letter}.example"
        host = self._host(name, root_kind or kind, release, number)
        host.write("/etc/resolv.conf", self.dns.resolv_conf)
        host.write("/etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{host.v4} {name}\n{host.v6} {name}\n")
        self.dns.add(f"{domain}. MX 10 {name}.", f"six.{domain}. MX 10 {name.replace('mx', 'mx6')}.", *names_of(host))
        server = KINDS[kind](host, domain, release)
        server.add_users(*users)
        server.configure()
        self.servers[letter] = server
        return server

    def start_all(self):
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda server: server.start(), self.servers.values()))

    def record(self, name):
        """A recording of everything on the switch; stop() gives the Wire."""
        self._recorded += 1
        recording = self.switch.record(self.folder / f"{self._recorded:03d}-{name}.pcap")
        self._recordings.append(recording)
        return recording

    def close(self):
        for recording in self._recordings:
            recording.kill()
        for host in reversed(self.hosts):
            host.close()
        for host in self.hosts:
            shutil.rmtree(host.folder / "root", ignore_errors=True)


def names_of(host):
    """
    The address records of a host, and the way back. Its name stands for its IPv4 address alone, mx6.… for the IPv6 one, so
    that a test knows which of them is used.
    """
    nibbles = ".".join(reversed("20010db8" + host.v6.rpartition(":")[2].rjust(24, "0")))
    six = host.name.replace("mx", "mx6", 1)
    return [f"{host.name}. A {host.v4}", ".".join(reversed(host.v4.split("."))) + f".in-addr.arpa. PTR {host.name}.",
            f"{six}. AAAA {host.v6}", f"{nibbles}.ip6.arpa. PTR {six}."]


def _interrupt(number, _):
    raise KeyboardInterrupt(f"signal {number}")
