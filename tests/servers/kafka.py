"""Apache Kafka as one process in KRaft mode, for tests."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.servers.kafka_jars import LOG_CONFIG, class_path, java_executable, missing
from tests.servers.ports import HOST, free_ports
from tests.servers.process import ServerError, ServerProcess

CLUSTER_ID = "ZHJpZnQtbW9uaXRvci0wMQ"
"""22 characters of base64, as the storage tool wants them; any would do."""

START_SECONDS = 90.0
PROBE_SECONDS = 1.0


class KafkaBroker:
    """One broker and controller in one process, on 127.0.0.1, with its data in a temporary directory.

    Clients use the listener ``CLIENTS`` on :attr:`bootstrap`. A second listener, ``INTERNAL`` on
    :attr:`internal_bootstrap`, is always plaintext: the broker itself uses it, the readiness check too, and a
    test may, to look behind a secured ``CLIENTS`` listener. Ports and data survive :meth:`restart` and
    :meth:`kill` followed by :meth:`start`.

    Parameters
    ----------
    security_protocol
        Protocol of ``CLIENTS``: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
    more_listeners
        Protocols of further listeners by name; :meth:`address` tells where they are.
    extra_properties
        Broker properties on top of the defaults below. What a listener with passwords needs::

            sasl.enabled.mechanisms = PLAIN
            listener.name.clients.plain.sasl.jaas.config =
                org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="secret";

        and one with TLS: see ``CertificateFiles.kafka_listener``.
    heap
        Java's heap, such as ``512m``.
    """

    real = True

    def __init__(
        self,
        *,
        security_protocol: str = "PLAINTEXT",
        more_listeners: Mapping[str, str] | None = None,
        extra_properties: Mapping[str, str] | None = None,
        heap: str = "512m",
    ) -> None:
        self.extra_properties = dict(extra_properties or {})
        self.heap = heap
        self._protocols = {
            "CLIENTS": security_protocol,
            "INTERNAL": "PLAINTEXT",
            "CONTROLLER": "PLAINTEXT",
            **(more_listeners or {}),
        }
        self._ports = dict(zip(self._protocols, free_ports(len(self._protocols)), strict=True))
        self._directory: Path | None = None
        self._process: ServerProcess | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return self.address("CLIENTS")

    @property
    def internal_bootstrap(self) -> str:
        """``host:port`` of the plaintext listener."""
        return self.address("INTERNAL")

    def address(self, listener: str) -> str:
        """Return ``host:port`` of a listener."""
        return f"{HOST}:{self._ports[listener]}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Process id."""
        return self._server.pid

    def start(self) -> KafkaBroker:
        """Start and wait until the broker answers a metadata request; returns itself.

        Raises
        ------
        ServerError
            If Kafka cannot be run here or does not start; the message ends with the log's last lines.
        """
        if self._process is None:
            self._process = self._prepare()
        self._process.start(self._answers, START_SECONDS)
        return self

    def stop(self) -> None:
        """Shut down in order; the data stay for a later :meth:`start`."""
        if self._process is not None:
            self._process.stop()

    def restart(self) -> None:
        """Shut down in order and start again on the same ports with the same data."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._server.kill()

    def freeze(self) -> None:
        """Halt the process while its connections stay open."""
        self._server.freeze()

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._server.thaw()

    def close(self) -> None:
        """Stop and remove the data; the broker is not used again."""
        self.stop()
        self._process = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def log_tail(self, lines: int = 25) -> str:
        """Return the last lines of the broker's log."""
        return self._server.log_tail(lines)

    def __enter__(self) -> KafkaBroker:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def _server(self) -> ServerProcess:
        if self._process is None:
            raise ServerError("This Kafka broker has not been started.")
        return self._process

    def _answers(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.internal_bootstrap, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=PROBE_SECONDS).brokers)
        except KafkaException:
            return False

    def _prepare(self) -> ServerProcess:
        if (why := missing()) is not None:
            raise ServerError(f"Apache Kafka cannot be run here: {why}.")
        self._directory = Path(tempfile.mkdtemp(prefix="drift-monitor-kafka-"))
        config = self._directory / "server.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in self._properties().items()))
        storage = ["format", "--cluster-id", CLUSTER_ID, "--config", str(config)]
        formatted = subprocess.run(
            self._java("kafka.tools.StorageTool", *storage), capture_output=True, text=True, check=False
        )
        if formatted.returncode != 0:
            said = formatted.stdout + formatted.stderr
            raise ServerError(f"Apache Kafka could not format its storage with {config}. It said:\n{said}")
        return ServerProcess(
            f"Apache Kafka at {self.bootstrap}",
            self._java("kafka.Kafka", str(config)),
            self._directory / "server.log",
        )

    def _java(self, main: str, *arguments: str) -> list[str]:
        java = java_executable()
        assert java is not None
        return [
            java,
            f"-Xmx{self.heap}",
            "-XX:+UseSerialGC",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={LOG_CONFIG.as_uri()}",
            "-cp",
            class_path(),
            main,
            *arguments,
        ]

    def _properties(self) -> dict[str, str]:
        listeners = [f"{name}://{self.address(name)}" for name in self._protocols]
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.address('CONTROLLER')}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "INTERNAL",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(at for at in listeners if not at.startswith("CONTROLLER")),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in self._protocols.items()
            ),
            "log.dirs": f"{self._directory}/data",
            "num.partitions": "1",
            "auto.create.topics.enable": "true",
            # One node: what a cluster keeps three times is kept once, and in few partitions.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            # A group that a test joins starts at once instead of waiting 3 s for more members.
            "group.initial.rebalance.delay.ms": "0",
            # After a kill the controller waits for the old registration to expire; 9 s by default.
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "3000",
            # The log cleaner's 128 MB buffer would be a quarter of the heap.
            "log.cleaner.dedupe.buffer.size": "2097152",
            **self.extra_properties,
        }
