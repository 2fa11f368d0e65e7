# SPDX-License-Identifier: ISC
"""
OpenSMTPD, both versions. mail: small messages a second from the sender's queue, from its connection on, until the last is in the receiver's
Maildir, a hundred down one connection, and the CPU of all processes of both hosts; all of them arrive, by the way that is meant. crowd: a hundred messages into a host with a thousand
sessions open, half of them sealed, and with none, in turns; what a session takes of memory. rcpt: how long the answer to RCPT takes where the
domain's mail server is dead, the first time and the second, and without Sotto.

    opensmtpd.py [ROUNDS [MESSAGES [SESSIONS]]]
"""

import contextlib
import re
import statistics
import sys
import time

from mail import Cpu, cgroups, pids
from mailhosts import lab_or_sentence, message
from postfixmail import arrivals
from lab import crowd
from lab.lab import Lab
from lab.paths import Failed
from lab.smtp import local_client
from lab.watch import sessions, without_probes

VERSIONS = {"bookworm": "6.8", "trixie": "7.6"}
WAYS = {    # name: (who sends, who receives, starttls of the sender's sotto.conf)
    "plain": ("n", "p", None),
    "starttls": ("n", "t", None),
    "sealed_skip": ("s", "r", "skip"),
    "sealed_keep": ("s", "r", "keep"),
}
SETTINGS = {"n": (False, False), "s": (True, False), "p": (False, False), "t": (False, True), "r": (True, True)}   # (Sotto, STARTTLS)
PAIRS = {   # name: (who sends, who receives, ways): Debian 12's inbound STARTTLS does not work, its OpenSSL is too new for it
    "6.8-to-6.8": ("bookworm", "bookworm", ("plain", "sealed_skip")),
    "6.8-to-7.6": ("bookworm", "trixie", tuple(WAYS)),
    "7.6-to-7.6": ("trixie", "trixie", tuple(WAYS)),
}
FEW = 10


def certify(server):
    """STARTTLS, with an RSA key of 2048 bits."""
    key, certificate = "/etc/ssl/private/mail.key", "/etc/ssl/certs/mail.pem"
    server.host.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", key, "-out", certificate,
                     "-subj", f"/CN={server.name}"])
    server.host.run(["chmod", "600", key])
    server.pki = f'pki {server.name} cert "{certificate}" key "{key}"'
    server.listen = f" tls pki {server.name}"


def opensmtpd(lab, release, letter, sotto, tls):
    server = lab.mail_host("opensmtpd", release, f"{letter}{VERSIONS[release][0]}", ["anna", "bert"])
    server.sotto = sotto
    server.prefix = crowd.ROOMY
    if tls:
        certify(server)
    if sotto:
        server.install_sotto()
    return server


# ---- mail ----

def enqueue(sender, receiver, count):
    """So many into the queue; nothing is delivered yet."""
    sender.host.run(["smtpctl", "pause", "mta"])
    with local_client(sender) as client:
        for _ in range(count):
            one = message(sender, receiver.domain)
            client.ask(f"MAIL FROM:<{one.sender}>", 250)
            client.ask(f"RCPT TO:<{one.recipients[0]}>", 250)
            client.ask("DATA", 354)
            client.send(one.smtp)
            assert client.reply()[0].startswith("250")
        client.ask("QUIT", 221)


def connecting_at(server, after):
    """When smtpd first connected to another mail server, in seconds of time.time(), of what syslog got behind so many octets."""
    with open(server.host.syslog_path, "rb") as f:
        f.seek(after)
        found = re.search(rb"^(\d+\.\d+) smtpd\[\d+\]: \S+ mta connecting ", f.read(), re.M)
    if not found:
        raise Failed(f"smtpd on {server.name} made no connection")
    return float(found.group(1))


def went(name, one):
    """Whether the topmost Received header of a message says that it came by this way: with TLS."""
    top = one.partition(b"\nReceived: ")[2] if not one.startswith(b"Received: ") else one
    return (b"TLS" in top.partition(b"\n\tfor <")[0]) == (name in ("starttls", "sealed_keep"))


def check(name, sender, receiver, mark, count):
    came = receiver.delivered("bert")
    assert len(came) == count, f"{name}: {len(came)} of {count} messages came"
    other = [one for one in came if not went(name, one)]
    assert not other, f"{name}: {len(other)} of {count} messages did not come that way: {other[0][:1500].decode(errors='replace')}"
    if name.startswith("sealed"):
        receiver.await_sotto("accept .*outcome=sealed", mark)
        said = without_probes([one for one in sessions(receiver.sotto_log()[mark:]) if sender.host.v4 in one.peer], 1)
        assert {one.outcome for one in said} == {"sealed"}, [one.line for one in said]
    receiver.empty()


def batch(cpu, name, sender, receiver, count):
    """(messages a second, seconds of CPU a message)."""
    enqueue(sender, receiver, count)
    cpu_from, log = cpu.seconds(), len(sender.log())
    mark, octets = len(receiver.sotto_log()), sender.host.syslog_path.stat().st_size
    with arrivals(receiver) as coming:
        sender.host.run(["smtpctl", "resume", "mta"])
        coming.wait_for(count, sender)
        ended = time.time()
    sender.await_empty_queue()
    used = cpu.seconds() - cpu_from
    # smtpd would use it for what comes next
    sender.await_log("mta disconnected", log, count=sum("mta connected" in line for line in sender.log()[log:]))
    check(name, sender, receiver, mark, count)
    return count / (ended - connecting_at(sender, octets)), used / count


def mail(hosts, cpu, rounds, count):
    """The first round makes up what is made once: identity keys, what is known of a domain."""
    got = {}
    for number in range(rounds + 1):
        for pair, (origin, target, ways) in PAIRS.items():
            for name in ways:
                sender, receiver, starttls = hosts[origin][WAYS[name][0]], hosts[target][WAYS[name][1]], WAYS[name][2]
                with sender.sotto_conf(starttls=starttls) if starttls else contextlib.nullcontext():
                    result = batch(cpu, name, sender, receiver, count if number else 2)
                if number:
                    got.setdefault(f"mail.{pair}.{name}", []).append(result)
    rates = {f"{name}.per_second": statistics.median(rate for rate, _ in results) for name, results in got.items()}
    return rates | {f"{name}.cpu_ms": statistics.median(used for _, used in results) * 1000 for name, results in got.items()}


# ---- many sessions ----

def deliver(client, server):
    """Milliseconds for a hundred messages, while nothing of those before is left."""
    server.await_empty_queue()
    server.empty()
    return crowd.deliver(client, server) * 1000


def many(client, server, rounds, count):
    deliver(client, server)
    alone, beside = [], []
    with crowd.open_sessions(client, server, FEW):
        few = crowd.processes(server), crowd.memory(server)
    for _ in range(rounds):
        alone.append(deliver(client, server))
        with crowd.open_sessions(client, server, count):
            full = crowd.processes(server), crowd.memory(server)
            beside.append(deliver(client, server))
    return {"crowd.alone_ms": statistics.median(alone), "crowd.beside_ms": statistics.median(beside), "crowd.few.processes": few[0],
            "crowd.many.processes": full[0], "crowd.session_kib": (full[1] - few[1]) / (count - FEW)}


# ---- a dead mail server ----

def answer(client, address):
    began = time.monotonic()
    client.ask(f"RCPT TO:<{address}>", 250)
    return (time.monotonic() - began) * 1000


def dead(server, domain):
    """Milliseconds of the first answer, of the second, and of one in another session."""
    with local_client(server) as client, local_client(server) as other:
        for one in (client, other):
            one.ask(f"MAIL FROM:<anna@{server.domain}>", 250)
        return answer(client, f"x@{domain}"), answer(client, f"y@{domain}"), answer(other, f"z@{domain}")


def recipients(lab, hosts, rounds):
    got = {"n": [], "s": []}
    for number in range(rounds):
        domain = f"dead{number}-{hosts['s'].domain}"
        lab.dns.add(f"{domain}. MX 10 mx.{domain}.", f"mx.{domain}. A 192.0.2.250")
        for letter, results in got.items():
            results.append(dead(hosts[letter], domain))
    first, second, other = (statistics.median(column) for column in zip(*got["s"]))
    return {"rcpt.first_ms": first, "rcpt.second_ms": second, "rcpt.other_ms": other, "rcpt.most_ms": max(one[0] for one in got["s"]),
            "rcpt.without.second_ms": statistics.median(one[1] for one in got["n"])}


def say(figures, prefix):
    for name, value in figures.items():
        print(f"{prefix}.{name} {value:.4g}", flush=True)


def main(rounds, count, crowded):
    with Lab(lambda text: print(f"lab: {text}", file=sys.stderr)) as lab:
        lab.prepare(*(("opensmtpd", release) for release in VERSIONS))
        hosts = {release: {letter: opensmtpd(lab, release, letter, sotto, tls and release != "bookworm") for letter, (sotto, tls) in SETTINGS.items()
                           if (letter, release) != ("t", "bookworm")} for release in VERSIONS}
        lab.start_all()
        with cgroups() as root, contextlib.closing(Cpu(root)) as cpu:
            for server in lab.servers.values():
                for pid in pids(server) - {server.host.pid}:
                    cpu.enter(pid)
            say(mail(hosts, cpu, rounds, count), "opensmtpd")
        for release, servers in hosts.items():
            say(many(servers["n"], servers["r"], rounds, crowded), f"opensmtpd.{VERSIONS[release]}")
            say(recipients(lab, servers, rounds), f"opensmtpd.{VERSIONS[release]}")


if __name__ == "__main__":
    with lab_or_sentence():
        main(*(int(word) for word in (sys.argv[1:] + ["3", "100", "1000"][len(sys.argv) - 1:])))
