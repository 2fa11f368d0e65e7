# SPDX-License-Identifier: ISC
"""Debian roots made by mmdebstrap, kept under build/lab/roots and never written to afterwards.

A root is known by its kind, its release and a hash of its recipe, so that a changed recipe makes a new root. Which mirror
it comes from is the machine's own apt configuration's business.
"""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from .paths import PROJECT, ROOTS, Failed, Missing

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PUBLIC = {"main": "http://deb.debian.org/debian", "security": "http://deb.debian.org/debian-security"}

# What sotto-session and the sotto command are linked with; Debian 13 renamed two of them.
SOTTO = {
    "bookworm": ["libevent-core-2.1-7", "libc-ares2", "libtomcrypt1", "libinih1", "libjansson4"],
    "trixie": ["libevent-core-2.1-7t64", "libcares2", "libtomcrypt1", "libinih1", "libjansson4"],
}

# What a new administrator has besides: apt, and what a firewall is made with.
NEW = ["apt", "nftables"]

# What packages of Sotto's make users and folders with, where systemd does not run.
STANDALONE = ["systemd-standalone-sysusers", "systemd-standalone-tmpfiles"]


def _build_depends():
    """What debian/control builds with, debhelper's own word for itself excepted."""
    text = (PROJECT / "packaging/debian/control").read_text(encoding="utf-8")
    listed = re.search(r"(?m)^Build-Depends:((?:.*\n)(?: .*\n)*)", text).group(1)
    return sorted(word.split()[0] for word in listed.split(",") if not word.strip().startswith("debhelper"))


KINDS = {
    "exim": {"packages": ["exim4-daemon-heavy", "netbase", "ca-certificates", "openssl", "swaks", *STANDALONE], "sotto": True},
    # Cyrus SASL: with it a client's password is asked for on port 587
    "postfix": {"packages": ["postfix", "netbase", "ca-certificates", "openssl", "libseccomp2", "libsasl2-modules", "sasl2-bin", *STANDALONE], "sotto": True},
    "opensmtpd": {"packages": ["opensmtpd", "netbase", "ca-certificates", "openssl", "libcap2-bin", *STANDALONE], "sotto": True},
    "dns": {"packages": ["nsd"], "sotto": False},
    # a resolver that validates, and what zones are signed with; only where a test asks for DNSSEC
    "resolver": {"packages": ["unbound", "ldnsutils"], "sotto": False},
    # its filters are asked what they see in our mail servers' logs; it never runs
    "fail2ban": {"packages": ["fail2ban"], "sotto": False},
    # its lists of system calls; it never runs
    "systemd": {"packages": ["systemd"], "sotto": False},
    # for packaging/make-deb: what debian/control builds with
    "build": {"packages": ["build-essential", "debhelper", "lintian", *_build_depends()], "sotto": False},
}

# The same mail servers, for installing Sotto's packages in; they are not as the others, so that those stay small.
KINDS.update({f"new-{kind}": {"packages": KINDS[kind]["packages"] + NEW, "sotto": True} for kind in ("exim", "postfix", "opensmtpd")})

OPTIONS = ["--variant=essential", "--mode=root", "--format=directory",
           "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
           "--dpkgopt=path-exclude=/usr/share/locale/*",
           "--aptopt=Apt::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\""]


def recipe(kind, release):
    """Everything that makes a root what it is, mirror excepted."""
    what = KINDS[kind]
    packages = what["packages"] + (SOTTO[release] if what["sotto"] else [])
    return {"format": 1, "release": release, "packages": packages, "options": OPTIONS}


def name(kind, release):
    text = json.dumps(recipe(kind, release), sort_keys=True)
    return f"{kind}-{release}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _codename():
    with open("/etc/os-release", encoding="utf-8") as f:
        found = re.search(r"^VERSION_CODENAME=(\w+)", f.read(), re.M)
    return found.group(1) if found else ""


def mirrors():
    """The machine's own mirrors for Debian and its security updates, Debian's public ones where it has none."""
    found = dict(PUBLIC)
    own = _codename()
    want = {own: "main", f"{own}-security": "security"}
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                             "Created-By: Packages"], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        uri, release, component = line.split(" ")
        if component == "main" and release in want and "debian" in uri.rsplit("//", 1)[-1]:
            found[want.pop(release)] = uri.rstrip("/")
    return found


def _apt_options():
    """How the machine's apt reaches its mirrors: proxies, certificates, a clock that is off."""
    dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False).stdout
    wanted = re.compile(r'^(Acquire::(https?(::\S+)?::(Proxy\S*|Verify\S*|CaInfo|CaPath|Timeout)|Check-Date|Check-Valid-Until'
                        r'|ForceIPv4|ForceIPv6|Retries)) "(.+)";$', re.M)
    return [f'--aptopt={m.group(1)} "{m.group(m.lastindex)}"' for m in wanted.finditer(dump)]


def _make(kind, release, path):
    have = mirrors()
    sources = [f"deb [signed-by={KEYRING}] {have['main']} {release} main",
               f"deb [signed-by={KEYRING}] {have['security']} {release}-security main"]
    part = path.with_name(path.name + ".part")
    log = path.with_name(path.name + ".log")
    subprocess.run(["rm", "-rf", "--one-file-system", str(part)], check=True)
    command = ["mmdebstrap", *OPTIONS, *_apt_options(), "--include=" + ",".join(recipe(kind, release)["packages"]),
               release, str(part), *sources]
    with open(log, "wb") as out:
        out.write((" ".join(command) + "\n").encode())
        out.flush()
        result = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        with open(log, encoding="utf-8", errors="replace") as f:
            why = [line[3:].strip() for line in f if line.startswith("E: ")] or ["mmdebstrap failed"]
        raise Failed(f"Debian's packages for a {release} root cannot be had ({why[0]}): see to this machine's network and apt "
                     f"sources; all of it is in {log}.")
    part.rename(path)


def _forget_older(kind, release, keep):
    for old in ROOTS.glob(f"{kind}-{release}-*"):
        if not old.name.startswith(keep.name):
            subprocess.run(["rm", "-rf", "--one-file-system", str(old)], check=True)


def get(kind, release, say=lambda text: None):
    """The path of a root that is complete. Made now if it isn't there; two runs at once wait for each other."""
    if not shutil.which("mmdebstrap"):
        raise Missing("mmdebstrap is missing; `sh tests/setup/need demo` installs it.")
    ROOTS.mkdir(parents=True, exist_ok=True)
    path = ROOTS / name(kind, release)
    with open(ROOTS / f".{kind}-{release}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_dir():
            say(f"making a Debian root ({kind}, {release}); this happens once")
            _make(kind, release, path)
            _forget_older(kind, release, path)
    return path


def get_all(wanted, say=lambda text: None):
    """The same for several (kind, release) at a time."""
    wanted = sorted(set(wanted))
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(wanted, pool.map(lambda one: get(*one, say=say), wanted)))
