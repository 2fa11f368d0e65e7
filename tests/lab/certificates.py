# SPDX-License-Identifier: ISC
"""Certificates for the lab's mail servers, by an authority of the lab's own, or by nobody that anyone knows."""

import re
import subprocess

CERTIFICATE, KEY = "/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/ssl/private/ssl-cert-snakeoil.key"     # where Debian's main.cf looks
AUTHORITY = "/etc/ssl/lab-authority.pem"
USED = {"smtpd_tls_cert_file": CERTIFICATE, "smtpd_tls_key_file": KEY}      # Debian 12's main.cf says the same


def _openssl(folder, *words):
    return subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True).stdout.decode()


def _authority(lab):
    folder = lab.folder / "authority"
    if not folder.is_dir():
        folder.mkdir()
        _openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem",
                 "-subj", "/CN=The authority of the lab")
    return folder


def certified(lab, server, name=None):
    """
    The server has a certificate where Debian's configuration of Postfix has its own, made for its own name or for another one, and the authority's in AUTHORITY.
    Its fingerprint (SHA-256), as Postfix writes it; made once for the same name.
    """
    name, folder = name or server.name, _authority(lab)
    if not (folder / f"{name}.pem").exists():
        _openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}",
                 "-addext", f"subjectAltName=DNS:{name}")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-copy_extensions", "copy",
                 "-out", f"{name}.pem")
    server.host.write(CERTIFICATE, (folder / f"{name}.pem").read_bytes())
    server.host.write(KEY, (folder / f"{name}.key").read_bytes(), 0o600)
    server.host.write(AUTHORITY, (folder / "ca.pem").read_bytes())
    said = _openssl(folder, "x509", "-in", f"{name}.pem", "-noout", "-fingerprint", "-sha256")
    return re.search(r"=(\S+)", said).group(1)
