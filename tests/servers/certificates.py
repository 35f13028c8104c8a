"""Self-signed certificates for 127.0.0.1, made with the ``keytool`` that every Java brings along."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CertificateFiles:
    """A server's key and certificate, and what clients verify it against.

    Attributes
    ----------
    keystore
        PKCS #12 file with key and certificate, for Java.
    password
        Its password.
    certificate
        The certificate as PEM; being self-signed, it is its own authority.
    """

    keystore: Path
    password: str
    certificate: Path


def make_certificate(java: str, directory: Path) -> CertificateFiles:
    """Make a certificate for 127.0.0.1 and localhost, valid for a day."""
    files = CertificateFiles(directory / "server.p12", "changeit", directory / "server.pem")
    keytool = Path(java).with_name("keytool")
    store = ["-keystore", str(files.keystore), "-storepass", files.password, "-alias", "server"]
    names = ["-dname", "CN=localhost", "-ext", "SAN=ip:127.0.0.1,dns:localhost"]
    made = ["-genkeypair", "-keyalg", "EC", "-validity", "1", "-storetype", "PKCS12", *names]
    subprocess.run([keytool, *made, *store], check=True, capture_output=True)
    exported = ["-exportcert", "-rfc", "-file", str(files.certificate)]
    subprocess.run([keytool, *exported, *store], check=True, capture_output=True)
    return files
