# SPDX-License-Identifier: ISC
"""
A firewall that lets only the mail server's own user connect to others' port 25, made by nft, in force: with Sotto, somebody else connects. Mail goes as it did
without Sotto, `sotto enable` and `sotto check` tell why, and the rule that they ask for is enough.
"""

import pytest

from . import debs
from .test_command import OK, WARNING, sotto_json
from .test_exim import arrives, letter

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_sotto")]
OWN = {"postfix": "postfix", "opensmtpd": "opensmtpd"}
RULES = """
flush ruleset
table inet egress {
	chain output {
		type filter hook output priority filter; policy accept;
		oif lo accept
		meta skuid { %s } tcp dport 25 accept
		tcp dport 25 reject with tcp reset
	}
}
"""


@pytest.fixture(params=[("postfix", "bookworm"), ("opensmtpd", "trixie")], ids="-".join)
def server(lab, request):
    with debs.fresh(lab, *request.param) as made:
        debs.install(made)
        yield made


def firewall(server, *users):
    """Root is among them: it is as root that `sotto probe` and tests connect."""
    server.host.run(["nft", "-f", "-"], (RULES % ", ".join(("root", *users))).encode())


def warned(server, code):
    return [one for one in sotto_json(server, "check", code=code)["findings"] if one["level"] != "ok"]


def test_a_firewall_by_user(lab, server, watch):
    """Told, and mail goes natively; with our user named nothing is said, and mail is sealed."""
    peer = lab.servers["a"]
    firewall(server, OWN[server.kind])
    warnings = sotto_json(server, "enable", "--yes")["warnings"]
    assert [one["check"] for one in warnings] == ["firewall"] and "_sotto" in warnings[0]["says"] and "_sotto" in warnings[0]["remedy"], warnings
    assert [one["check"] for one in warned(server, WARNING)] == ["firewall"]
    message = letter(server, peer)
    server.submit(message)
    arrives(watch, server, peer, message)
    assert not watch.said(server, "connect", outcome="sealed")
    firewall(server, OWN[server.kind], "_sotto")
    assert sotto_json(server, "enable", "--yes")["warnings"] == [] and not warned(server, OK)
    server.forget()
    message = letter(server, peer)
    server.submit(message)
    arrives(watch, server, peer, message)
    watch.await_said(server, "connect", "sealed")
