# SPDX-License-Identifier: ISC
"""
make soak TIME=3600: mail of all sizes between two Exims, one of each Debian release, both ways, while faults are injected at
random (soak_faults.py); at the end they cease, the queues are run until they are empty, and every message has to be accounted
for. Prints what happened; build/soak/soak.json has the same for programs. Ends with 0 only if nothing is left unexplained.
"""

import argparse
import json
import random
import sys
import threading
import time

from . import watch
from .lab import Lab
from .paths import PROJECT, STAGED, Failed, Missing
from .soak_faults import Faults
from .soak_ledger import Ledger, Logs, Writer

OUT = PROJECT / "build" / "soak"
HOSTS = {"a": "bookworm", "c": "trixie"}
RATE = "24mbit"         # of each cable, so that sessions last long enough to be hit
MEAN_GAP = 0.9          # seconds between two messages of one host
MOST_QUEUED = 150       # no more is sent while so many messages are on their way
DRAIN = 600             # seconds in which the queues have to get empty once the faults have ceased


class Soak:
    def __init__(self, lab, seed, seconds, say):
        self.lab, self.seed, self.seconds, self.say = lab, seed, seconds, say
        self.servers = list(lab.servers.values())
        self.ledger, self.stop, self.calm = Ledger(), threading.Event(), threading.Event()
        self.faults, self.troubles = {server.name: {} for server in self.servers}, []
        self._threads = []

    # ---- what runs at the same time

    def _spawn(self, work, *args):
        def guarded():
            try:
                work(*args)
            except Exception as why:  # told in the summary
                self.troubles.append(f"{work.__name__}: {why!r}")
        thread = threading.Thread(target=guarded, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _send(self, origin, target):
        rng = random.Random(f"{self.seed} mail {origin.name}")
        writer = Writer(rng)
        while not self.stop.wait(rng.expovariate(1 / MEAN_GAP)):
            if sum(letter.copies == 0 for letter in list(self.ledger.letters.values())) > MOST_QUEUED:
                continue
            required = rng.random() < 0.2
            message = writer.message(f"anna@{origin.domain}", f"bert@{'six.' if required else ''}{target.domain}")
            self.ledger.add(message, origin, target, required)
            try:
                origin.submit(message, *(["-odq"] if rng.random() < 0.3 else []))
            except Failed as why:
                del self.ledger.letters[message.token]
                self.troubles.append(f"a message could not be given to {origin.name}: {why}"[:600])

    def _run_queues(self, server):
        """Every few seconds; several runs may go on at once, as the mail server allows it."""
        rng = random.Random(f"{self.seed} queue {server.name}")
        runs = []
        while not self.stop.wait(rng.uniform(2, 6)):
            runs = [run for run in runs if run.poll() is None]
            if len(runs) < 3:
                runs.append(server.host.popen(["exim4", rng.choice(("-qff", "-qff", "-qqff"))]))
        for run in runs:
            run.wait(120)

    def _collect(self):
        while not self.calm.wait(1):
            self._collect_once()

    def _collect_once(self):
        for server in self.servers:
            for user in ("bert", "anna"):
                self.ledger.collect(server, user)

    def _inject(self, server):
        rng = random.Random(f"{self.seed} faults {server.name}")
        port = f"port{self.lab.hosts.index(server.host)}"
        faults = Faults(server, self.lab.switch, port, rng, self.faults[server.name], self.stop)
        while not self.stop.wait(rng.expovariate(1 / 2.5)):
            faults.one()
        self.troubles += faults.troubles

    # ---- the run

    def run(self):
        began = time.monotonic()
        for server, other in zip(self.servers, reversed(self.servers)):
            self._spawn(self._send, server, other)
            self._spawn(self._run_queues, server)
            self._spawn(self._inject, server)
        self._spawn(self._collect)
        while time.monotonic() - began < self.seconds:
            self.stop.wait(min(30, max(0.1, self.seconds - (time.monotonic() - began))))
            sent = list(self.ledger.letters.values())
            done = sum(sum(one.values()) for one in self.faults.values())
            self.say(f"{time.monotonic() - began:5.0f} s: {len(sent)} messages sent, {sum(one.copies > 0 for one in sent)} arrived, {done} faults")
        self.stop.set()
        self.say("the faults have ceased; what is left in the queues is delivered")
        for thread in self._threads[:-1]:
            thread.join(150)
        self.drained = self._drain()
        self.calm.set()
        self._threads[-1].join(30)
        self.left = [f"{server.name}: {one}" for server in self.servers
                     for one in server.host.await_quiet(lambda name, state: name.startswith("sotto") or state == "Z", 40)]
        self._collect_once()
        return self.judge()

    def _drain(self):
        began = time.monotonic()
        while True:
            for server in self.servers:
                server.run_queue()
                busy = server.host.await_quiet(lambda name, state: name == "sotto-session", 40)
                if busy:
                    self.troubles.append(f"{server.name}: still there 40 s after a queue run: {busy}")
            if not any(server.queue() for server in self.servers) or time.monotonic() - began > DRAIN:
                return time.monotonic() - began

    def judge(self):
        """The whole account, as it goes into soak.json."""
        logs, letters, queued = Logs(self.servers), self.ledger.letters, self.ledger.queued(self.servers)
        lost = [token for token, one in letters.items() if one.copies == 0 and token not in queued]
        doubled, unexplained = [], []
        for token, one in letters.items():
            if one.copies > 1:
                cut = logs.unanswered(one, token)
                (doubled if one.copies == logs.accepted(one, token) and len(cut) >= one.copies - 1 else unexplained).append(token)
        bare = [token for token, one in letters.items() if one.required and one.sealed < one.copies]
        examples = {token: logs.about(letters[token], token) for token in (lost + unexplained + bare)[:10]}
        examples.update({token: logs.about(letters[token], token) for token in doubled[:3]})
        took = sorted(one.took for one in letters.values() if one.took is not None) or [0.0]
        return {
            "seed": self.seed, "seconds": self.seconds, "drained_in": round(self.drained, 1), "sent": len(letters),
            "required": sum(one.required for one in letters.values()), "delivered": sum(one.copies > 0 for one in letters.values()),
            "queued": len([token for token in queued if token in letters and letters[token].copies == 0]), "octets_delivered": self.ledger.octets,
            "with_a_trace": sum(one.sealed > 0 for one in letters.values()), "sent_again_unanswered": len(doubled),
            "seconds_to_arrive": {"median": round(took[len(took) // 2], 2), "95 of 100": round(took[len(took) * 95 // 100], 2), "longest": round(took[-1], 2)},
            "faults": self.faults, "sessions": self.sessions(),
            "wrong": {"lost": lost, "delivered twice without a reason": unexplained, "altered": self.ledger.altered, "unknown or bounced to the sender": self.ledger.strange,
                      "refused for good": logs.bounced(), "required to be sealed, and without a trace of it": bare, "left over": self.left, "panic log": logs.panics()},
            "troubles_of_the_soak_itself": self.troubles, "examples": examples}

    def sessions(self):
        """{host: {"connect sealed": n, …}} and why not, from Sotto's own lines."""
        out = {}
        for server in self.servers:
            counts = out[server.name] = {}
            for line in server.sotto_log():
                found = watch.OUTCOME.search(line)
                kind = line.partition(": ")[2].partition(":")[0]
                key = f"{found['role']} {found['outcome']}" if found else kind if kind in ("fallback", "downgrade", "identity") else "other lines"
                counts[key] = counts.get(key, 0) + 1
            own = [line for line in server.log() if " sotto: " in line]
            counts["complaints in Exim's log"] = len(own)
        return out


def table(title, rows, columns):
    print(f"\n{title}")
    names = sorted({name for row in rows.values() for name in row})
    for name in names:
        print(f"  {name:32}" + "".join(f"{rows[column].get(name, 0):>14,}" for column in columns))


def show(result):
    hosts = list(result["faults"])
    print(f"\nSoak: {result['seconds']} s of mail and faults, seed {result['seed']}; queues empty {result['drained_in']} s after the last fault\n")
    print(f"  sent {result['sent']:,} = delivered {result['delivered']:,} + still queued {result['queued']:,}"
          f" + lost {len(result['wrong']['lost'])}   ({result['octets_delivered'] / 1e6:,.0f} MB; {result['required']:,} of them only if sealed)")
    took = result["seconds_to_arrive"]
    print(f"  time to arrive: half within {took['median']} s, 95 of 100 within {took['95 of 100']} s, the last after {took['longest']} s")
    print(f"  delivered more than once because the answer to the whole message was cut off: {result['sent_again_unanswered']:,}")
    print("  (as any connection that is cut there does, with or without Sotto)")
    print(f"\n{'':34}" + "".join(f"{host:>14}" for host in hosts), end="")
    table("faults", result["faults"], hosts)
    table("sessions and what was logged of them", result["sessions"], hosts)
    print(f"\n  messages with a trace of a sealed session: {result['with_a_trace']:,}\n")
    for name, found in result["wrong"].items():
        print(f"  {'ok   ' if not found else 'WRONG'} {name}: {len(found)}")
        for one in found[:5]:
            print(f"          {one}")
    for one in result["troubles_of_the_soak_itself"][:10]:
        print(f"  note  {one}")


def stage(seed, seconds):
    if not (STAGED / "usr/lib/sotto/exim-sotto.so").exists():
        raise Missing(f"{STAGED} holds no Sotto; `make staged` puts it there.")
    print(f"seed {seed}", flush=True)
    with Lab(lambda text: print(text, flush=True)) as lab:
        lab.prepare(*{("exim", release) for release in HOSTS.values()})
        for letter, release in HOSTS.items():
            server = lab.mail_host("exim", release, letter, ["anna", "bert"])
            server.macros += ["MAIN_LOG_SELECTOR = +smtp_protocol_error", "MESSAGE_SIZE_LIMIT = 100M", "smtp_accept_max = 200"]
            server.sotto = True
            server.install_sotto()
            server.configure()
            server.host.run(["sh", "-c", "for d in a c; do echo six.$d.example; done > /etc/sotto/require"])
            lab.switch.run(["tc", "qdisc", "add", "dev", f"port{lab.hosts.index(server.host)}", "root", "tbf", "rate", RATE, "burst", "64k",
                            "latency", "400ms"], check=False)
        lab.start_all()
        result = Soak(lab, seed, seconds, lab.say).run()
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "soak.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    show(result)
    return 1 if any(result["wrong"].values()) or result["queued"] or not result["sent"] else 0


def main():
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--seconds", type=int, default=3600)
    options.add_argument("--seed", default="")
    given = options.parse_args()
    try:
        return stage(given.seed or str(random.SystemRandom().randrange(10 ** 9)), given.seconds)
    except (Missing, Failed, OSError) as why:
        print(f"The soak could not be run to its end: {why}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
