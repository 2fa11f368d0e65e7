# SPDX-License-Identifier: ISC
"""The ways in which an administrator may have set up Exim, and the switches that exim4-sotto(7) names."""

import re

from .paths import PROJECT
from .test_exim import arrives, letter


def top(delivered):
    """What stands above and in the topmost Received header."""
    return re.match(rb"(?:(?!Received:)[^\n]*\n)*Received:[^\n]*\n(?:[ \t][^\n]*\n)*", delivered).group()


def traces(delivered):
    return re.findall(rb"sealed v=1 id=([0-9a-f]{16})", top(delivered))


def exchange(watch, origin, target):
    """A letter there and one back, sealed; what arrived at target, and its session's id."""
    there, back = letter(origin, target), letter(target, origin)
    origin.submit(there)
    delivered = arrives(watch, origin, target, there)
    target.submit(back)
    arrives(watch, target, origin, back)
    watch.await_said(target, "connect", "sealed")
    if not watch.sealing:
        return delivered, None
    watch.await_said(target, "accept", "sealed")
    return delivered, watch.said(target, "accept", origin.host)[0].id.encode()


def test_split_configuration(watch, pair, needs_sotto):
    """Debian's split configuration reads the same line from conf.d/main/000_localmacros: sealed in both directions, with the trace."""
    origin, target = pair
    with target.configured(debconf={"dc_use_split_config": "true"}):
        delivered, identity = exchange(watch, origin, target)
        assert traces(delivered) == [identity]


def test_trace_by_local_scan(watch, pair, needs_sotto):
    """SOTTO_LOCAL_SCAN: the trace is a header of its own above our Received header; with SOTTO_NO_RECEIVED nowhere else."""
    origin, target = pair
    for more, count in ((["SOTTO_NO_RECEIVED = yes"], 1), ([], 2)):
        with target.configured("SOTTO_LOCAL_SCAN = yes", *more):
            message = letter(origin, target)
            origin.submit(message)
            delivered = arrives(watch, origin, target, message)
            above = top(delivered).partition(b"Received:")[0]
            assert re.search(rb"^X-Sotto: sealed v=1 id=[0-9a-f]{16} peer=\[" + re.escape(origin.host.v4).encode() + rb"\] by="
                             + re.escape(target.name).encode() + rb"$", above, re.M), delivered[:1500]
            assert len(traces(delivered)) == count


def test_no_trace_wanted(watch, pair, needs_sotto):
    """SOTTO_NO_RECEIVED alone: sealed, and no trace anywhere."""
    origin, target = pair
    with target.configured("SOTTO_NO_RECEIVED = yes"):
        delivered, _ = exchange(watch, origin, target)
        assert b"X-Sotto" not in delivered


def test_a_forged_trace_stays_below(watch, server, stranger, needs_sotto):
    """What a sender writes into its message as a trace stands below our own Received header, which has none for what came in the clear."""
    forged = "X-Sotto: sealed v=1 id=0123456789abcdef peer=[192.0.2.9] by=" + server.name
    message = letter(stranger, server)
    message.octets = (forged + "\n").encode() + message.octets
    stranger.submit(message)
    delivered = server.await_token("bert", message)
    assert traces(delivered) == [] and delivered.count(forged.encode()) == 1


def examples():
    """The files that exim4-sotto(7) shows in EXAMPLES: without Sotto, and with it."""
    text = (PROJECT / "plugins/exim/exim4-sotto.7").read_text(encoding="utf-8").partition(".Sh EXAMPLES\n")[2].partition(".Sh ")[0]
    return [block.replace("\\&.", ".").replace("\\e", "\\") for block in re.findall(r"(?s)^\.Bd .*?\n(.*?)^\.Ed$", text, re.M)]


def test_the_example_of_the_manual(watch, server, lab, needs_sotto):
    """The first file is refused with the remedy that makes the second of it; that one seals in both directions, and its settings are in force."""
    other = lab.servers["b"]
    before, after = examples()
    kept = server.host.read(server.LOCALMACROS)
    try:
        server.host.write(server.LOCALMACROS, before)
        server.host.run(["update-exim4.conf"])
        done = server.host.run(["sotto", "enable", "--yes"], check=False)
        assert done.returncode == 2 and b"SOTTO_ACL_SMTP_CONNECT" in done.stderr and server.host.read(server.LOCALMACROS).decode() == before, done
        server.host.write(server.LOCALMACROS, after.rpartition(".include")[0])
        assert b"works: a session of our own was sealed" in server.host.run(["sotto", "enable", "--yes"]).stdout
        assert server.host.read(server.LOCALMACROS).decode() == after
        exchange(watch, server, other)
        watch.await_log(other, r"H=\S+ \(mail\.example\.org\)")
        assert b"203.0.113.0/24" in server.host.run(["exim4", "-bP", "acl_smtp_connect"]).stdout
    finally:
        server.host.write(server.LOCALMACROS, kept)
        server.host.run(["update-exim4.conf"])
        server.restart()
