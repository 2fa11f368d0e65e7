# SPDX-License-Identifier: ISC
"""What the administrator of a Postfix does beside Sotto: settings of their own, with Sotto switched on over them by its own script, or off."""

import contextlib
import re
import socket
import time

from .mailserver_postfix import CF, MAIN, MASTER, SCRIPT

SENT = re.compile(r"to=<(?P<to>[^>]*)>,(?: orig_to=<(?P<asked>[^>]*)>,)? relay=(?P<relay>\S+), .*dsn=(?P<dsn>[\d.]+), status=(?P<status>\w+) \((?P<text>.*)\)$")
ESTABLISHED = re.compile(r"^postfix/smtp\[(\d+)\]: (\w+) TLS connection established")


def files_of(server):
    return {path: server.host.read(path) for path in CF}


def put_back(server, kept):
    """master.cf first: main.cf speaks of services."""
    for path in reversed(CF):
        if server.host.read(path) != kept[path]:
            server.host.write(path, kept[path])


# postconf, and after each edit the time that its successors would wait for
QUICK = """#!/bin/sh
/usr/sbin/postconf "$@"
rc=$?
case ${1-} in -*[eX]*) touch -d '1 minute ago' /etc/postfix/main.cf /etc/postfix/master.cf ;; esac
exit $rc
"""


def say(server, *words, check=True):
    """
    The script, as the administrator calls it some time after the last change: (its end, what it said). Where Postfix need not hear of it (--no-reload), time passes
    more quickly between its steps.
    """
    server.let_files_be_old()
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    if "--no-reload" in words:
        server.host.write("/usr/lib/lab/postconf", QUICK, 0o755)
        path = "/usr/lib/lab:" + path
    result = server.host.run(["env", f"PATH={path}", SCRIPT, *words], check=check)
    return result.returncode, (result.stdout + result.stderr).decode()


def set_all(server, main=None, master=(), drop=()):
    """main: parameters. master: {NAME/TYPE: line}, as postconf takes them; drop: services to be removed."""
    if main:
        server.postconf("-e", *(f"{key}={value}" for key, value in main.items()))
    if drop:
        server.postconf("-MX", *drop)
    if master:
        server.postconf("-Me", *(f"{key}={line}" for key, line in master.items()))
    server.let_files_be_old()


_bare = {}


def take_sotto_away(server):
    """What `sotto-postfix disable` makes of the files; run once for the same ones."""
    enabled = tuple(files_of(server).values())
    if enabled not in _bare:
        say(server, "disable", "--no-reload")
        _bare[enabled] = files_of(server)
    put_back(server, _bare[enabled])
    server.let_files_be_old()


@contextlib.contextmanager
def stock(server, running=False):
    """
    Without Sotto for as long as the block runs, which may do with main.cf and master.cf what it likes. running: and make Postfix read them; else it goes on
    as it was, and the daemon, which looks at them by itself, says so at the end.
    """
    kept = files_of(server)
    take_sotto_away(server)
    try:
        yield server
    finally:
        put_back(server, kept)
        take_effect(server, running)


@contextlib.contextmanager
def administered(server, main=None, master=(), drop=(), sotto=True, restart=False):
    """With these settings of the administrator's for as long as the block runs, and Sotto switched on over them, or off. restart: a reload will not do."""
    kept = files_of(server)
    take_sotto_away(server)
    set_all(server, main, master, drop)
    if sotto:
        say(server, "enable", "--no-reload")
    take_effect(server, restart)
    try:
        yield server
    finally:
        put_back(server, kept)
        take_effect(server, restart)


def take_effect(server, restart=False):
    server.let_files_be_old()
    if restart:
        server.restart()
        return
    server.reload()
    server.program_changed()


def outcomes(lines):
    """What Postfix's log says of each delivery: [(to, relay, dsn, status, text)]."""
    return [found.groupdict() for found in map(SENT.search, lines) if found]


def results(lines):
    """{recipient as it was asked for: (how TLS was established, or "", relay, dsn, status)}. A process has one delivery at a time."""
    found, tls = {}, {}
    for line in lines:
        established, sent = ESTABLISHED.match(line), SENT.search(line)
        pid = line.partition("[")[2].partition("]")[0]
        if established:
            tls[pid] = established.group(2)
        elif sent:
            found[sent["asked"] or sent["to"]] = (tls.pop(pid, ""), sent["relay"], sent["dsn"], sent["status"])
    return found


def deliver(origin, messages):
    """Sends all, each to one recipient, and what became of it within its first attempt; nothing stays in the queue."""
    mark = len(origin.log())
    for message in messages:
        origin.submit(message)
    to = "|".join(re.escape(message.recipients[0]) for message in messages)
    origin.await_log(rf"to=<(?:{to})>,.* status=", mark, count=len(messages))
    became = results(origin.log()[mark:])
    origin.clear_queue()
    return became


def ask(server, recipient):
    """What sotto-policyd answers a lookup in transport_maps."""
    request = f"transport {recipient}".encode()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(server.host.path("/run/sotto/map.sock")))
        sock.sendall(b"%d:%s," % (len(request), request))
        reply = b""
        while not reply.endswith(b","):
            part = sock.recv(4096)
            assert part, f"sotto-policyd on {server.name} says nothing to {recipient}"
            reply += part
    return reply.partition(b":")[2][:-1].decode()


def await_hop(server, domain, seconds=10):
    """
    Returns when sotto-policyd sends mail for the domain to the hop, which it does when it has asked the administrator's tables (and then knows what they say
    of domains that were asked about before). Nothing tells of that moment but its answers.
    """
    deadline = time.monotonic() + seconds
    while not ask(server, f"x@{domain}").startswith("OK "):
        assert time.monotonic() < deadline, f"sotto-policyd on {server.name} sends nothing for {domain} to the hop; it said:\n" + "\n".join(server.sotto_log()[-5:])
        time.sleep(0.01)
