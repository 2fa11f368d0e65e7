# SPDX-License-Identifier: ISC
"""The sotto command on hosts with real mail: what it says is what happened, and what it switches is switched."""

import json
import re

import pytest

from . import wait
from .peer import WRONG_TAG, begin, clear, go_on, hush, say
from .test_exim import arrives, letter

SOTTO = "/usr/bin/sotto"
OK, WARNING, CRITICAL, UNKNOWN = range(4)
SERVERS = ["a", "c", "f", "g", "i", "j"]


def sotto(server, *words, code=OK):
    """What it prints as plain text; ends with that code."""
    done = server.host.run([SOTTO, *words], check=False)
    text = done.stdout.decode()
    assert done.returncode == code, f"`sotto {' '.join(words)}` ended with {done.returncode}:\n{text}{done.stderr.decode()}"
    assert "\033" not in text
    return text


def sotto_json(server, *words, code=OK):
    return json.loads(sotto(server, *words, "--json", code=code))


def sums(server, way, window="hour"):
    """The status' sums; whatever else may be wrong on a host of the lab."""
    done = server.host.run([SOTTO, "status", "--json"], check=False)
    return json.loads(done.stdout)["sessions"][window][way]


def quiet(server):
    """Sessions write what they remember, and are counted, at their end. OpenSMTPD's are all in one process."""
    assert not server.host.await_quiet(lambda name, state: name.startswith("sotto-session"))
    if server.kind == "opensmtpd":
        wait.until(lambda: sotto_json(server, "sessions") == [], [server.host.path("/run/sotto")], 60, f"no session is open on {server.name}")


@pytest.fixture(params=SERVERS)
def host(lab, postfixes, opensmtpds, request, needs_sotto):
    return lab.servers[request.param]


@pytest.fixture(params=[("a", "c"), ("f", "g"), ("g", "a"), ("i", "j"), ("j", "a"), ("a", "i")], ids="-".join)
def two(lab, postfixes, opensmtpds, request, needs_sotto):
    return tuple(lab.servers[letter] for letter in request.param)


def test_check_finds_nothing_wrong(host):
    """On a host of the lab everything is as it should be, and check says so of each thing that it looks at."""
    found = sotto_json(host, "check")
    assert found["level"] == "ok"
    assert {one["check"] for one in found["findings"]} >= {host.kind, "settings", "require", "exclude", "state folder", "run folder", "sotto-session", "loopback",
                                                           "sandbox", "clock"}
    text = sotto(host, "check")
    assert text.startswith("Sotto: ok, nothing is wrong\n") and not re.search("^(warning|critical)", text, re.M)


def test_check_says_what_to_do(host):
    """Each thing that is broken on purpose is found, with a remedy; and it is not found any more when it is mended."""
    def breaks(undo, check, code, *words, also=()):
        found = sotto_json(host, "check", code=code)
        said = [one for one in found["findings"] if one["level"] != "ok"]
        assert [one["check"] for one in said] == [*also, check], said
        assert said[-1]["remedy"] and all(word in said[-1]["says"] for word in words)
        host.host.run(["sh", "-c", undo])

    host.host.run(["chmod", "777", "/var/lib/sotto"])
    breaks(f"chmod {host.state_mode} /var/lib/sotto", "state folder", WARNING)
    host.host.run(["chmod", "700", "/var/lib/sotto"])
    if host.state_mode != "700":
        breaks(f"chmod {host.state_mode} /var/lib/sotto", "state folder", CRITICAL, "closed to programs of the mail server's", also=["outgoing"])
    host.host.run(["mv", "/var/lib/sotto", "/var/lib/sotto.away"])
    breaks("mv /var/lib/sotto.away /var/lib/sotto", "state folder", CRITICAL, "No such file", also=["outgoing"] if host.kind == "opensmtpd" else [])
    with host.sotto_conf(mode="opportunist"):
        breaks("true", "settings", CRITICAL, "sotto.conf:2", "opportunist")
    with host.sotto_conf(mode="off"):
        breaks("true", "settings", WARNING, "mode = off")
    with host.sotto_conf(require=["good.example", "not good"]):
        breaks("true", "require", CRITICAL, "require:2")
    host.host.run(["chmod", "644", "/var/lib/sotto/identity"], check=False)
    if host.host.path("/var/lib/sotto/identity").exists():
        breaks("chmod 600 /var/lib/sotto/identity", "identity", WARNING)
    assert sotto_json(host, "check")["level"] == "ok"


def test_status_tells_of_mail(watch, two):
    """After a letter, status has one sealed session more on either side, peers names the other one, and metrics count it."""
    origin, target = two
    quiet(origin), quiet(target)
    before = sums(origin, "out")["sealed"], sums(target, "in")["sealed"]
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    quiet(origin), quiet(target)
    assert sums(origin, "out")["sealed"] == before[0] + 1
    assert sums(target, "in")["sealed"] == before[1] + 1
    text = sotto(origin, "status")
    assert re.search(rf"^Sotto in {origin.kind}: on", text, re.M) and re.search(r"^outbound +sealed +\d+ \(\d+ %\)", text, re.M)
    peers = sotto_json(origin, "peers", target.host.v4)["peers"]
    assert [peer["direction"] for peer in peers if peer["address"] == target.host.v4 and peer["offered"] and peer["sealed"] and peer["keys"]] == ["out"]
    assert target.host.v4 in sotto(origin, "peers")
    metrics = sotto(origin, "metrics")
    assert metrics.endswith("# EOF\n")
    line = re.search(rf'^sotto_sessions_total{{server="{origin.kind}",direction="out",outcome="sealed"}} (\d+)$', metrics, re.M)
    assert line and int(line.group(1)) >= before[0] + 1
    assert sotto(origin, "metrics") == metrics     # nothing has been counted twice


def test_status_tells_starttls_from_clear(watch, lab, stranger, needs_sotto):
    """A letter to a host without Sotto counts as STARTTLS where that is used, and as clear where it is not."""
    origin = lab.servers["a"]
    for starttls, kind in ((False, "clear"), (True, "starttls")):
        with stranger.configured(starttls=starttls):
            quiet(origin)
            before = sums(origin, "out")[kind]
            message = letter(origin, stranger)
            origin.submit(message)
            arrives(watch, origin, stranger, message)
            quiet(origin)
            assert sums(origin, "out")[kind] == before + 1


def test_forget_drops_what_is_remembered(watch, two):
    """forget drops a peer by address, a domain by name; what is not known is said to be."""
    origin, target = two
    message = letter(origin, target)
    origin.submit(message)
    arrives(watch, origin, target, message)
    quiet(origin)
    assert "Dropped: 1 file." in sotto(origin, "forget", target.host.v4)
    assert sotto_json(origin, "peers", target.host.v4)["peers"] == []
    assert sotto_json(origin, "forget", target.domain)["dropped"] >= 1
    assert "Nothing is remembered" in sotto(origin, "forget", target.domain, code=WARNING)
    sotto(origin, "forget", "--all")
    assert sotto_json(origin, "peers") == {"peers": [], "names": [], "domains": []}


def test_probe_of_a_peer_with_sotto(host, lab):
    """By domain, by host name and by address: the exchange succeeds, with one identity; nothing is remembered and no mail is sent."""
    target = lab.servers["c" if host.name != "mx.c.example" else "a"]
    known = sotto_json(host, "peers")
    mark = len(target.log())
    keys = set()
    for name in (target.domain, target.name, target.host.v4, f"[{target.host.v4}]"):
        found = sotto_json(host, "probe", name)
        assert found["result"] == "sealed" and found["offered"] and found["quit"] and found["address"] == target.host.v4
        assert found["banner"].startswith("220 ") and found["starttls"] is False and found["exchange_ms"] >= 0
        keys.add(found["identity_key"])
    assert len(keys) == 1
    assert sotto_json(host, "probe", target.domain)["hosts"] == [{"host": target.name, "preference": 10, "address": target.host.v4}]
    assert sotto_json(host, "peers") == known
    assert not [line for line in target.log()[mark:] if "<=" in line]
    assert "sealed: the exchange succeeded" in sotto(host, "probe", target.domain)


def test_probe_of_a_host_without_sotto(host, stranger):
    """It says that XSOTTO is not offered, and whether STARTTLS is."""
    found = sotto_json(host, "probe", stranger.domain, code=WARNING)
    assert found["result"] == "clear" and found["offered"] is False and found["starttls"] is False and found["cause"] == "not offered"
    with stranger.configured(starttls=True):
        assert sotto_json(host, "probe", stranger.domain, code=WARNING)["starttls"] is True


def test_probe_of_what_is_not_there(host):
    """No such domain, nobody listening: said in words, with Nagios' critical."""
    found = sotto_json(host, "probe", "nothing.at.all.example", code=CRITICAL)
    assert found["result"] == "unreachable" and found["cause"]
    assert "unreachable" in sotto(host, "probe", "--port", "26", "127.0.0.1", code=CRITICAL)


def test_probe_of_a_broken_exchange(lab, peer, needs_sotto):
    """A peer whose exchange fails is told from one that does not offer it."""
    server = lab.servers["a"]

    with peer.serving(begin(say(b"220 2.0.0 XSOTTO go ahead\r\n" + WRONG_TAG), hush), clear):
        found = sotto_json(server, "probe", "peer.example", code=CRITICAL)
    assert found["result"] == "failed" and found["cause"].startswith("altered") and found["offered"]
    with peer.serving(begin(say(b"454 4.7.0 XSOTTO not now\r\n"), go_on)):
        found = sotto_json(server, "probe", "peer.example", code=CRITICAL)
    assert found["result"] == "failed" and found["refusal"] == 454


def test_enable_and_disable(watch, lab, host):
    """disable: mail goes in the clear, the configuration is without us. enable: it shows, changes, tries; mail is sealed. Both may be repeated."""
    target = lab.servers["c" if host.name != "mx.c.example" else "a"]
    done = sotto_json(host, "disable", "--yes")
    assert done["state"] == "off" and done["changed"]
    try:
        found = sotto_json(host, "status", code=WARNING)
        assert found["servers"] == {host.kind: "off"} and [one["check"] for one in found["problems"]] == [host.kind]
        assert sotto_json(host, "disable", "--yes")["changed"] is False
        message = letter(host, target)
        host.submit(message)
        arrives(watch, host, target, message)
        assert not watch.said(host, "connect")
    finally:
        text = sotto(host, "enable", "--yes")
    assert "What changes" in text and "+ " in text and "works: a session of our own was sealed" in text
    again = sotto_json(host, "enable", "--yes")
    assert again["changed"] is False and again["test"] == "sealed"
    found = sotto_json(host, "status")
    assert found["servers"] == {host.kind: "on"} and found["since"] > 0
    sealed = letter(host, target)
    host.submit(sealed)
    arrives(watch, host, target, sealed)
    watch.await_said(host, "connect", "sealed")


def test_enable_puts_back_what_does_not_work(lab, needs_sotto):
    """A configuration that Exim does not take with us: said, with a remedy, and everything is as it was."""
    server = lab.servers["a"]
    sotto(server, "disable", "--yes")
    path = server.host.path(server.LOCALMACROS)
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before + "acl_smtp_connect = accept\n", encoding="utf-8")
        server.host.run(["update-exim4.conf"])
        own = path.read_text(encoding="utf-8")
        done = server.host.run([SOTTO, "enable", "--yes"], check=False)
        assert done.returncode == CRITICAL and b"SOTTO_ACL_SMTP_CONNECT" in done.stderr, done
        assert path.read_text(encoding="utf-8") == own
        server.host.run(["exim4", "-bV"])
    finally:
        path.write_text(before, encoding="utf-8")
        server.host.run(["update-exim4.conf"])
        sotto(server, "enable", "--yes")


@pytest.mark.parametrize("name", ["a", "c"])
def test_enable_tells_what_hides_it(lab, name, needs_sotto):
    """REMOTE_SMTP_HELO_FROM_DNS: what comes in is sealed, and it is said what to write instead, so that what goes out is, too."""
    server = lab.servers[name]
    sotto(server, "disable", "--yes")
    path = server.host.path(server.LOCALMACROS)
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before + "REMOTE_SMTP_HELO_FROM_DNS = true\n", encoding="utf-8")
        warnings = sotto_json(server, "enable", "--yes")["warnings"]
        assert warnings and all("remove it, and write above our line: REMOTE_SMTP_HELO_DATA = ${lookup dnsdb" in one["says"] for one in warnings), warnings
        done = server.host.run([SOTTO, "enable", "--yes"])
        assert b"warning: REMOTE_SMTP_HELO_FROM_DNS hides Sotto from the transport remote_smtp," in done.stderr
        advice = warnings[0]["says"].partition("our line: ")[2]
        path.write_text(before + advice + "\n", encoding="utf-8")
        assert sotto_json(server, "enable", "--yes")["warnings"] == []
        assert "warnings" in sotto_json(server, "disable", "--yes")
    finally:
        path.write_text(before, encoding="utf-8")
        assert sotto_json(server, "enable", "--yes")["warnings"] == []


def test_enable_beside_another_local_scan(lab, needs_sotto):
    """SOTTO_LOCAL_SCAN where something else sets local_scan_path: refused with a sentence, and everything is as it was."""
    server = lab.servers["a"]
    sotto(server, "disable", "--yes")
    path = server.host.path(server.LOCALMACROS)
    before = path.read_text(encoding="utf-8")
    own = before + "local_scan_path = /usr/lib/exim4/local_scan/sa-exim.so\nSOTTO_LOCAL_SCAN = yes\n"
    try:
        path.write_text(own, encoding="utf-8")
        done = server.host.run([SOTTO, "enable", "--yes"], check=False)
        assert done.returncode == CRITICAL and b"do without SOTTO_LOCAL_SCAN" in done.stderr, done
        assert path.read_text(encoding="utf-8") == own
    finally:
        path.write_text(before, encoding="utf-8")
        server.host.run(["update-exim4.conf"])
        sotto(server, "enable", "--yes")


RULES = {
    "nft": ("nft", "table inet f {{\n\tchain out {{\n\t\tmeta skuid {{ 0, {0} }} tcp dport 25 accept\n\t\tmeta skuid != 101 tcp dport 888 reject\n\t}}\n}}\n"),
    "iptables": ("iptables-save", "*filter\n-A OUTPUT -p tcp -m tcp --dport 25 -m owner --uid-owner {0} -j ACCEPT\n"
                                  "-A OUTPUT -p tcp -m tcp --dport 888 -m owner ! --uid-owner 0-99 -j REJECT --reject-with icmp-port-unreachable\n"),
}


@pytest.mark.parametrize("kind", RULES)
def test_a_firewall_by_user(lab, postfixes, kind, needs_sotto):
    """enable and check tell where the firewall decides by user and does not know the one that mail goes out as; where it does they are silent."""
    server = lab.servers["f"]
    program, rules = RULES[kind]
    uid = server.host.run(["id", "-u", "_sotto"]).stdout.decode().strip()
    try:
        for user, known in (("101", False), (uid, True), (f"{int(uid) - 1}-{int(uid) + 1}", True), ("_sotto", True)):
            server.host.write(f"/usr/sbin/{program}", f"#!/bin/sh\ncat <<'EOF'\n{rules.format(user)}EOF\n", 0o755)
            warnings = sotto_json(server, "enable", "--yes")["warnings"]
            assert bool(warnings) != known and all("does not name _sotto" in one["says"] and user in one["says"] for one in warnings), (user, warnings)
            found = sotto_json(server, "check", code=OK if known else WARNING)["findings"]
            assert [one["check"] for one in found if one["level"] != "ok"] == ([] if known else ["firewall"])
    finally:
        server.host.path(f"/usr/sbin/{program}").unlink()


def test_several_instances(lab, postfixes, needs_sotto):
    """Several instances of Postfix: refused with a sentence, and nothing is changed."""
    server = lab.servers["f"]
    sotto(server, "disable", "--yes")
    server.postconf("-e", "multi_instance_directories=/etc/postfix-out")
    before = server.host.read("/etc/postfix/main.cf"), server.host.read("/etc/postfix/master.cf")
    try:
        done = server.host.run([SOTTO, "enable", "--yes"], check=False)
        assert done.returncode == CRITICAL and b"several instances of Postfix" in done.stderr, done
        assert (server.host.read("/etc/postfix/main.cf"), server.host.read("/etc/postfix/master.cf")) == before
    finally:
        server.postconf("-X", "multi_instance_directories")
        sotto(server, "enable", "--yes")


@pytest.mark.parametrize("name", ["a", "g"])
def test_enable_takes_back_what_does_not_seal(lab, postfixes, name, needs_sotto):
    """A mail server that answers after enable, and does not seal, is switched off again, and that is said."""
    server = lab.servers[name]
    sotto(server, "disable", "--yes")
    program = server.host.path("/usr/libexec/sotto/sotto-session")
    whole = program.read_bytes()
    try:
        server.host.run(["cp", "--remove-destination", "/bin/false", "/usr/libexec/sotto/sotto-session"])
        server.program_changed()
        done = server.host.run([SOTTO, "enable", "--yes"], check=False)
        assert done.returncode == CRITICAL and b"switched off again" in done.stderr, done
        found = json.loads(server.host.run([SOTTO, "status", "--json"], check=False).stdout)
        assert found["servers"] == {server.kind: "off"} and found["since"] == 0
    finally:
        program.write_bytes(whole)
        server.program_changed()
        sotto(server, "enable", "--yes")


def test_nobody_but_root_switches(host):
    """Without root nothing is changed, and it is said who may; nor is anything read that is not theirs."""
    for words in (("enable", "--yes"), ("disable", "--yes"), ("peers",), ("forget", "--all")):
        done = host.host.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", SOTTO, *words], check=False)
        assert done.returncode == UNKNOWN and b"root" in done.stderr, done


@pytest.mark.parametrize("name", ["a", "f", "i"])
def test_open_sessions_are_listed(lab, postfixes, opensmtpds, name, needs_sotto):
    """A session that is open stands in the list, with its peer; afterwards it does not."""
    server = lab.servers[name]
    sock = lab.servers["p"].host.socket()
    sock.settimeout(20)
    sock.connect((server.host.v4, 25))
    assert sock.recv(1000).startswith(b"220")

    def listed():
        of_ours = [one for one in sotto_json(server, "sessions") if one["peer"].startswith(lab.servers["p"].host.v4 + ":")]
        return [(one["direction"], one["sealed"]) for one in of_ours] == [("in", False)]
    wait.until(listed, [server.host.path("/run/sotto")], 20, "the session is listed")      # once it is not over in a moment
    assert lab.servers["p"].host.v4 in sotto(server, "sessions")
    sock.sendall(b"QUIT\r\n")
    while sock.recv(1000):
        pass
    sock.close()
    quiet(server)
    assert not [one for one in sotto_json(server, "sessions") if one["peer"].startswith(lab.servers["p"].host.v4 + ":")]


def test_wrong_usage_says_what_is_right(lab, needs_sotto):
    for words in (("frobnicate",), ("probe",), ("status", "x"), ("forget",), ("peers", "--nonsense"), ("probe", "--port", "0", "x.example")):
        done = lab.servers["a"].host.run([SOTTO, *words], check=False)
        assert done.returncode == UNKNOWN and done.stderr.startswith(b"sotto: ") and done.stderr.count(b"\n") == 1
    assert "usage: sotto" in sotto(lab.servers["a"], "help")
    assert re.fullmatch(r"sotto \S+\n", sotto(lab.servers["a"], "version"))
