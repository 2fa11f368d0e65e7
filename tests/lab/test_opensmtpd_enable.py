# SPDX-License-Identifier: ISC
"""sotto-opensmtpd(8): what it makes of configurations, that smtpd takes that, that nothing is left of it, and what it refuses."""

import pytest

from . import wait
from .mailserver_opensmtpd import SCRIPT
from .test_exim import arrives, letter

CONF = "/tmp/smtpd.conf"
HEAD = 'table aliases file:/etc/aliases\n'
TAIL = 'action "local" maildir alias <aliases>\nmatch from any for domain "x.example" action "local"\nmatch for local action "local"\n'
PLAIN = HEAD + "listen on 0.0.0.0\nlisten on ::\n" + TAIL + 'action "relay" relay\nmatch from local for any action "relay"\n'

TAKEN = {
    "stock": (HEAD + "listen on localhost\n" + TAIL + 'action "relay" relay\nmatch from local for any action "relay"\n',
              ["--listen 127.0.0.1:25 --listen [::1]:25", 'listen on lo port 10025 proxy-v2 filter "sotto"']),
    "named": (HEAD + "listen on 0.0.0.0 port smtp hostname mx.x.example\n" + TAIL + 'action out relay\nmatch from local for any action out\n',
            ["--listen 0.0.0.0:25\"", 'proxy-v2 hostname mx.x.example filter "sotto"', 'action "sotto-out" relay domain <sotto>']),
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


def run(server, command, *options):
    return server.host.run([SCRIPT, command, "--conf", CONF, "--no-restart", *options], check=False)


@pytest.mark.parametrize("name", TAKEN)
def test_taken(opensmtpd, needs_sotto, name):
    """Enabled: smtpd takes it, and it says what it should; once more: refused; disabled: octet for octet what it was."""
    before, wanted = TAKEN[name]
    opensmtpd.host.write(CONF, before)
    shown = run(opensmtpd, "enable", "--yes")
    assert shown.returncode == 0, shown.stderr
    after = opensmtpd.host.read(CONF).decode()
    for text in wanted:
        assert text in after, (text, after)
    assert opensmtpd.host.run(["smtpd", "-n", "-f", CONF]).returncode == 0
    assert b"+table sotto" in shown.stdout and opensmtpd.host.read(CONF + ".before-sotto-enable").decode() == before
    assert run(opensmtpd, "enable", "--yes").returncode == 1
    assert run(opensmtpd, "disable", "--yes").returncode == 0
    assert opensmtpd.host.read(CONF).decode() == before


@pytest.mark.parametrize("name", REFUSED)
def test_refused(opensmtpd, needs_sotto, name):
    """Not understood, or not safe: a sentence, the lines to add by hand, and nothing is changed."""
    before, why = REFUSED[name]
    opensmtpd.host.write(CONF, before)
    said = run(opensmtpd, "enable", "--yes")
    assert said.returncode == 1 and why in said.stderr.decode() and "listen on lo port 10025 proxy-v2" in said.stderr.decode(), said.stderr
    assert opensmtpd.host.read(CONF).decode() == before


def test_nobody_is_asked(opensmtpd, needs_sotto):
    """Without somebody who agrees nothing is changed."""
    opensmtpd.host.write(CONF, PLAIN)
    assert run(opensmtpd, "enable").returncode == 1
    assert opensmtpd.host.read(CONF).decode() == PLAIN


def test_without_capability(opensmtpd, needs_sotto):
    """A filter that could not listen on port 25 is noticed before anything is switched over."""
    opensmtpd.host.write(CONF, PLAIN)
    filter_path = "/usr/libexec/opensmtpd/filter-sotto"
    opensmtpd.host.run(["setcap", "-r", filter_path])
    try:
        said = run(opensmtpd, "enable", "--yes")
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
    said = opensmtpd.host.run([SCRIPT, "disable", "--yes", "--no-restart"]).stdout.decode()
    assert "still needs sotto" in said
    opensmtpd.stop()
    opensmtpd.host.run(["smtpd"])
    try:
        opensmtpd.await_listening()
        wait.until(lambda: len(opensmtpd.queue()) == 1, [opensmtpd.host.folder], 10, "the queue is read")
        opensmtpd.run_queue()
        arrives(watch, opensmtpd, stranger, message)
        assert opensmtpd.host.run([SCRIPT, "disable", "--yes", "--no-restart"]).returncode == 0
        assert b"sotto" not in opensmtpd.host.read("/etc/smtpd.conf")
    finally:
        opensmtpd.stop()
        opensmtpd.start()
