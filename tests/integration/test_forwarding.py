"""``drift-monitor alerts forward`` and ``subscribe`` on a real alert topic."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from monitor.alerts import AlertKind, ReceivedAlert, subscribe
from monitor.config.file import load_config
from streams.errors import KafkaError
from tests.sample_alerts import built, judged
from tests.servers.http_receiver import DROP, HttpReceiver
from tests.traffic import publish
from tests.workers import monitor_config, wait_until

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text()
TOKEN = "t0ken-that-nobody-may-see"


def alerts_of(n: int) -> list[bytes]:
    """Drift that comes and goes: ``n`` alerts with ids of their own."""
    kinds = [AlertKind.DETECTED, AlertKind.RESOLVED]
    return [
        built(kinds[i % 2], judged(sequence=i + 1, first_offset=100 * i), monitor="m").value for i in range(n)
    ]


def ids(values: list[bytes]) -> list[str]:
    return [json.loads(value)["id"] for value in values]


class Forwarding:
    """``drift-monitor alerts forward`` as a process."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config, self._log = config, log

    @property
    def log(self) -> str:
        return self._log.read_text()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it in the block, and end it with SIGTERM."""
        command = [sys.executable, "-m", "monitor.cli.main", "alerts", "forward", "-c", str(self._config)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "TOKEN": TOKEN})
        try:
            yield
            assert process.poll() is None, self.log
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0, self.log
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def topics(topic: Callable[..., str]) -> dict[str, str]:
    return {name: topic(name) for name in ("events", "alerts", "rejected")}


@pytest.fixture
def forwarding(kafka, topics, tmp_path: Path) -> Callable[..., Forwarding]:
    """Prepare to forward to targets by name and type."""

    def prepare(**targets: tuple[str, str]) -> Forwarding:
        config = monitor_config(kafka.bootstrap, "redis://127.0.0.1:1/0", tmp_path, topics)
        config["forward"] = {
            "group": topics["alerts"],
            "targets": [
                {"name": name, "type": kind, "url": url, "headers": {"Authorization": "Bearer ${TOKEN}"}}
                for name, (kind, url) in targets.items()
            ],
        }
        path = tmp_path / "monitor.yaml"
        path.write_text(yaml.safe_dump(config))
        return Forwarding(path, tmp_path / "forward.log")

    return prepare


def test_each_receiver_gets_each_alert_once_and_in_order(forwarding, kafka, topics) -> None:
    alerts = alerts_of(4)
    foreign = built(monitor="another").value
    with HttpReceiver([503, DROP, 500]) as chat, HttpReceiver() as alertmanager:
        forwarder = forwarding(chat=("webhook", chat.url), am=("alertmanager", alertmanager.url))
        publish(
            kafka.bootstrap,
            topics["alerts"],
            [alerts[0], b"no alert", foreign, *alerts[:3]],
            partitions=[0] * 6,
        )
        with forwarder.running():
            wait_until("delivery", lambda: len(chat.taken) == 3 and len(alertmanager.taken) == 3)
        assert [json.loads(posted.body)["id"] for posted in chat.taken] == ids(alerts[:3])
        assert [json.loads(posted.body)["id"] for posted in chat.failed] == ids(alerts[:1] * 3)
        sent = [json.loads(posted.body)[0] for posted in alertmanager.taken]
        assert [alert["annotations"]["alert_id"] for alert in sent] == ids(alerts[:3])
        assert {posted.headers["Authorization"] for posted in chat.taken} == {f"Bearer {TOKEN}"}

        publish(kafka.bootstrap, topics["alerts"], [alerts[3]], partitions=[0])
        with forwarder.running():
            wait_until("the alert that came meanwhile", lambda: len(chat.taken) > 3)
            wait_until("the same for the other", lambda: len(alertmanager.taken) > 3)
        assert [json.loads(posted.body)["id"] for posted in chat.taken] == ids(alerts)
        assert len(alertmanager.taken) == 4
    assert "holds no alert of drift-monitor" in forwarder.log
    assert "answered 503" in forwarder.log
    assert TOKEN not in forwarder.log


def test_what_no_receiver_took_is_delivered_by_the_next_forwarder(forwarding, kafka, topics) -> None:
    (alert,) = alerts_of(1)
    with HttpReceiver([503] * 2 + [200] * 9) as chat:
        forwarder = forwarding(chat=("webhook", chat.url))
        publish(kafka.bootstrap, topics["alerts"], [alert], partitions=[0])
        with forwarder.running():
            wait_until("the first attempt", lambda: chat.failed)
        with forwarder.running():
            wait_until("delivery", lambda: chat.taken)
        assert [json.loads(posted.body)["id"] for posted in chat.taken] == ids([alert])


def test_a_group_goes_on_with_the_alert_that_was_not_handled(kafka, topics) -> None:
    values = alerts_of(3)
    publish(kafka.bootstrap, topics["alerts"], [values[0], values[0], *values[1:]], partitions=[0] * 4)
    group = uuid4().hex

    def read() -> Iterator[ReceivedAlert]:
        return subscribe(
            kafka.bootstrap, topics["alerts"], group=group, from_beginning=True, timeout_seconds=20
        )

    reader = read()
    assert [next(reader).id, next(reader).id] == ids(values[:2])
    reader.close()
    again = read()
    assert [next(again).id, next(again).id] == ids(values[1:])
    again.close()


def test_without_a_group_alerts_are_read_from_where_it_is_asked_for(kafka, topics) -> None:
    values = alerts_of(2)
    publish(kafka.bootstrap, topics["alerts"], values)
    found = subscribe(kafka.bootstrap, topics["alerts"], from_beginning=True, timeout_seconds=0.5)
    assert sorted(alert.id for alert in found) == sorted(ids(values))
    assert list(subscribe(kafka.bootstrap, topics["alerts"], timeout_seconds=0.3)) == []


def test_without_a_group_another_topic_is_told(kafka, topics) -> None:
    publish(kafka.bootstrap, topics["events"], [b"no alert"])
    with pytest.raises(KafkaError, match="is it the right topic"):
        next(subscribe(kafka.bootstrap, topics["events"], from_beginning=True))


def test_the_example_of_the_page_reads_alerts(kafka, topics, tmp_path) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for said, meant in {"localhost:9092": kafka.bootstrap, "drift-alerts": topics["alerts"]}.items():
        assert said in example
        example = example.replace(said, meant)
    (tmp_path / "example.py").write_text(example)
    told = tmp_path / "told.txt"
    with told.open("w") as out:
        process = subprocess.Popen([sys.executable, "-u", str(tmp_path / "example.py")], stdout=out)

    def heard() -> bool:
        # A subscriber without a past begins with what is published from now on.
        publish(kafka.bootstrap, topics["alerts"], alerts_of(2))
        return "offsets 7 to 45 of inference-events[2]" in told.read_text()

    try:
        wait_until("an alert", heard, poll_seconds=0.2)
    finally:
        process.kill()
        process.wait()
    assert "m/eu: p-value 1.2e-09" in told.read_text()


def test_the_config_of_the_page_is_valid(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHAT_WEBHOOK", "https://chat.example/secret")
    monkeypatch.setenv("CHAT_TOKEN", "t0ken")
    (section,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    names = {name: name for name in ("events", "alerts", "rejected")}
    config = monitor_config("localhost:9092", "redis://localhost", tmp_path, names) | yaml.safe_load(section)
    (tmp_path / "monitor.yaml").write_text(yaml.safe_dump(config))
    forward = load_config(tmp_path / "monitor.yaml").forward
    assert forward is not None
    assert [target.type for target in forward.targets] == ["alertmanager", "webhook"]
