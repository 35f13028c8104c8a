"""A Confluent-compatible schema registry over HTTP: the few questions that a reader of events has."""

from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import HTTPSHandler, Request, build_opener
from uuid import UUID

from streams.errors import SchemaRegistryError, SchemaRegistryUnavailableError

ACCEPTED = "application/vnd.schemaregistry.v1+json, application/json"
AVRO, JSON = "AVRO", "JSON"
"""Types of schemas; a registry leaves out the type of an Avro schema."""

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_LARGEST_ANSWER_BYTES = 16_777_216
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same question may be answered later."""


@dataclass(frozen=True)
class SchemaReference:
    """A schema that another one uses by name."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True)
class RegisteredSchema:
    """A schema as the registry holds it.

    Attributes
    ----------
    type
        ``AVRO``, ``JSON`` or ``PROTOBUF``.
    text
        The schema itself.
    references
        Schemas that it uses.
    """

    type: str
    text: str
    references: tuple[SchemaReference, ...] = ()


@dataclass(frozen=True)
class RegistryAddress:
    """Where a registry is, how to log in and whom to trust.

    Attributes
    ----------
    url
        Base of its Confluent-compatible API, such as ``https://registry:8081``.
    username, password
        For HTTP basic authentication; None for none.
    ssl_ca_certs
        File of CA certificates (PEM) to trust; None for the system's.
    ssl_certfile, ssl_keyfile, ssl_password
        Client certificate, its key (PEM) and the key's passphrase; None for none.
    ssl_check_hostname
        Whether the certificate must name the host of the url.
    timeout_seconds
        How long one answer may take.
    """

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ssl_ca_certs: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_password: str | None = field(default=None, repr=False)
    ssl_check_hostname: bool = True
    timeout_seconds: float = 5.0


class SchemaRegistryClient:
    """Asks a registry; keeps nothing. Nothing is asked before the first call.

    Parameters
    ----------
    address
        Where it is.

    Raises
    ------
    SchemaRegistryError
        If a certificate or key cannot be read.
    """

    def __init__(self, address: RegistryAddress) -> None:
        self.url = address.url.rstrip("/")
        self._timeout = address.timeout_seconds
        self._login: str | None = None
        if address.username is not None:
            login = f"{address.username}:{address.password or ''}".encode()
            self._login = f"Basic {base64.b64encode(login).decode()}"
        self._opener = build_opener(HTTPSHandler(context=_tls(address)))

    def schema(self, identifier: int | UUID) -> RegisteredSchema | None:
        """Get a schema by its number, or by the GUID that newer clients send; None when there is none.

        Raises
        ------
        SchemaRegistryUnavailableError
            If the registry cannot answer right now, refuses the login, or is not trusted.
        SchemaRegistryError
            If the user lacks a right, or what answers is no registry.
        """
        kind = "guids" if isinstance(identifier, UUID) else "ids"
        # A registry that is too old to know GUIDs has not even the address, and says so in its own words.
        return self._schema(f"/schemas/{kind}/{identifier}", any_404=kind == "guids")

    def version(self, reference: SchemaReference) -> RegisteredSchema | None:
        """Get a schema that another one refers to; raises as ``schema`` does."""
        subject = quote(reference.subject, safe="")
        return self._schema(f"/subjects/{subject}/versions/{reference.version}")

    def check(self) -> int:
        """Return the number of subjects, which takes a registry that works and a login that may read."""
        subjects = self._get("/subjects")
        if not isinstance(subjects, list):
            raise self._no_registry()
        return len(subjects)

    def _schema(self, path: str, *, any_404: bool = False) -> RegisteredSchema | None:
        answer = self._get(path, any_404=any_404)
        if answer is None:
            return None
        try:
            references = tuple(
                SchemaReference(one["name"], one["subject"], int(one["version"]))
                for one in answer.get("references") or ()
            )
            return RegisteredSchema(answer.get("schemaType") or AVRO, str(answer["schema"]), references)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._no_registry() from error

    def _get(self, path: str, *, any_404: bool = False) -> Any:
        # The scheme was checked where the config was read; http and https alone have handlers with a host.
        request = Request(self.url + path, headers={"Accept": ACCEPTED})  # noqa: S310
        if self._login is not None:
            # A redirect may lead to another host, whose business the password is not.
            request.add_unredirected_header("Authorization", self._login)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return json.loads(answer.read(_LARGEST_ANSWER_BYTES))
        except HTTPError as error:
            with error:
                if error.code == _NOT_FOUND and (any_404 or _has_error_code(error)):
                    return None
                raise self._refused(error.code) from error
        except (URLError, HTTPException, OSError) as error:
            raise self._unreachable(getattr(error, "reason", error)) from error
        except ValueError as error:
            raise self._no_registry() from error

    def _unreachable(self, reason: object) -> SchemaRegistryUnavailableError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return SchemaRegistryUnavailableError(
                f"The certificate of the schema registry {self.url} is not trusted: {reason.verify_message};"
                " check schema_registry.ssl_ca_certs and schema_registry.url"
            )
        advice = ""
        if isinstance(reason, ssl.SSLError) and reason.reason == "WRONG_VERSION_NUMBER":
            advice = "; it may not speak TLS, without which schema_registry.url begins with http://"
        elif isinstance(reason, ssl.SSLError) and "CERTIFICATE_REQUIRED" in str(reason):
            advice = "; it wants a client certificate, schema_registry.ssl_certfile and ssl_keyfile"
        elif isinstance(reason, (HTTPException, ConnectionResetError)) and self.url.startswith("http:"):
            advice = "; it may want TLS, for which schema_registry.url begins with https://"
        return SchemaRegistryUnavailableError(
            f"The schema registry {self.url} cannot be reached: {reason}{advice}"
        )

    def _refused(self, status: int) -> SchemaRegistryError:
        if status in _BUSY:
            return SchemaRegistryUnavailableError(
                f"The schema registry {self.url} cannot answer now (HTTP status {status})"
            )
        if status == _UNAUTHORIZED:
            # As Kafka's and Redis' it may be refused while a password is being changed.
            return SchemaRegistryUnavailableError(
                f"The schema registry {self.url} refuses the login (HTTP status {status});"
                " check schema_registry.username and schema_registry.password"
            )
        if status == _FORBIDDEN:
            return SchemaRegistryError(
                f"The user of the schema registry {self.url} lacks a right (HTTP status {status});"
                " grant it to read all subjects and schemas."
            )
        return self._no_registry(f" (HTTP status {status})")

    def _no_registry(self, status: str = "") -> SchemaRegistryError:
        return SchemaRegistryError(
            f"What answers at {self.url} is no Confluent-compatible schema registry{status}; check the url,"
            " which may have to end in a path such as /apis/ccompat/v7."
        )


def _tls(address: RegistryAddress) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=address.ssl_ca_certs)
        context.check_hostname = address.ssl_check_hostname
        if address.ssl_certfile is not None:
            # Without a passphrase OpenSSL would ask for one at the terminal.
            context.load_cert_chain(address.ssl_certfile, address.ssl_keyfile, address.ssl_password or "")
    except (OSError, ValueError) as error:
        files = [path for path in (address.ssl_ca_certs, address.ssl_certfile, address.ssl_keyfile) if path]
        raise SchemaRegistryError(
            f"The certificates for the schema registry, {', '.join(files)}, cannot be used: {error}."
        ) from error
    return context


def _has_error_code(error: HTTPError) -> bool:
    """Tell a registry's 'no such schema' from a server that has no such address."""
    try:
        return "error_code" in json.loads(error.read(_LARGEST_ANSWER_BYTES))
    except (ValueError, TypeError):
        return False
