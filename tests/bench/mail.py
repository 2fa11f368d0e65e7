# SPDX-License-Identifier: ISC
"""
Messages a second, and CPU a message, Exim to Exim: of all processes of both hosts, from the sender's queue run until nothing of it is
left, local delivery into a Maildir included. Small messages; one connection a message, and many messages down one connection. The CPU is
the kernel's own count for a cgroup that both hosts' processes are in (but the lab's own first process, a stand-in for a log daemon); the
message's way into the sender's queue is not in it.

    mail.py [ROUNDS [MESSAGES]]
"""

import contextlib
import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mailhosts import WAYS, hosts, lab_or_sentence, message, way, went
from lab.host import CLEAN
from lab.paths import Failed


@contextlib.contextmanager
def cgroups():
    """Where the machine keeps its cgroups (version 2), mounted for as long as the block runs if they are not."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        found = re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", mounts.read(), re.M)
    if found:
        yield Path(found.group(1))
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "cgroup2", "none", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


class Cpu:
    """The CPU of some hosts: a cgroup of their own."""

    def __init__(self, root, name="hosts"):
        self.folder = root / f"sotto-bench-{os.getpid()}-{name}"
        self.folder.mkdir()

    def enter(self, pid):
        with contextlib.suppress(ProcessLookupError):    # it has ended meanwhile
            (self.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def seconds(self):
        return int(re.search(r"usage_usec (\d+)", (self.folder / "cpu.stat").read_text(encoding="ascii")).group(1)) / 1e6

    def close(self):
        for pid in (self.folder / "cgroup.procs").read_text(encoding="ascii").split():
            with contextlib.suppress(ProcessLookupError):
                (self.folder.parent / "cgroup.procs").write_text(pid, encoding="ascii")
        self.folder.rmdir()


def pids(*servers):
    return {pid for server in servers for pid, _, _ in server.host.processes()}


def await_end_of_others(residents, *servers, seconds=60):
    """Waits for the end of every process that was not there before."""
    deadline = time.monotonic() + seconds
    while left := pids(*servers) - residents:
        try:
            pidfd = os.pidfd_open(left.pop())
        except ProcessLookupError:
            continue
        try:
            if not select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Failed("a process of a mail server, or a session of Sotto's, does not end")
        finally:
            os.close(pidfd)


def enqueue(sender, receiver, count):
    """So many messages into the sender's queue, by batch SMTP; nothing is delivered yet."""
    batch = b""
    for _ in range(count):
        one = message(sender, receiver.domain)
        batch += f"MAIL FROM:<{one.sender}>\r\nRCPT TO:<{one.recipients[0]}>\r\nDATA\r\n".encode() + one.smtp
    sender.host.run(["/usr/sbin/exim4", "-odq", "-bS"], batch)
    assert len(sender.queue()) == count


def batch(cpu, sender, receiver, name, count, many):
    """(messages a second, CPU seconds a message)."""
    residents = pids(sender, receiver)
    enqueue(sender, receiver, count)
    await_end_of_others(residents, sender, receiver)
    before = len(receiver.log())
    cpu_from, from_ = cpu.seconds(), time.monotonic()
    command = sender.host._command(["/usr/sbin/exim4", "-qqff" if many else "-qff"])
    subprocess.run(command, env=CLEAN, check=True, stdin=subprocess.DEVNULL, preexec_fn=lambda: cpu.enter(0))
    seconds = time.monotonic() - from_
    await_end_of_others(residents, sender, receiver)
    used = cpu.seconds() - cpu_from
    log = receiver.log()[before:]
    came = [line for line in log if " <= anna@" in line]
    connections = sum("SMTP connection from" in line and "closed by QUIT" not in line for line in log)
    assert len(came) == count and all(went(name, line) for line in came), f"{name}: {came[:1]}"
    assert connections <= 2 if many else connections == count, f"{name}: {connections} connections"
    assert not sender.queue() and not receiver.queue()
    receiver.empty()
    return count / seconds, used / count


def measure(lab, cpu, rounds, count):
    got = {}
    for number in range(rounds + 1):
        for many in (False, True):
            for name in WAYS:
                with way(lab, name) as (sender, receiver):
                    result = batch(cpu, sender, receiver, name, count if number else 2, many)
                if number:      # the first round makes up what is made once: Diffie-Hellman, identity keys
                    got.setdefault((name, "many" if many else "one"), []).append(result)
    return got


def main(rounds, count):
    with hosts() as lab, cgroups() as root:
        cpu = Cpu(root)
        try:
            for server in lab.servers.values():
                for pid in pids(server) - {server.host.pid}:
                    cpu.enter(pid)
            got = measure(lab, cpu, rounds, count)
        finally:
            cpu.close()
    for (name, how), runs in got.items():
        print(f"mail.{how}.{name}.per_second {statistics.median(rate for rate, _ in runs):.4g}")
        print(f"mail.{how}.{name}.cpu_ms {statistics.median(used for _, used in runs) * 1000:.4g}", flush=True)


if __name__ == "__main__":
    with lab_or_sentence():
        main(*(int(word) for word in (sys.argv[1:] + ["5", "40"][len(sys.argv) - 1:])))
