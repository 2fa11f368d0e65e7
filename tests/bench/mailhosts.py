# SPDX-License-Identifier: ISC
"""
The hosts of the bench: two Exims that send, one with Sotto and one without, and three that receive: plain, with STARTTLS, with both.
Each of the four ways is then a pair of them, and nothing has to be configured or started anew between two ways.
"""

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lab.lab import Lab                          # noqa: E402
from lab.message import Message                  # noqa: E402
from lab.paths import Failed, Missing            # noqa: E402

RELEASE = "bookworm"
WAYS = {    # name: (who sends, who receives, starttls of the sender's sotto.conf)
    "plain": ("a", "p", None),
    "starttls": ("a", "t", None),
    "sealed_skip": ("s", "r", "skip"),
    "sealed_keep": ("s", "r", "keep"),
}
SETTINGS = {    # letter: (Sotto, STARTTLS)
    "a": (False, False), "s": (True, False), "p": (False, False), "t": (False, True), "r": (True, True),
}
MANY = ["smtp_accept_max_per_connection = 1000", "smtp_accept_queue_per_connection = 1000", "smtp_accept_queue = 0"]
LOG = "MAIN_LOG_SELECTOR = +millisec +smtp_connection"


@contextlib.contextmanager
def lab_or_sentence():
    """Where there can be no lab, or a program of it fails: one sentence and a bad end, no trace of Python's."""
    try:
        yield
    except (Missing, Failed) as why:
        sys.exit(str(why))


def certify(server):
    """A certificate with an RSA key of 2048 bits where Debian's configuration looks for it."""
    key, certificate = "/etc/exim4/exim.key", "/etc/exim4/exim.crt"
    server.host.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", key, "-out", certificate,
                     "-subj", f"/CN={server.name}"])
    server.host.run(["chown", "root:Debian-exim", key])
    server.host.run(["chmod", "640", key])


@contextlib.contextmanager
def hosts(*also_local):
    """The lab with the five of them, started. also_local: domains that all receivers take for their own."""
    with Lab(lambda text: print(f"lab: {text}", file=sys.stderr)) as lab:
        lab.prepare(("exim", RELEASE))
        for letter, (sotto, tls) in SETTINGS.items():
            server = lab.mail_host("exim", RELEASE, letter, ["anna", "bert"])
            if letter in {receiver for _, receiver, _ in WAYS.values()}:
                server.debconf["dc_other_hostnames"] += "".join(f" : {domain}" for domain in also_local)
            server.macros += [LOG, *MANY]
            server.sotto = sotto
            if sotto:
                server.install_sotto()
            if tls:
                certify(server)
                server.macros = [line for line in server.macros if line not in server.NO_STARTTLS] + ["MAIN_TLS_ENABLE = yes"]
            server.configure()
        lab.start_all()
        yield lab


@contextlib.contextmanager
def way(lab, name):
    """(who sends, who receives), set as that way wants it."""
    sender, receiver, starttls = WAYS[name]
    settings = lab.servers[sender].sotto_conf(starttls=starttls) if starttls else contextlib.nullcontext()
    with settings:
        yield lab.servers[sender], lab.servers[receiver]


def went(name, line):
    """Whether the receiver's log line of a message says that it came by this way."""
    return (" X=TLS" in line) == (name in ("starttls", "sealed_keep"))


def message(sender, domain):
    return Message(f"anna@{sender.domain}", f"bert@{domain}")
