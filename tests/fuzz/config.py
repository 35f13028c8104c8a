"""The config loader as a subject: a config or a `ConfigError`, and never a secret in what it says."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from monitor.config.file import load_config
from monitor.errors import ConfigError
from tests.fuzz.damage import Vocabulary, damaged
from tests.fuzz.recipe import Recipe
from tests.fuzz.subjects import Tally

SECRET = "hunter2"
GOOD = b"""\
kafka: {bootstrap.servers: "localhost:9092", session.timeout.ms: 6000, sasl.password: "${A}"}
redis: {url: "redis://localhost:6379/0", socket_timeout_seconds: 2.5}
worker: {batch_size: 100, log_level: info}
monitors:
  - &a
    name: cifar10
    input: {topic: events, format: json, fields: {id: a.b}}
    detector: models/cifar10
    window: {size: 100, hop: 10, max_age_seconds: 60, min_size: 20}
    test: {expected_run_time: 1000, confidence: 0.9}
    alerts: {topic: drift-alerts, raise_after: 2}
    dead_letters: {topic: rejected}
  - {<<: *a, name: other}
"""
YAML = Vocabulary(
    values=[
        b" " + word
        for word in (
            *b"null true 0 -1 0.5 1e999 1e-320 .nan .inf 0x_ 1_000 0o17 12:30:45 2026-11-20 [] {}".split(),
            *rb'${A} $${A} ${B} ${ "\uD800" "\UFFFFFFFF" json avro two-sided fdr ../../etc / [a,b]'.split(),
            *b"redis://x:${A}@y rediss://[ \x7f *a ''".split(),
            *(b"!!int x", b"!!binary aGk=", b"!x y", b"{a: 1}", b"9" * 5000),
        )
    ],
    scraps=(
        *b"*a ${A} { } [ ] \" ' | > \x00 \xef\xbb\xbf \xe2\x80\xa8 \xff \xed\xa0\x80 # @ `".split(),
        *(
            b"kafka",
            b"monitors",
            b"&a ",
            b"<<: ",
            b"---\n",
            b"\t",
            b"\n",
            b"\r",
            b"- ",
            b": ",
            b"? ",
            b"%YAML 1.1",
        ),
        *(b"[" * 3000, b"{a: " * 1000, b"- " * 3000, b"a: &b [*b, *b]\n", b"redis: {}\n", b"forward: {}\n"),
        *(b"fdr: 0.1, ", b"p_val: 0.1, ", b"error_cb: x, ", b"on_missing_offsets: stop, ", b"state: \n"),
    ),
)


class ConfigSubject:
    """The config loader, given damaged files."""

    recipe_bytes = 60

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="drift-monitor-fuzz-")
        self._path = Path(self._directory.name) / "monitor.yaml"

    def run(self, recipe: bytes) -> Tally:
        """Load one file and check the answer."""
        choices = Recipe(recipe)
        is_noise = choices.number() == 0
        return self.load(choices.piece(200) if is_noise else damaged(GOOD, choices, YAML, most=5))

    def load(self, content: bytes) -> Tally:
        """Load a file with this content and check the answer."""
        self._path.write_bytes(content)
        try:
            load_config(self._path, {"A": SECRET})
        except ConfigError as error:
            said = str(error)
            assert said, "nothing is said about a bad config"
            assert SECRET not in said, f"a secret is told: {said}"
            assert said.encode() is not None
            return Tally(1, rejected=Counter(["ConfigError"]))
        return Tally(1, accepted=1)

    def close(self) -> None:
        """Remove the file."""
        self._directory.cleanup()
