# SPDX-License-Identifier: ISC
"""The Postfixes of the bench: Debian's, in Debian's configuration, with Sotto or without, with STARTTLS or without."""

import contextlib
import subprocess
import sys

from mailhosts import RELEASE
from lab.host import CLEAN, Host
from lab.lab import Lab
from lab.paths import Failed


@contextlib.contextmanager
def postfix_lab():
    """A lab that is prepared for Postfix; nothing runs in it but DNS."""
    with Lab(lambda text: print(f"lab: {text}", file=sys.stderr)) as lab:
        lab.prepare(("postfix", RELEASE))
        yield lab


def postfix(lab, letter, sotto=False, tls=False, **settings):
    """One Postfix, configured but not started. tls: STARTTLS is offered, with Debian's own certificate (RSA, 2048 bits)."""
    server = lab.mail_host("postfix", RELEASE, letter, ["anna", "bert"])
    server.settings.update(settings, smtpd_tls_security_level="may" if tls else "none")
    server.configure()
    if sotto:
        server.install_sotto()
        server.sotto = True
    return server


def bare_host(lab, number):
    """A host that is nothing but an address: clients run there."""
    host = Host("client.lab", None, lab.folder / "client")
    lab.hosts.append(host)
    lab.switch.connect(host, number)
    lab.dns.add(f"client.lab. A {host.v4}", ".".join(reversed(host.v4.split("."))) + ".in-addr.arpa. PTR client.lab.")
    return host


def read_figures(lines):
    return {name: float(value) for name, value in (line.split(" ") for line in lines)}


def figures(words, seconds=600, host=None):
    """{name: value} of what a program of the bench prints. host: whose network it is in."""
    command = [*(["nsenter", "-t", str(host.pid), "-n", "--"] if host else []), *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=CLEAN, timeout=seconds, check=False)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(map(str, words))}` ended with {done.returncode}")
    return read_figures(done.stdout.splitlines())
