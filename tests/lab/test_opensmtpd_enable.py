# SPDX-License-Identifier: ISC
"""sotto-opensmtpd(8): what it makes of configurations, that smtpd takes that, that nothing is left of it, and what it refuses."""

import contextlib
import re

import pytest

from . import wait
from .mailserver_opensmtpd import SCRIPT
from .paths import PROJECT
from .test_exim import arrives, letter
from .test_exim_tls import with_tls

CONF = "/tmp/smtpd.conf"
HEAD = 'table aliases file:/etc/aliases\n'
TAIL = 'action "local" maildir alias <aliases>\nmatch from any for domain "x.example" action "local"\nmatch for local action "local"\n'
PLAIN = HEAD + "listen on 0.0.0.0\nlisten on ::\n" + TAIL + 'action "relay" relay\nmatch from local for any action "relay"\n'

TAKEN = {
    "stock": (HEAD + "listen on localhost\n" + TAIL + 'action "relay" relay\nmatch from local for any action "relay"\n',
              ["--listen 127.0.0.1:25 --listen [::1]:25", 'listen on lo port 10025 proxy-v2 filter "sotto"']),
    "named": (HEAD + "listen on 0.0.0.0 port smtp hostname mx.x.example\n" + TAIL + 'action out relay\nmatch from local for any action out\n',
            ["--listen 0.0.0.0:25 --backend 127.0.0.25:10025\"", 'listen on 127.0.0.25 port 10025 proxy-v2 hostname mx.x.example filter "sotto"', 'action "sotto-out" relay domain <sotto>']),
    "chains": (HEAD + 'filter "f" phase connect match !rdns disconnect "550 no"\nlisten on 192.0.2.9 filter "f"\nlisten on socket filter "f"\n'
               'listen on 192.0.2.9 port 587 filter "f"\n' + TAIL + 'action "relay" relay helo "out.x.example" src 192.0.2.9\n'
               'match from local for any action "relay"\n',
               ['proxy-v2 filter { "sotto", "f" } # sotto', 'listen on socket filter { "sotto", "f" } # sotto', "\nlisten on 192.0.2.9 port 587",
                "--from 192.0.2.9 --helo out.x.example", 'action "sotto" relay helo "out.x.example" domain <sotto>']),
    "smarthost": (PLAIN + 'action "smart" relay host smtp://mx.y.example\nmatch from local for domain "y.example" action "smart"\n',
                  ['\naction "smart" relay host smtp://mx.y.example\n', '\nmatch from local for domain "y.example" action "smart"\n']),
}
REFUSED = {
    "source": (HEAD + "listen on 0.0.0.0\n" + TAIL + 'action "relay" relay\nmatch from src 10.0.0.0/8 for any action "relay"\n', "who may relay is said by address"),
    "include": (PLAIN + 'include "/etc/more"\n', "include"),
    "macro": ('ip = "192.0.2.1"\n' + HEAD + "listen on $ip\n" + TAIL + 'action "relay" relay\nmatch from local for any action "relay"\n', "a macro"),
    "interface": (HEAD + "listen on eth0\n" + TAIL + 'action "relay" relay\nmatch from local for any action "relay"\n', "stands for"),
    "differ": (HEAD + "listen on 0.0.0.0 hostname a.x.example\nlisten on ::\n" + TAIL + 'action "relay" relay\nmatch from local for any action "relay"\n', "differ"),
    "no relay": (HEAD + "listen on 0.0.0.0\n" + TAIL, "no relay action"),
    "only smarthost": (HEAD + "listen on 0.0.0.0\n" + TAIL + 'action "r" relay host smtp://y.example\nmatch from local for any action "r"\n', "no relay action"),
    "taken": (PLAIN + "table sotto { a }\n", "is taken"),
    "nonsense": (PLAIN + "nonsense\n", "smtpd does not take"),
}


def run(server, command, *words):
    return server.host.run([SCRIPT, command, *words, "--conf", CONF, "--no-restart"], check=False)


def status(server):
    """The exit code and what it says."""
    done = run(server, "status")
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("name", TAKEN)
def test_taken(opensmtpd, needs_sotto, name):
    """Enabled: smtpd takes it, and it is what it should; once more: the same; disabled: octet for octet what it was. It says before what it does."""
    before, wanted = TAKEN[name]
    opensmtpd.host.write(CONF, before)
    assert status(opensmtpd) == (3, "off\n")
    shown = run(opensmtpd, "changes", "enable").stdout.decode()
    assert opensmtpd.host.read(CONF).decode() == before
    done = run(opensmtpd, "enable")
    assert done.returncode == 0, done.stderr
    after = opensmtpd.host.read(CONF).decode()
    assert [line for line in shown.splitlines() if " + " in line] == [f"{CONF}: + {line}" for line in after.splitlines() if "sotto" in line]
    assert status(opensmtpd) == (0, "on\n") and run(opensmtpd, "changes", "enable").stdout == b""
    for text in wanted:
        assert text in after, (text, after)
    assert opensmtpd.host.run(["smtpd", "-n", "-f", CONF]).returncode == 0
    assert opensmtpd.host.read(CONF + ".before-sotto-enable").decode() == before
    again = run(opensmtpd, "enable")
    assert (again.returncode, again.stdout) == (0, b"Sotto is switched on already.\n") and opensmtpd.host.read(CONF).decode() == after
    for _ in range(2):
        assert run(opensmtpd, "disable").returncode == 0
        assert opensmtpd.host.read(CONF).decode() == before
    assert not opensmtpd.host.run(["sh", "-c", f"ls {CONF}.?????? {CONF}.*.* 2>/dev/null"], check=False).stdout


def test_the_example_in_the_manual(opensmtpd, needs_sotto):
    """The whole configuration that opensmtpd-sotto(7) shows becomes what stands there."""
    page = (PROJECT / "plugins/opensmtpd/opensmtpd-sotto.7").read_text(encoding="utf-8")
    before, after = re.findall(r"^\.Bd [^\n]*\n(.*?)^\.Ed$", page.partition(".Sh EXAMPLES\n")[2], re.S | re.M)[:2]
    opensmtpd.host.write(CONF, before)
    assert run(opensmtpd, "enable").returncode == 0
    assert opensmtpd.host.read(CONF).decode() == after


@pytest.mark.parametrize("name", REFUSED)
def test_refused(opensmtpd, needs_sotto, name):
    """Not understood, or not safe: a sentence, the lines to add by hand, and nothing is changed."""
    before, why = REFUSED[name]
    opensmtpd.host.write(CONF, before)
    said = run(opensmtpd, "enable")
    assert said.returncode == 1 and why in said.stderr.decode() and "listen on 127.0.0.25 port 10025 proxy-v2" in said.stderr.decode(), said.stderr
    assert opensmtpd.host.read(CONF).decode() == before


def test_edited_since(opensmtpd, needs_sotto):
    """A line of ours was changed, or one of theirs was added: status tells, enable puts it right, and theirs stays."""
    opensmtpd.host.write(CONF, PLAIN)
    assert run(opensmtpd, "enable").returncode == 0
    more = 'action "other" relay helo "other.x.example"\nmatch from local for domain "z.example" action "other"\n'
    opensmtpd.host.write(CONF, opensmtpd.host.read(CONF).decode().replace(" proxy-v2", "") + more)
    code, said = status(opensmtpd)
    assert code == 4 and said.startswith("drifted\n") and f"{CONF}: + listen on 127.0.0.25 port 10025 proxy-v2" in said
    assert run(opensmtpd, "enable").returncode == 0 and status(opensmtpd) == (0, "on\n")
    assert run(opensmtpd, "disable").returncode == 0 and opensmtpd.host.read(CONF).decode() == PLAIN + more


def test_lines_of_their_own(opensmtpd, needs_sotto):
    """Added by hand, as the manual tells: that is on; and it is not switched off by half, nor may the package go."""
    by_hand = PLAIN + 'filter "mine" proc-exec "/usr/libexec/opensmtpd/filter-sotto" user _sotto group _sotto\n'
    opensmtpd.host.write(CONF, by_hand)
    assert status(opensmtpd) == (0, "on\n") and run(opensmtpd, "enable").returncode == 0
    done = run(opensmtpd, "disable")
    assert done.returncode == 1 and b"lines of your own" in done.stderr and opensmtpd.host.read(CONF).decode() == by_hand


def test_what_does_not_start_is_put_back(opensmtpd, needs_sotto):
    """smtpd takes the configuration and does not start with it: it runs again as it was."""
    table = "/usr/libexec/opensmtpd/table-sotto"
    before = opensmtpd.host.read("/etc/smtpd.conf")
    opensmtpd.host.run([SCRIPT, "disable"])
    plain = opensmtpd.host.read("/etc/smtpd.conf")
    opensmtpd.host.run(["sh", "-c", f"mv {table} {table}.away && cp /bin/false {table}"])
    try:
        done = opensmtpd.host.run([SCRIPT, "enable"], check=False)
        assert done.returncode == 1 and b"started again as it was" in done.stderr, done
        assert opensmtpd.host.read("/etc/smtpd.conf") == plain
        opensmtpd.await_listening()
    finally:
        opensmtpd.host.run(["mv", f"{table}.away", table])
        opensmtpd.host.run([SCRIPT, "enable"])
    assert opensmtpd.host.read("/etc/smtpd.conf") == before
    opensmtpd.await_listening()


def test_without_capability(opensmtpd, needs_sotto):
    """A filter that could not listen on port 25 is noticed before anything is switched over."""
    opensmtpd.host.write(CONF, PLAIN)
    filter_path = "/usr/libexec/opensmtpd/filter-sotto"
    opensmtpd.host.run(["setcap", "-r", filter_path])
    try:
        said = run(opensmtpd, "enable")
        assert said.returncode == 1 and b"capability" in said.stderr
        assert opensmtpd.host.read(CONF).decode() == PLAIN
    finally:
        opensmtpd.host.run(["setcap", "cap_net_bind_service+ep", filter_path])


def test_disabled_with_mail_in_the_queue(watch, opensmtpd, stranger, needs_sotto):
    """Mail that has taken the hop is in the queue when Sotto is switched off: it goes out natively."""
    with opensmtpd.sotto_conf(require=[stranger.domain]):
        message = letter(opensmtpd, stranger)
        opensmtpd.submit(message)
        opensmtpd.await_log(opensmtpd.deferred(message.recipients[0]), watch.marks[opensmtpd][0])
    said = opensmtpd.host.run([SCRIPT, "disable", "--no-restart"]).stdout.decode()
    assert "still needs sotto" in said
    opensmtpd.stop()
    opensmtpd.host.run(["smtpd"])
    try:
        opensmtpd.await_listening()
        wait.until(lambda: len(opensmtpd.queue()) == 1, [opensmtpd.host.folder], 10, "the queue is read")
        opensmtpd.run_queue()
        arrives(watch, opensmtpd, stranger, message)
        assert opensmtpd.host.run([SCRIPT, "disable", "--no-restart"]).returncode == 0
        assert b"sotto" not in opensmtpd.host.read("/etc/smtpd.conf")
    finally:
        opensmtpd.stop()
        opensmtpd.start()


@contextlib.contextmanager
def edited(server, command, before, after):
    """The administrator writes that into smtpd.conf, calls the script, and starts smtpd anew."""
    text = server.host.read("/etc/smtpd.conf").decode()
    assert before in text
    server.host.write("/etc/smtpd.conf", text.replace(before, after))
    server.host.run([SCRIPT, command, "--no-restart"])
    server.stop()
    server.host.run(["smtpd"])
    try:
        server.await_listening()
        yield
    finally:
        server.stop()
        server.start()


@pytest.mark.parametrize("command", ["enable", "disable"])
def test_tls_demanded_while_mail_is_queued(watch, opensmtpd, stranger, needs_sotto, command):
    """TLS is demanded by an action while mail of it that was to take the hop is in the queue: it waits until there is TLS, as it would without Sotto, and goes then."""
    message = letter(opensmtpd, stranger)
    with opensmtpd.configured('action "out" relay', 'match from local for any action "out"'):
        with opensmtpd.sotto_conf(require=[stranger.domain]):
            opensmtpd.submit(message)
            watch.await_log(opensmtpd, opensmtpd.deferred(message.recipients[0]))
        mark = len(opensmtpd.log())
        with edited(opensmtpd, command, '#sotto#action "out" relay\n', '#sotto#action "out" relay tls no-verify\n'):
            wait.until(lambda: len(opensmtpd.queue()) == 1, [opensmtpd.host.folder], 10, "the queue is read")
            opensmtpd.forget_hosts()
            opensmtpd.run_queue()
            opensmtpd.await_log(opensmtpd.deferred(message.recipients[0]), mark)
            assert not stranger.delivered("bert")
            with with_tls(stranger):
                opensmtpd.forget_hosts()
                opensmtpd.run_queue()
                arrives(watch, opensmtpd, stranger, message)
            assert opensmtpd.host.run([SCRIPT, "status"], check=False).stdout == (b"on\n" if command == "enable" else b"off\n")
            opensmtpd.host.run([SCRIPT, "disable", "--no-restart"])
            assert b"sotto" not in opensmtpd.host.read("/etc/smtpd.conf")
    assert not watch.wire.find(*message.secrets)
