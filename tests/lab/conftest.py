# SPDX-License-Identifier: ISC
"""The hosts of the lab, started once for all tests, and the proof that nothing of them is left."""

import os
import re

import pytest

from .kernel_log import KernelLog
from .lab import Lab
from .middle import Middle
from .paths import STAGED, Missing
from .peer import Peer
from .watch import Watch

RELEASES = {"a": "bookworm", "b": "bookworm", "c": "trixie", "d": "trixie", "p": "bookworm"}
VERSIONS = {"bookworm": "4.96", "trixie": "4.98"}
PAIRS = [("a", "b"), ("a", "c"), ("c", "a"), ("c", "d")]
SELECTOR = "MAIN_LOG_SELECTOR = +smtp_protocol_error +smtp_syntax_error +tls_certificate_verified +tls_peerdn +pipelining +8bitmime"


def pytest_addoption(parser):
    parser.addoption("--without-sotto", action="store_true", help="a control: all hosts without Sotto; everything must be readable")


def choose(items):
    """A module's IN_CHECK: a pattern of its tests that `make check` runs; the others are long."""
    for item in items:
        chosen = getattr(item.module, "IN_CHECK", None)
        if chosen is not None and not re.search(chosen, item.name):
            item.add_marker(pytest.mark.long)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """
    Where a module says in_turn(NAME, ...), each case of its tests (three or more of them) runs with one of the versions that the fixture NAME stands for, and the
    next case with the next; with the others it is long.
    """
    choose(items)
    cases = {}
    for item in items:
        mark, spec = item.get_closest_marker("in_turn"), getattr(item, "callspec", None)
        name = next((name for name in mark.args if name in spec.indices), None) if mark and spec else None
        if name is not None:
            others = tuple(sorted((key, index) for key, index in spec.indices.items() if key != name))
            cases.setdefault((item.path, item.originalname, name), {}).setdefault(others, []).append((spec.indices[name], item))
    for of_one_test in cases.values():
        for number, variants in enumerate(of_one_test.values() if len(of_one_test) >= 3 else ()):
            for index, item in variants:
                if index != number % len(variants):
                    item.add_marker("long")


@pytest.fixture(scope="session")
def sealing(request):
    """False in the control run without Sotto."""
    return not request.config.getoption("--without-sotto")


@pytest.fixture(scope="session")
def lab(request, sealing):
    """Four hosts with Sotto, a and b with Exim 4.96, c and d with 4.98, and p, a host that never heard of it."""
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(text):
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"lab: {text}")

    if sealing and not (STAGED / "usr/lib/sotto/exim-sotto.so").exists():
        pytest.exit(f"{STAGED} holds no Sotto; `make staged` puts it there", 1)
    try:
        made = Lab(say)
    except Missing as why:
        pytest.exit(str(why), 1)
    failed = request.session.testsfailed
    with made:
        made.prepare(*{("exim", release) for release in RELEASES.values()})
        for letter, release in RELEASES.items():
            server = made.mail_host("exim", release, letter, ["anna", "bert", "carl"])
            server.macros.append(SELECTOR)
            server.sotto = sealing and letter != "p"
            if server.sotto:
                server.install_sotto()
            server.configure()
        made.start_all()
        yield made
        for server in made.servers.values():
            keep_log(made, server)
    nothing_left(made)
    if request.session.testsfailed == failed:
        for recording in made.folder.glob("*.pcap"):
            recording.unlink()


@pytest.fixture(scope="session")
def middle(lab):
    """The relay in the middle, before a, b and c."""
    made = Middle(lab)
    made.stand_before(*(lab.servers[letter] for letter in "abc"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def peer(lab):
    """The scripted peer."""
    return Peer(lab)


def keep_log(lab, server):
    """The mail server's logs outlive its root."""
    for name in ("mainlog", "rejectlog", "paniclog"):
        text = server.host.read(f"/var/log/exim4/{name}")
        if text:
            (lab.folder / server.name / name).write_bytes(text)


TICK = 1 / os.sysconf("SC_CLK_TCK")


def started(pid):
    """Seconds since the machine's start, cut to ticks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        return int(f.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return "gone meanwhile"


def nothing_left(lab):
    """
    No process of ours is in any namespace of ours, and none of our names is among the machine's mounts or interfaces. The kernel gives
    a number of a namespace that is gone to a new one, of another lab maybe: whoever was started after the host's end is not ours.
    """
    gone = {space: host.ended for host in lab.hosts for space in host.namespaces.values()}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for kind in ("net", "mnt", "pid"):
            try:
                space = os.readlink(f"/proc/{pid}/ns/{kind}")
                ours = space in gone and started(pid) + TICK < gone[space]
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            assert not ours, f"process {pid} ({name_of(pid)}) has outlived the lab"
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        assert str(lab.folder) not in mounts.read(), "a mount has outlived the lab"


@pytest.fixture(params=PAIRS, ids=lambda pair: "-to-".join(VERSIONS[RELEASES[letter]] for letter in pair))
def pair(lab, request):
    """(origin, target): each version to each."""
    return tuple(lab.servers[letter] for letter in request.param)


@pytest.fixture(params=["a", "c"], ids=lambda letter: VERSIONS[RELEASES[letter]])
def server(lab, request):
    """One host of each version, where the other side is a client or a host without Sotto."""
    return lab.servers[request.param]


@pytest.fixture
def stranger(lab):
    """A host without Sotto."""
    return lab.servers["p"]


@pytest.fixture
def watch(lab, sealing, request):
    with Watch(lab, request.node.name, sealing) as one:
        yield one


@pytest.fixture
def needs_sotto(sealing):
    """For a test that has nothing to say without Sotto."""
    if not sealing:
        pytest.skip("a run without Sotto")


@pytest.fixture(scope="session")
def kernel_log():
    made = KernelLog()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def tidy(lab, kernel_log):
    """After each test: nothing of ours has crashed, Exim had no reason to panic; queues, mailboxes, and what hosts remember of each other are empty."""
    yield
    crashes = kernel_log.crashes()
    panic = {server.name: server.host.read("/var/log/exim4/paniclog").decode(errors="replace") for server in lab.servers.values()}
    for server in lab.servers.values():
        server.clear_queue()
        server.empty()
        server.forget()
        server.host.path("/var/log/exim4/paniclog").unlink(missing_ok=True)
        server.forget_hosts()
    # of an Exim that was started again while the one before was still about to end
    panic = {name: re.sub(r"^.* daemon_notifier_socket bind: Address already in use\n", "", text, flags=re.M) for name, text in panic.items()}
    assert not any(panic.values()), panic
    assert not crashes, crashes


# ---- Postfix: hosts of the same lab, started where a test first wants one ----

POSTFIXES = {"f": "bookworm", "g": "trixie", "h": "bookworm"}
POSTFIX_VERSIONS = {"bookworm": "3.7", "trixie": "3.10"}


def name_of(letter):
    if letter in OPENSMTPDS:
        return f"opensmtpd {OPENSMTPD_VERSIONS[OPENSMTPDS[letter]]}"
    return f"postfix {POSTFIX_VERSIONS[POSTFIXES[letter]]}" if letter in POSTFIXES else f"exim {VERSIONS[RELEASES[letter]]}"


def started_hosts(lab, kind, releases, sealing):
    """{letter: server}, as releases says, with Sotto unless it is a run without."""
    lab.prepare(*{(kind, release) for release in releases.values()})
    made = {}
    for letter, release in releases.items():
        server = made[letter] = lab.mail_host(kind, release, letter, ["anna", "bert", "carl"])
        if sealing:
            server.install_sotto()
            server.sotto = True
        server.start()
    return made


@pytest.fixture(scope="session")
def postfixes(lab, sealing):
    """f and h with Postfix 3.7, g with 3.10, all with Sotto."""
    return started_hosts(lab, "postfix", POSTFIXES, sealing)


POSTFIX_PAIRS = [("f", "h"), ("f", "g"), ("g", "f"), ("f", "a"), ("g", "c"), ("a", "g"), ("c", "f")]


@pytest.fixture(params=POSTFIX_PAIRS, ids=lambda pair: "-to-".join(name_of(letter).replace(" ", "") for letter in pair))
def mixed(lab, postfixes, request):
    """(origin, target), at least one of them Postfix."""
    return tuple(lab.servers[letter] for letter in request.param)


@pytest.fixture(params=["f", "g"], ids=lambda letter: POSTFIX_VERSIONS[POSTFIXES[letter]])
def postfix(postfixes, request):
    """One of each version."""
    return postfixes[request.param]


# ---- OpenSMTPD: the same ----

OPENSMTPDS = {"i": "bookworm", "j": "trixie", "k": "bookworm"}
OPENSMTPD_VERSIONS = {"bookworm": "6.8", "trixie": "7.6"}


@pytest.fixture(scope="session")
def opensmtpds(lab, sealing):
    """i and k with OpenSMTPD 6.8, j with 7.6, all with Sotto."""
    return started_hosts(lab, "opensmtpd", OPENSMTPDS, sealing)


OPENSMTPD_PAIRS = [("i", "k"), ("i", "j"), ("j", "i"), ("i", "a"), ("j", "c"), ("a", "j"), ("c", "i"), ("i", "g"), ("j", "f"), ("f", "j"), ("g", "i")]


@pytest.fixture(params=OPENSMTPD_PAIRS, ids=lambda pair: "-to-".join(name_of(letter).replace(" ", "") for letter in pair))
def with_opensmtpd(lab, opensmtpds, postfixes, request):
    """(origin, target), at least one of them OpenSMTPD."""
    return tuple(lab.servers[letter] for letter in request.param)


@pytest.fixture(params=["i", "j"], ids=lambda letter: OPENSMTPD_VERSIONS[OPENSMTPDS[letter]])
def opensmtpd(opensmtpds, request):
    """One of each version."""
    return opensmtpds[request.param]
