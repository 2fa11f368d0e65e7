# SPDX-License-Identifier: ISC
"""The lab: real mail servers, each with a network namespace and a Debian root of its own.

root.py makes the roots, host.py starts hosts in them, net.py wires them together and records what crosses the wire, dns.py
answers their questions, mailserver.py knows how to drive a mail server. lab.py puts it all together for the tests and
the demo. Nothing of it touches the machine's own network, mounts or mail.
"""
