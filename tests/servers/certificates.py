"""Certificates for servers on 127.0.0.1 and for clients, each test run with an authority of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


@dataclass(frozen=True)
class CertificateFiles:
    """A key and its certificate as PEM files.

    Attributes
    ----------
    certificate
        The certificate.
    key
        Its private key (PKCS #8), encrypted if a passphrase was asked for.
    both
        Key and certificate in one file, as Kafka takes them.
    authority
        Certificate of the authority that others verify it against.
    """

    certificate: Path
    key: Path
    both: Path
    authority: Path

    def kafka_listener(self, name: str) -> dict[str, str]:
        """Return the broker properties of a listener with this certificate, its passphrase left out."""
        prefix = f"listener.name.{name.lower()}.ssl"
        return {
            f"{prefix}.keystore.type": "PEM",
            f"{prefix}.keystore.location": str(self.both),
            f"{prefix}.truststore.type": "PEM",
            f"{prefix}.truststore.location": str(self.authority),
        }


class Authority:
    """A certificate authority that nobody else knows.

    Parameters
    ----------
    directory
        Where files go.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._ca = trustme.CA()
        self.certificate = directory / "authority.pem"
        self._ca.cert_pem.write_to_path(self.certificate)

    def issue(
        self,
        *identities: str,
        name: str | None = None,
        expired: bool = False,
        passphrase: str | None = None,
    ) -> CertificateFiles:
        """Issue a certificate for host names, addresses or, with ``name`` alone, a client."""
        now = datetime.now(timezone.utc)
        leaf = self._ca.issue_cert(
            *(identities or (f"{name}.invalid",)),
            common_name=name,
            not_before=now - timedelta(days=2),
            not_after=now + timedelta(days=-1 if expired else 1),
        )
        key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), password=None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()
            if passphrase is None
            else serialization.BestAvailableEncryption(passphrase.encode()),
        )
        chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
        stem = f"{name or identities[0]}{'-expired' if expired else ''}{'-locked' if passphrase else ''}"
        files = CertificateFiles(
            *(self._directory / f"{stem}{end}.pem" for end in ("", "-key", "-both")), self.certificate
        )
        files.certificate.write_bytes(chain)
        files.key.write_bytes(key)
        files.both.write_bytes(key + chain)
        return files
