# SPDX-License-Identifier: ISC
"""The RPM packages: built, and looked into. They are installed nowhere here (packaging/rpm/README)."""

import re
import shutil
import subprocess

import pytest

from .paths import PROJECT, STAGED

pytestmark = pytest.mark.long

PACKAGES = {"sotto-common", "exim4-sotto", "postfix-sotto", "opensmtpd-filter-sotto"}


@pytest.fixture(scope="module")
def rpms():
    """Each package's name and file. rpmlint has no error, or there are none."""
    if not (shutil.which("rpmbuild") and shutil.which("rpmlint")):
        pytest.skip("rpmbuild or rpmlint is missing; `sh tests/setup/need rpm` installs them")
    done = subprocess.run([PROJECT / "packaging/make-rpm"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {query(path, "%{NAME}").strip(): path for path in (PROJECT / "build/rpm").glob("*.rpm")}


def query(path, form):
    return subprocess.run(["rpm", "-qp", "--nosignature", "--qf", form, path], capture_output=True, text=True, check=True).stdout


def files(path):
    """The names of all that is no folder."""
    lines = (line.split(" ", 1) for line in query(path, "[%{FILEMODES:perms} %{FILENAMES}\n]").splitlines())
    return [name for perms, name in lines if not perms.startswith("d")]


def installed():
    """What `make install` puts where, with the names that Fedora has for three places."""
    names = (f"/{path.relative_to(STAGED)}" for path in STAGED.rglob("*") if path.is_file())
    return {name.replace("/usr/lib/sotto/", "/usr/lib64/sotto/").replace("vendor-completions", "site-functions") for name in names}


def test_everything_is_in_one_package(rpms):
    """What is installed from the sources is in the packages, each file once, and with the version of the Debian packages."""
    assert set(rpms) == PACKAGES
    found = [name for path in rpms.values() for name in files(path) if not name.startswith("/usr/share/doc/") and not re.search("/licenses/|/[.]build-id/", name)]
    assert len(found) == len(set(found))
    found = {re.sub(r"(/man/.*)\.gz$", r"\1", name).replace("/usr/lib/sotto/", "/usr/lib64/sotto/") for name in found}
    assert installed() <= found and {name.rpartition("/")[2] for name in found - installed()} <= {"sotto-exim.conf"}
    version = re.match(r"sotto \(([^-]+)-", (PROJECT / "packaging/debian/changelog").read_text(encoding="utf-8")).group(1)
    assert {query(path, "%{VERSION}") for path in rpms.values()} == {version}


def test_what_scripts_rely_on(rpms):
    """Removal is stopped where the mail server cannot be switched back; settings stay the administrator's; the filter may listen on port 25."""
    for name, script in (("exim4-sotto", "sotto-exim"), ("postfix-sotto", "sotto-postfix"), ("opensmtpd-filter-sotto", "sotto-opensmtpd")):
        assert re.search(rf"\[ \$1 -ne 0 \] \|\| /usr/libexec/sotto/{script} disable \|\| exit 1", query(rpms[name], "%{PREUN}")), name
    flags = dict(line.rsplit(" ", 1) for line in query(rpms["sotto-common"], "[%{FILENAMES} %{FILEFLAGS:fflags}\n]").splitlines())
    assert {name for name, flag in flags.items() if flag == "cn"} == {"/etc/sotto/sotto.conf", "/etc/sotto/require", "/etc/sotto/exclude"}
    assert "/usr/libexec/opensmtpd/filter-sotto cap_net_bind_service=ep\n" in query(rpms["opensmtpd-filter-sotto"], "[%{FILENAMES} %{FILECAPS}\n]")
