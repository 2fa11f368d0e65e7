# SPDX-License-Identifier: ISC
"""
The tests of packaging/debian/tests, which Debian's machines run for the installed packages, run here by the contract of autopkgtest: a root for each, what
Depends names is installed, the source tree is the current folder, AUTOPKGTEST_TMP is an empty one, and what is not in Restrictions is not relied on.
"""

import itertools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from . import debs
from .paths import PROJECT

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("needs_sotto")]

CONTROL = PROJECT / "packaging/debian/tests/control"
KNOWN = {"needs-root", "isolation-container", "allow-stderr", "breaks-testbed"}
TREE, TMP = "/tmp/autopkgtest/build/src", "/tmp/autopkgtest/tmp"
KIND = {package: kind for kind, package in debs.PACKAGE.items()}


def listed():
    """[(name, what it depends on, its restrictions)], as the file says."""
    found = []
    for part in CONTROL.read_text(encoding="utf-8").strip().split("\n\n"):
        fields = dict(re.findall(r"(?m)^(\S+): *(.*)$", part))
        found += [(name, re.split(r", *", fields["Depends"]), set(re.split(r", *", fields.get("Restrictions", "")))) for name in re.split(r"[, ]+", fields["Tests"])]
    return found


def test_each_file_is_a_test():
    """Every script is listed once, can be executed, and asks for nothing that is not played here."""
    names = [name for name, _, _ in listed()]
    assert sorted(names) == sorted(path.name for path in CONTROL.parent.iterdir() if path.name != "control")
    assert all((CONTROL.parent / name).stat().st_mode & 0o111 for name in names)
    assert all(restrictions <= KNOWN for _, _, restrictions in listed())


def source_tree(server):
    """The sources where a test finds them, with debian/ where Debian has it."""
    with tempfile.TemporaryDirectory() as folder:
        names = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True).stdout.decode().split("\0")
        for name in filter(lambda name: name and (PROJECT / name).exists(), names):
            target = Path(folder, re.sub("^packaging/debian/", "debian/", name))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target)
        server.host.run(["mkdir", "-p", TMP, TREE])
        subprocess.run(["cp", "-a", "--no-preserve=ownership", f"{folder}/.", str(server.host.path(TREE))], check=True)


@pytest.mark.parametrize("test,release", list(itertools.product(listed(), debs.RELEASES)), ids=lambda one: one if isinstance(one, str) else one[0])
def test_the_installed_package(lab, test, release):
    """It ends well, and says nothing on standard error if it may not."""
    name, depends, restrictions = test
    with debs.stock(lab, KIND[depends[0]], release) as server:
        debs.install(server)
        source_tree(server)
        user = [] if "needs-root" in restrictions else ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        command = f"cd {TREE} && exec env AUTOPKGTEST_TMP={TMP} HOME=/root debian/tests/{name}"
        done = server.host.run([*user, "sh", "-c", command], check=False, seconds=300)
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0 and ("allow-stderr" in restrictions or not done.stderr), said
