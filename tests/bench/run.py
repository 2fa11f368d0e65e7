# SPDX-License-Identifier: ISC
"""
`make bench`: runs the programs of the bench one after the other, prints a table with ratios and targets, and writes
build/bench/bench.json. --quick: fewer rounds. Ends with 0 where everything could be measured, whatever was reached.

    run.py [--quick] [PROGRAM...]       nothing but these of them
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from table import table

HERE = Path(__file__).resolve().parent
BUILT = Path("build/bench")

# (program, what it takes in full, what it takes with --quick)
PARTS = [
    ("handshake", ["100"], ["15"]),
    ("start", ["200"], ["30"]),
    ("relay", ["7", "384"], ["5", "96"]),
    ("memory", ["500"], ["100"]),
    ("turns.py", ["3"], ["1"]),
    ("mail.py", ["5", "40"], ["1", "15"]),
    ("lookups.py", ["8", "1000"], ["3", "500"]),
    ("sessions.py", ["9", "200"], ["3", "60"]),
    ("postfixmail.py", ["5", "400"], ["1", "100"]),
    ("opensmtpd.py", ["3", "100", "1000"], ["1", "50", "200"]),
]


def command(program, words):
    if program.endswith(".py"):
        return ["/usr/bin/python3", "-B", str(HERE / program), *words]
    return [str(BUILT / program), *words]


def measure(quick, only):
    """{name: value} of all that the parts say, and the parts that failed."""
    figures, failed = {}, []
    for program, full, rough in [part for part in PARTS if not only or part[0] in only]:
        print(f"bench: {program}", file=sys.stderr, flush=True)
        done = subprocess.run(command(program, rough if quick else full), stdout=subprocess.PIPE, text=True, check=False)
        for line in done.stdout.splitlines():
            name, _, value = line.partition(" ")
            figures[name] = float(value)
        if done.returncode != 0:
            failed.append(program)
    return figures, failed


def main(quick, only):
    figures, failed = measure(quick, only)
    rows, targets = table(figures)
    print("\n".join(rows))
    BUILT.mkdir(parents=True, exist_ok=True)
    machine = {"kernel": os.uname().release, "cores": os.cpu_count(), "when": datetime.datetime.now(datetime.timezone.utc).isoformat()}
    (BUILT / "bench.json").write_text(json.dumps(
        {"quick": quick, "machine": machine, "figures": figures, "targets": targets, "failed": failed}, indent="\t") + "\n")
    for program in failed:
        print(f"bench: {program} failed; what it would have measured is missing above", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv[1:], [word for word in sys.argv[1:] if word != "--quick"]))
