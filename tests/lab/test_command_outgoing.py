# SPDX-License-Identifier: ISC
"""`sotto enable` says that it works when both ways do; where what goes out is not in place, all is taken back, and `sotto check` says what is missing."""

import contextlib
import json

import pytest

from .test_command import CRITICAL, OK, SERVERS, SOTTO, WARNING, sotto, sotto_json

pytestmark = pytest.mark.usefixtures("needs_sotto")
LIB, RUN = "/usr/lib/sotto/exim-sotto.so", "/run/sotto"


@pytest.fixture(params=SERVERS)
def host(lab, postfixes, opensmtpds, request):     # pylint: disable=unused-argument
    server = lab.servers[request.param]
    yield server
    sotto(server, "enable", "--yes")


@contextlib.contextmanager
def lame(server):
    """What comes in goes by what is there still, and what goes out lacks one thing."""
    with contextlib.ExitStack() as mended:
        if server.kind == "exim":           # the function that the transports call
            whole = server.host.read(LIB)
            mended.callback(server.host.run, ["rm", "-f", "/var/log/exim4/paniclog"])       # Exim has seen it
            mended.callback(replace, server, whole)
            replace(server, whole.replace(b"\0sotto_out\0", b"\0sotto_our\0"))
            yield "sotto_out"
        elif server.kind == "postfix":      # the daemon that is asked
            server.daemon.stop()
            mended.callback(server.start_daemon)
            yield "sotto-policyd does not answer"
        else:                               # what smtpd's user must be able to see
            server.host.run(["chmod", "700", RUN])
            mended.callback(server.host.run, ["chmod", server.run_mode, RUN])
            yield "closed to smtpd's user"


def replace(server, octets):
    """Another library in the place of the one that is loaded, as a package would do it."""
    server.host.path(LIB).unlink()
    server.host.write(LIB, octets)


def test_what_goes_out_is_in_place(host):
    """On a host of the lab, check says so; with what goes out broken, it says what is missing, and what is to be done."""
    assert [one["level"] for one in sotto_json(host, "check")["findings"] if one["check"] == "outgoing"] == ["ok"]
    with lame(host) as why:
        said = [one for one in sotto_json(host, "check", code=CRITICAL)["findings"] if one["level"] == "critical"]
        assert said and said[0]["remedy"], said
        assert host.kind == "postfix" or [one for one in said if one["check"] == "outgoing" and why in one["says"]], said
    assert sotto_json(host, "check")["level"] == "ok"


@pytest.mark.parametrize("host", ["c", "g", "j"], indirect=True)
def test_enable_takes_back_what_does_not_go_out(host):
    """A session that comes in is sealed, and what goes out cannot be: enable says so, and takes all back."""
    sotto(host, "disable", "--yes")
    with lame(host) as why:
        done = host.host.run([SOTTO, "enable", "--yes"], check=False)
        said = done.stderr.decode()
        assert done.returncode == CRITICAL and "Mail that goes out is not sealed (" in said and why in said and "switched off again" in said, said
        found = json.loads(host.host.run([SOTTO, "status", "--json"], check=False).stdout)
        assert found["servers"] == {host.kind: "off"} and found["since"] == 0
    assert "works: a session of our own was sealed" in sotto(host, "enable", "--yes")


@pytest.mark.long
def test_enable_when_it_is_on_and_does_not_go_out(host):
    """The same where it was on already: said, and it stays as it is; the administrator had it so."""
    with lame(host) as why:
        done = host.host.run([SOTTO, "enable", "--yes"], check=False)
        assert done.returncode == CRITICAL and b"was switched on already. Mail that goes out is not sealed" in done.stderr and why.encode() in done.stderr, done
    assert sotto_json(host, "status")["servers"] == {host.kind: "on"}


def test_a_setting_against_what_goes_out(lab, postfixes):
    """Mail that goes to a relayhost is not sealed: enable and check say which setting it is, and leave it to the administrator."""
    server = postfixes["f"]
    with server.configured(relayhost="[relay.example]"):
        warnings = sotto_json(server, "enable", "--yes")["warnings"]
        assert [one for one in warnings if "relayhost" in one["says"]], warnings
        said = [one for one in sotto_json(server, "check", code=WARNING)["findings"] if one["level"] != "ok"]
        assert [one["check"] for one in said] == ["outgoing"] and "relayhost" in said[0]["says"], said
    assert sotto_json(server, "check", code=OK)["level"] == "ok"
