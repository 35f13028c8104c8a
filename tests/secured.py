"""A Kafka and a Redis with every lock that the product has keys for, and the rights that the docs list."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.servers.certificates import Authority, CertificateFiles
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer

DOCS = Path(__file__).resolve().parents[1] / "docs" / "security.md"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
PASSWORD = "correct-horse"
PLAIN_USERS = ("admin", "drift-worker")


class SecuredKafka:
    """One broker that refuses whatever is not allowed, with a listener for each way to log in.

    ``SASL_SSL`` on ``CLIENTS``, ``SASL_PLAINTEXT`` on ``UNCIPHERED``, client certificates on ``MUTUAL``, a
    wrong certificate on ``EXPIRED`` and ``ELSEWHERE``, and a new login every two seconds on ``IMPATIENT``.
    Whoever uses ``INTERNAL`` may do everything.

    Parameters
    ----------
    directory
        Where certificates go.
    """

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self.strangers = Authority(directory / "strangers")
        good = self.authority.issue("127.0.0.1", "localhost")
        certificates = {
            "CLIENTS": good,
            "MUTUAL": good,
            "EXPIRED": self.authority.issue("127.0.0.1", expired=True),
            "ELSEWHERE": self.authority.issue("elsewhere.example"),
        }
        users = " ".join(f'user_{name}="{PASSWORD}"' for name in PLAIN_USERS)
        properties = {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:admin",
            "ssl.principal.mapping.rules": r"RULE:^.*CN=([^,]+).*$/$1/",
            "listener.name.mutual.ssl.client.auth": "required",
            "auto.create.topics.enable": "false",
        }
        for listener in ("clients", "unciphered", "expired", "elsewhere", "impatient"):
            prefix = f"listener.name.{listener}"
            properties[f"{prefix}.plain.sasl.jaas.config"] = f"{PLAIN} required {users};"
            for mechanism in ("256", "512"):
                properties[f"{prefix}.scram-sha-{mechanism}.sasl.jaas.config"] = f"{SCRAM} required;"
        properties["listener.name.impatient.scram-sha-256.connections.max.reauth.ms"] = "2000"
        for listener, files in certificates.items():
            properties |= files.kafka_listener(listener)
        self.broker = KafkaBroker(
            security_protocol="SASL_SSL",
            more_listeners={
                "UNCIPHERED": "SASL_PLAINTEXT",
                "MUTUAL": "SSL",
                "EXPIRED": "SASL_SSL",
                "ELSEWHERE": "SASL_SSL",
                "IMPATIENT": "SASL_PLAINTEXT",
            },
            extra_properties=properties,
        ).start()
        self.admin = AdminClient({"bootstrap.servers": self.broker.internal_bootstrap})

    def close(self) -> None:
        """Stop the broker."""
        self.broker.close()

    def client(self, user: str = "admin", **changes: str | None) -> dict[str, Any]:
        """Return properties of a client that logs in by PLAIN over TLS, or with changes; None leaves out."""
        properties: dict[str, str | None] = {
            "bootstrap.servers": self.broker.bootstrap,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": PASSWORD,
            "ssl.ca.location": str(self.authority.certificate),
        }
        properties |= {name.replace("_", "."): value for name, value in changes.items()}
        return {name: value for name, value in properties.items() if value is not None}

    def client_with(self, certificate: CertificateFiles | None, **changes: str | None) -> dict[str, Any]:
        """Return properties of a client that shows a certificate instead of logging in."""
        shown = (
            {}
            if certificate is None
            else {
                "ssl.certificate.location": str(certificate.certificate),
                "ssl.key.location": str(certificate.key),
            }
        )
        without = dict.fromkeys(("sasl_mechanism", "sasl_username", "sasl_password"))
        address = self.broker.address("MUTUAL")
        return {
            **self.client(bootstrap_servers=address, security_protocol="SSL", **without),  # type: ignore[arg-type]
            **shown,
            **{name.replace("_", "."): value for name, value in changes.items()},
        }

    def scram(self, user: str, password: str = PASSWORD) -> None:
        """Let a user log in by SCRAM-SHA-256 and -512, or change the password."""
        changes = [
            UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), password.encode())
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
        ]
        for change in changes:
            self.admin.alter_user_scram_credentials([change])[user].result(timeout=30)

    def create_topics(self, *names: str, **config: str) -> None:
        """Create topics of one partition."""
        topics = [
            NewTopic(name, 1, config={k.replace("_", "."): v for k, v in config.items()}) for name in names
        ]
        for created in self.admin.create_topics(topics).values():
            created.result(timeout=30)

    def allow(self, *rules: AclBinding) -> None:
        """Give rights."""
        for created in self.admin.create_acls(list(rules)).values():
            created.result(timeout=30)

    def withdraw(self, *rules: AclBinding) -> None:
        """Take rights away."""
        filters = [
            AclBindingFilter(
                rule.restype,
                rule.name,
                rule.resource_pattern_type,
                rule.principal,
                rule.host,
                rule.operation,
                rule.permission_type,
            )
            for rule in rules
        ]
        for deleted in self.admin.delete_acls(filters).values():
            deleted.result(timeout=30)


class SecuredRedis:
    """A Redis that speaks TLS only, with the users that the docs list and no rights for anybody else.

    Parameters
    ----------
    directory
        Where certificates go.
    """

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self.strangers = Authority(directory / "strangers")
        self.certificate = self.authority.issue("127.0.0.1")
        users = [f"{name} on >{PASSWORD} {' '.join(rules)}" for name, rules in redis_rights().items()]
        options = {"user": [f"default on >{PASSWORD} ~* &* +@all", *users], "tls-auth-clients": "optional"}
        self.server = RedisServer(options, password=PASSWORD, tls=self.certificate).start()
        self.admin = self.server.client()
        self.url = f"rediss://127.0.0.1:{self.server.port}/0"

    def close(self) -> None:
        """Stop it."""
        self.admin.close()
        self.server.close()

    def client(self, user: str = "drift-worker", **changes: Any) -> dict[str, Any]:
        """Return the ``redis`` section of a config, with changes; None leaves out."""
        section = {
            "url": self.url,
            "username": user,
            "password": PASSWORD,
            "ssl_ca_certs": str(self.authority.certificate),
            **changes,
        }
        return {key: value for key, value in section.items() if value is not None}

    def show(self, certificate: CertificateFiles) -> None:
        """Let the server show another certificate from now on."""
        self.admin.config_set(
            "tls-cert-file", str(certificate.certificate), "tls-key-file", str(certificate.key)
        )

    def change(self, user: str, *rules: str) -> None:
        """Change what a user may do, as ``ACL SETUSER`` does."""
        self.admin.execute_command("ACL", "SETUSER", user, *rules)

    def commands_run(self) -> set[str]:
        """Return the commands that were carried out since ``CONFIG RESETSTAT``."""
        stats: Any = self.admin.info("commandstats")
        return {name.removeprefix("cmdstat_") for name, counts in stats.items() if counts["calls"]}


def kafka_rights(names: Mapping[str, str]) -> dict[str, list[AclBinding]]:
    """Read the ``kafka-acls.sh`` commands of the docs and return the rights that they give, by user.

    Parameters
    ----------
    names
        What stands in the place of the topics and groups of the docs.
    """
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
    rights: dict[str, list[AclBinding]] = {}
    for words in _commands("kafka-acls.sh"):
        given = parser.parse_args([word for word in words[1:] if word != "$CONNECTION"])
        resources = [(ResourceType.TOPIC, name) for name in given.topic]
        resources += [(ResourceType.GROUP, name) for name in given.group]
        rights.setdefault(given.allow_principal.removeprefix("User:"), []).extend(
            AclBinding(
                kind,
                names[name],
                ResourcePatternType[given.resource_pattern_type.upper()],
                given.allow_principal,
                "*",
                AclOperation[operation.upper()],
                AclPermissionType.ALLOW,
            )
            for kind, name in resources
            for operation in given.operation
        )
    return rights


def redis_rights() -> dict[str, list[str]]:
    """Read the ``ACL SETUSER`` commands of the docs and return each user's rules, the password left out."""
    return {
        words[2]: [rule for rule in words[3:] if not rule.startswith(">")]
        for words in _commands("ACL")
        if words[1] == "SETUSER"
    }


def _commands(program: str) -> Iterator[list[str]]:
    for block in re.findall(r"^```\w*\n(.*?)^```", DOCS.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == [program]:
                yield words
