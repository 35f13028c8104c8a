"""Config files in, configs or sentences out."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.config import Config
from monitor.config.file import MAX_BYTES, load_config
from monitor.errors import ConfigError

GOOD = """\
kafka: {bootstrap.servers: "localhost:9092", group.id: drift-monitor}
redis: {url: "redis://localhost:6379/0"}
worker: {batch_size: 100}
monitors:
  - name: cifar10
    input: {topic: inference-events, format: json}
    detector: models/cifar10
    window: {size: 100}
    test: {p_val: 0.05, alternative: higher}
    alerts: {topic: drift-alerts, raise_after: 2, resolve_after: 3}
    dead_letters: {topic: inference-events-rejected}
"""
Faults = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Config]:
    def load_text(text: str | bytes, **environ: str) -> Config:
        path = tmp_path / "monitor.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path, environ)

    return load_text


@pytest.fixture
def faults(load: Callable[..., Config], tmp_path: Path) -> Faults:
    """Load a text that is wrong and return its faults without the directory of the file."""

    def faults_of(text: str | bytes, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        assert caught.value.__cause__ is None
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return faults_of


def test_the_documented_example_loads(load: Callable[..., Config], tmp_path: Path) -> None:
    config = load(GOOD)

    assert config.monitors[0].detector == tmp_path / "models/cifar10"
    assert config.monitors[0].alerts.raise_after == 2


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        (
            "{size: 100}",
            "{sise: 100, size: 100}",
            "8: monitors[0].window.sise is not a known key; did you mean 'size'?",
        ),
        ("worker", "wrkr", "3: wrkr is not a known key; did you mean 'worker'?"),
        (
            "worker:",
            "xyz:",
            "3: xyz is not a known key; known here are kafka, redis, schema_registry, worker, state",
        ),
        (
            "{size: 100}",
            "{size: 100, hunter2 x: }",
            "8: monitors[0].window.(a key that is no name) is not a known key",
        ),
        (
            "{size: 100}",
            '{size: "100"}',
            "8: monitors[0].window.size must be a whole number, not text (write numbers and",
        ),
        (
            "{size: 100}",
            "{size: 1.5}",
            "8: monitors[0].window.size must be a whole number, not a number with a point",
        ),
        (
            "{size: 100}",
            "{size: true}",
            "8: monitors[0].window.size must be a whole number, not true or false",
        ),
        ("{size: 100}", "{size: 1}", "8: monitors[0].window.size must be at least 2"),
        ("{size: 100}", "", "8: monitors[0].window must be a mapping of keys to values, not empty"),
        ("    window: {size: 100}\n", "", "5: monitors[0].window is missing: how scores are gathered"),
        (
            "{size: 100}",
            "{size: 100, hop: 33}",
            "8: monitors[0].window.hop must divide the window's size, 100",
        ),
        (
            "{size: 100}",
            "{size: 100, hop: 200}",
            "8: monitors[0].window.hop must divide the window's size, 100",
        ),
        (
            "{size: 100}",
            "{size: 100, max_age_seconds: 9, min_size: 101}",
            "8: monitors[0].window.min_size must be at most the window's size, 100",
        ),
        (
            "{size: 100}",
            "{size: 100, max_age_seconds: 9}",
            "8: monitors[0].window.max_age_seconds needs 'min_size'",
        ),
        ("{size: 100}", "{size: 100, min_size: 9}", "8: monitors[0].window.min_size has no effect without"),
        ("p_val: 0.05", "p_val: 1.0", "9: monitors[0].test.p_val must be less than 1"),
        ("p_val: 0.05", "p_val: .nan", "9: monitors[0].test.p_val must be a finite number"),
        (
            "p_val: 0.05",
            "p_val: 0.05, expected_run_time: 10",
            "9: monitors[0].test needs exactly one of 'p_val', 'expected_run_time' and 'fdr'",
        ),
        (
            "p_val: 0.05",
            "expected_run_time: 10, fdr: 0.05",
            "9: monitors[0].test needs exactly one of 'p_val', 'expected_run_time' and 'fdr'",
        ),
        ("p_val: 0.05", "fdr: 1.0", "9: monitors[0].test.fdr must be less than 1"),
        (
            "{size: 100}\n    test: {p_val: 0.05",
            "{size: 100, hop: 50}\n    test: {fdr: 0.05",
            "9: monitors[0].test.fdr holds for windows that share no scores; leave out 'window.hop'",
        ),
        (
            "p_val: 0.05",
            "p_val: 0.05, name: ks",
            "9: monitors[0].test.name must be a window test, 'ks_2samp', 'rank_cusum', 'flagged_fraction',",
        ),
        (
            "p_val: 0.05",
            "p_val: 0.05, name: cramervonmises_2samp",
            "9: monitors[0].test.alternative must be 'two-sided' with cramervonmises_2samp, which has no dir",
        ),
        (
            "p_val: 0.05, alternative: higher",
            "name: anderson_ksamp",
            "9: monitors[0].test.alternative must be 'two-sided' with anderson_ksamp, which has no direction",
        ),
        (
            "p_val: 0.05, alternative: higher",
            "p_val: 0.001, name: anderson_ksamp, alternative: two-sided",
            "9: monitors[0].test.p_val must be above 0.001 and at most 0.25 with anderson_ksamp",
        ),
        (
            "p_val: 0.05",
            "expected_run_time: 100, name: mannwhitneyu",
            "9: monitors[0].test.expected_run_time is not kept by mannwhitneyu, but by ks_2samp, whose",
        ),
        (
            "p_val: 0.05",
            "fdr: 0.05, name: mannwhitneyu",
            "9: monitors[0].test.fdr is not kept by mannwhitneyu, but by ks_2samp, whose p-values are exact",
        ),
        ("p_val: 0.05", "confidence: 0.9", "9: monitors[0].test.confidence needs 'expected_run_time'"),
        (
            "p_val: 0.05",
            "expected_run_time: 100, confidence: 0.9, name: rank_cusum",
            "9: monitors[0].test.confidence is not kept by rank_cusum, but by ks_2samp",
        ),
        (
            "alternative: higher",
            "alternative: highr",
            "9: monitors[0].test.alternative must be 'higher', 'lower' or 'two-sided'; did you mean",
        ),
        ("raise_after: 2", "raise_after: 0", "10: monitors[0].alerts.raise_after must be at least 1"),
        (
            "raise_after: 2",
            "raise_after: 2, raise_within: 1",
            "10: monitors[0].alerts.raise_within must be at least 'raise_after', 2",
        ),
        ("topic: drift-alerts", "topic: a/b", "10: monitors[0].alerts.topic must be a Kafka topic"),
        (
            "topic: drift-alerts",
            "topic: inference-events",
            "10: monitors[0].alerts.topic is the input of monitors[0]; name another topic",
        ),
        (
            "topic: inference-events-rejected",
            "topic: inference-events",
            "11: monitors[0].dead_letters.topic is the input of monitors[0]; name another topic",
        ),
        (
            "topic: drift-alerts",
            "topic: inference-events-rejected",
            "10: monitors[0].alerts.topic receives the dead letters of monitors[0]; name another topic",
        ),
        ("name: cifar10", "name: Cifar", "5: monitors[0].name must be 1 to 100 lower-case letters"),
        (
            "format: json",
            "format: jsn",
            "6: monitors[0].input.format must be an installed event format, ",
        ),
        (
            "format: json",
            "options: {depth: 1}",
            "6: monitors[0].input.options must be those of the format: The format 'json' has no",
        ),
        ("format: json", "fields: {id: a..b}", "6: monitors[0].input.fields.id must be a field of the event"),
        (
            "detector: models/cifar10",
            "detector: [a]",
            "7: monitors[0].detector must be a path, written as text",
        ),
        (
            "worker: {batch_size: 100}",
            "worker: []",
            "3: worker must be a mapping of keys to values, not a list",
        ),
        (
            "{batch_size: 100}",
            "{log_level: warn}",
            "3: worker.log_level must be 'debug', 'info', 'warning' or 'error'",
        ),
        ("{batch_size: 100}", "{batch_wait_ms: -1}", "3: worker.batch_wait_ms must be at least 0"),
        (
            "{batch_size: 100}",
            "{max_rejected_over_events: 5}",
            "3: worker.max_rejected_over_events has no effect without 'max_rejected_fraction'",
        ),
        ("group.id", "gruop.id", "1: kafka.gruop.id is not a property that librdkafka"),
        ("group.id: drift-monitor", 'group.id: ""', "1: kafka.group.id must not be empty"),
        (
            "group.id: drift-monitor",
            "enable.auto.commit: true",
            "1: kafka.enable.auto.commit is set by the worker itself, since the worker commits",
        ),
        (
            'bootstrap.servers: "localhost:9092"',
            "client.id: x",
            "1: kafka needs 'bootstrap.servers', the brokers",
        ),
        ("bootstrap.servers", "bootstrap.server", "1: kafka.bootstrap.server is not a property"),
        (
            "group.id: drift-monitor",
            "sasl: {password: x}",
            "1: kafka.sasl must be text, a number, true or false",
        ),
        ('url: "redis://localhost:6379/0"', "url: localhost", "2: redis.url must be redis://host:port/db"),
        ('0"}', '0", ssl_ca_certs: a.pem}', "2: redis.ssl_ca_certs is for TLS; it needs a rediss:// url"),
        (
            "redis://localhost:6379/0",
            'redis://:hunter2@localhost/0", password: "x',
            "2: redis.url names a user or password, and so do other keys; give them once",
        ),
        (
            "    alerts",
            "    window: {size: 5}\n    alerts",
            "10: monitors[0].window is given twice, first in line 8",
        ),
        (
            "name: cifar10",
            "name: *hunter2",
            "5:11: not valid YAML: an alias that no anchor defines; put text that",
        ),
        (
            "name: cifar10",
            "name: !hunter2 x",
            "5: monitors[0].name has a YAML tag; write the value without one",
        ),
        ("name: cifar10", "name: !!python/name:os.system x", "5: monitors[0].name has a YAML tag"),
        (
            "name: cifar10",
            "name: @hunter2",
            "5:11: not valid YAML: found character '@' that cannot start any token",
        ),
        ("    detector", "\tdetector", "7:1: not valid YAML: a tab; YAML indents with spaces"),
        ("{size: 100}", "{size: 100", "9:9: not valid YAML: expected ',' or '}', but got ':'"),
        ("name: cifar10", "name: ${hun ter2}", "5: monitors[0].name has a '${' that begins no reference"),
        ("name: cifar10", 'name: "\\UFFFFFFFF"', "5: not valid YAML: an escape or number is out of range"),
        (
            "name: cifar10",
            'name: "\\uD800"',
            "5: monitors[0].name holds an escape for half of a surrogate pair",
        ),
        (
            "batch_size: 100",
            "batch_size: ${SIZE}",
            "3:23: not valid YAML: a ${...} inside { } or [ ]; put it in quotes",
        ),
        ("batch_size: 100", "1: 100", "3: worker has a key that is not text"),
    ],
)
def test_a_fault_is_named_with_its_line_and_what_would_be_right(
    faults: Faults, good: str, bad: str, fault: str
) -> None:
    assert good in GOOD
    found = faults(GOOD.replace(good, bad))

    assert len(found) == 1
    assert found[0].startswith(f"monitor.yaml:{fault}")
    assert "hunter2" not in found[0]
    assert "ter2" not in found[0]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "monitor.yaml:1: the file is empty; it needs the sections kafka, redis and monitors"),
        ("# nothing\n---\n", "monitor.yaml:1: the file is empty"),
        ("just text", "monitor.yaml:1: the config must be a mapping of keys to values, not text"),
        ("- 1", "monitor.yaml:1: the config must be a mapping of keys to values, not a list"),
        (
            GOOD + "---\na: 1\n",
            "monitor.yaml:12:1: not valid YAML: a second document; a config is one document",
        ),
        (GOOD.encode() + b"\n#\xff", "monitor.yaml:13: byte 437 is not UTF-8; save the file as UTF-8"),
        (GOOD + "a: \x01", "monitor.yaml:12: holds the character U+0001, which YAML does not allow"),
        ("[" * 100, "monitor.yaml:1: nests more than 30 levels deep"),
        (
            "#" * (MAX_BYTES + 1),
            "The config file monitor.yaml has more than 262144 bytes; is it the right file?",
        ),
    ],
)
def test_a_file_that_is_no_config_at_all(faults: Faults, content: str | bytes, fault: str) -> None:
    found = faults(content)

    assert len(found) == 1
    assert found[0].startswith(fault)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"There is no config file {tmp_path / 'x.yaml'}")):
        load_config(tmp_path / "x.yaml")
    with pytest.raises(ConfigError, match="is a directory; name the YAML file in it"):
        load_config(tmp_path)


def test_all_faults_are_listed_in_the_order_of_the_file(faults: Faults) -> None:
    text = GOOD.replace("size: 100", "size: 0").replace("9092", "9092").replace("group.id", "grp.id")
    text = text.replace("name: cifar10", "name: ${MISSING}").replace("p_val: 0.05", "p_val: 2")

    assert [line.split(" ")[1] for line in faults(text)] == [
        "kafka.grp.id",
        "worker.batch_size",
        "monitors[0].name",
        "monitors[0].window.size",
        "monitors[0].test.p_val",
    ]


def test_a_flood_of_faults_is_cut_short(faults: Faults) -> None:
    found = faults(GOOD + "".join(f"key{i}: 1\n" for i in range(60)))

    assert len(found) == 51
    assert found[-1] == "monitor.yaml: and 10 more"


def test_names_of_monitors_differ_and_outputs_stay_out_of_every_input(faults: Faults) -> None:
    second = textwrap.dedent(GOOD[GOOD.index("  - name") :])
    second = second.replace("inference-events,", "drift-alerts,").replace(
        "topic: drift-alerts, r", "topic: other, r"
    )

    assert faults(GOOD + textwrap.indent(second, "  ")) == [
        "monitor.yaml:10: monitors[0].alerts.topic is the input of monitors[1]; name another topic",
        "monitor.yaml:12: monitors[1].name is the name of monitors[0] already; each needs its own",
    ]


def test_nobody_else_reads_requests_that_are_sent_to_their_topic_again(faults: Faults) -> None:
    monitor = GOOD[GOOD.index("  - name") :]
    pairs = monitor.replace("format: json", "format: pairs, options: {unpaired: run}")

    assert faults(GOOD + pairs.replace("cifar10", "other")) == [
        "monitor.yaml:6: monitors[0].input.format must be 'pairs' for a topic to which monitors[1] sends"
        " unpaired requests again (unpaired: run); they would be counted twice",
    ]


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x, x, x]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in pairwise("abcdefghijklm")),
        "a: [" + "x, " * 60_000 + "]",
    ],
)
def test_a_yaml_bomb_stops_early(faults: Faults, bomb: str) -> None:
    (fault,) = faults(bomb)

    assert "holds more than 50000 values" in fault


def test_a_value_that_holds_itself_is_refused(faults: Faults) -> None:
    assert faults("worker: &x [*x]\n" + GOOD.replace("worker", "wrkr"))[0] == (
        "monitor.yaml:1: worker[0] holds itself through an alias"
    )


def test_aliases_and_merge_keys_work(load: Callable[..., Config]) -> None:
    text = GOOD.replace("  - name", "  - &first\n    name") + (
        "  - <<: *first\n    name: second\n    window: {size: 7}\n  - <<: [{name: third}, *first]\n"
    )

    first, second, third = load(text).monitors
    assert (second.name, second.window.size, third.name) == ("second", 7, "third")
    assert first.alerts == second.alerts == third.alerts


def test_scalars_are_read_as_in_yaml_1_2(load: Callable[..., Config]) -> None:
    text = GOOD.replace("p_val: 0.05", "p_val: 5e-2").replace("name: cifar10", "name: no")

    (monitor,) = load(text).monitors
    assert (monitor.test.p_val, monitor.name) == (0.05, "no")


class TestEnvironment:
    """References to environment variables."""

    TEXT = GOOD.replace(
        '{url: "redis://localhost:6379/0"}', "\n  url: redis://${HOST:-localhost}\n  password: ${SECRET}"
    )

    def test_variables_are_filled_in(self, load: Callable[..., Config]) -> None:
        config = load(self.TEXT, SECRET="hunter2", HOST="")

        assert config.redis.password is not None
        assert config.redis.password.get_secret_value() == "hunter2"
        assert config.redis.url.get_secret_value() == "redis://localhost"

    def test_a_missing_variable_is_named_with_its_place(self, faults: Faults) -> None:
        assert faults(self.TEXT) == [
            "monitor.yaml:4: redis.password needs the environment variable SECRET, which is not set; "
            "set it or give a default as ${SECRET:-default}"
        ]

    def test_a_value_cannot_change_the_structure(self, load: Callable[..., Config]) -> None:
        value = 'x"\n  prefix: stolen #${HOME}'
        config = load(self.TEXT, SECRET=value)

        assert config.redis.prefix == "drift"
        assert config.redis.password is not None
        assert config.redis.password.get_secret_value() == value

    def test_an_escaped_reference_stays_text(self, load: Callable[..., Config]) -> None:
        config = load(self.TEXT.replace("${SECRET}", "$${SECRET}$1"))

        assert config.redis.password is not None
        assert config.redis.password.get_secret_value() == "${SECRET}$1"

    def test_a_value_that_is_not_text_is_refused(self, faults: Faults) -> None:
        (fault,) = faults(self.TEXT, SECRET="hunter2\udcff")

        assert fault.endswith("needs the environment variable SECRET, whose value is not UTF-8 text")

    @pytest.mark.parametrize(
        "place",
        ["size: 100", "p_val: 0.05", "alternative: higher", "topic: drift-alerts", "batch_size: 100",
         "format: json", "bootstrap.servers: \"localhost:9092\"", "group.id: drift-monitor"],
    )  # fmt: skip
    def test_no_value_of_a_variable_shows_in_an_error(self, faults: Faults, place: str) -> None:
        key = (
            place.split(":")[0]
            .replace("bootstrap.servers", "max.in.flight")
            .replace("group.id", "security.protocol")
        )
        text = "\n".join(faults(GOOD.replace(place, f'{key}: "${{SECRET}}"'), SECRET="hunter2!/"))

        assert key in text
        assert "hunter2" not in text

    def test_a_number_from_the_environment_is_explained(self, faults: Faults) -> None:
        (fault,) = faults(GOOD.replace("{batch_size: 100}", '{batch_size: "${N}"}'), N="100")

        assert fault.endswith("must be a whole number, not text (an environment variable always gives text)")
