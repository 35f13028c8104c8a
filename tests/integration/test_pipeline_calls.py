"""What a batch costs: model calls and round trips, counted where they happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import redis
import tensorflow as tf

from detectors import ModelDistillation, load_bundle, save_detector
from detectors.bundles.bundle import Bundle
from monitor.alerts.alert import Alert
from monitor.config import MonitorConfig
from monitor.pipeline import Pipeline
from monitor.stores.in_redis import RedisStores
from monitor.verdicts.ledger import Delivery
from monitor.watch import Watch, open_watches
from streams.records import RecordBatch
from streams.state.redis_connection import RedisConnection
from tests.traffic import TinyDetector, classifier, consume, publish

WINDOW = 20
BATCH = 50
BATCHES = 4


class CountedCalls(tf.keras.layers.Layer):
    """Passes its input on and counts how often the graph that it is part of is executed."""

    def __init__(self) -> None:
        super().__init__()
        self.executions = 0

    def call(self, inputs: Any) -> Any:
        def note(values: np.ndarray) -> np.ndarray:
            self.executions += 1
            return values

        outputs = tf.numpy_function(note, [inputs], tf.float32)
        outputs.set_shape(inputs.shape)
        return outputs


def counted(model: Any) -> tuple[Any, CountedCalls]:
    """Put a counter before a model."""
    layer = CountedCalls()
    inputs = tf.keras.Input(model.input_shape[1:])
    return tf.keras.Model(inputs, model(layer(inputs))), layer


class NoDeadLetters:
    """For events that are all valid."""

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[Any]) -> None:
        raise AssertionError(f"{len(rejected)} events were rejected: {rejected[0]}")


class Delivered:
    delivered = True


def deliver_at_once(topic: str, alert: Alert) -> Delivery:
    return Delivered()


@dataclass
class Counted:
    """A pipeline on real records and a real Redis, with everything that is counted."""

    pipeline: Pipeline
    batches: list[RecordBatch]
    connection: RedisConnection
    student: CountedCalls
    teacher: CountedCalls

    def run(self, batch: RecordBatch) -> None:
        self.pipeline.count(self.pipeline.score(batch))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def records(kafka, tiny: TinyDetector) -> list[RecordBatch]:
    """Batches as a consumer has them, with 7 different keys."""
    name = f"batches-{uuid4().hex[:12]}"
    events = tiny.calm(BATCH * BATCHES, seed=1)
    keys = [f"segment-{row % 7}".encode() for row in range(len(events))]
    publish(kafka.bootstrap, name, events.values, keys=keys, partitions=[0] * len(events))
    messages = consume(kafka.bootstrap, name, len(events))
    return [RecordBatch(name, messages[i : i + BATCH]) for i in range(0, len(messages), BATCH)]


def monitor(topic: str, bundle: Path, **changes: Any) -> MonitorConfig:
    return MonitorConfig.model_validate(
        {
            "name": "m",
            "input": {"topic": topic},
            "detector": str(bundle),
            "window": {"size": WINDOW},
            "alerts": {"topic": "alerts"},
            "dead_letters": {"topic": "rejected"},
            **changes,
        }
    )


@pytest.fixture
def count(records: list[RecordBatch], tiny: TinyDetector, redis_url: str) -> Iterator[Any]:
    """Make a pipeline of one monitor for each set of changes to the config; all share the counted models."""
    connection = RedisConnection(redis_url)
    student, student_calls = counted(classifier())
    teacher, teacher_calls = counted(classifier())
    detector = ModelDistillation(distilled_model=student, model=teacher)
    bundle = Bundle(detector, tiny.reference, load_bundle(tiny.path).manifest)

    def make(*changes: Mapping[str, Any]) -> Counted:
        stores = RedisStores(connection, "drift")
        watches = [
            Watch(
                monitor(records[0].topic, tiny.path, **{"name": f"m{i}", **change}),
                bundle,
                stores,
                deliver_at_once,
                state=None,
            )
            for i, change in enumerate(changes)
        ]
        pipeline = Pipeline(watches, stores, NoDeadLetters())
        pipeline.attach()
        return Counted(pipeline, records, connection, student_calls, teacher_calls)

    yield make
    connection.close()


def evalsha_calls(client: redis.Redis) -> int:
    stats: Any = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})
    return int(stats["calls"])


def reads(client: redis.Redis) -> int:
    """How often Redis has read from a socket, this question included; a small pipeline is one read."""
    return int(client.info("stats")["total_reads_processed"])


@pytest.mark.parametrize("segment_by", ["none", "key"])
def test_student_runs_once_a_batch_and_the_teacher_never(count, segment_by):
    one = count({"segment_by": segment_by})

    for batch in one.batches:
        one.run(batch)

    assert one.student.executions == BATCHES
    assert one.teacher.executions == 0


def test_monitors_of_one_detector_run_its_student_once_a_batch_for_all_of_them(count):
    two = count({"segment_by": "none"}, {"segment_by": "key"})

    for batch in two.batches:
        two.run(batch)

    assert two.student.executions == BATCHES
    assert two.teacher.executions == 0


def test_teacher_runs_once_a_batch_when_it_is_told_to(count):
    one = count({"prediction": "run", "segment_by": "key"})

    for batch in one.batches:
        one.run(batch)

    assert one.student.executions == one.teacher.executions == BATCHES


def test_teacher_of_a_bundle_is_not_even_loaded_when_events_carry_predictions(records, tiny, redis_url):
    assert load_bundle(tiny.path).detector.model is not None
    connection = RedisConnection(redis_url)

    (watch,) = open_watches(
        [monitor(records[0].topic, tiny.path)],
        RedisStores(connection, "drift"),
        deliver_at_once,
        state=None,
    )

    assert watch.detector.model is None
    connection.close()


@pytest.mark.parametrize("segment_by", ["none", "key"])
def test_a_batch_is_one_round_trip_with_one_script_call(count, redis_client, segment_by):
    """However many segments the batch touches: one pipeline arrives, with one script call in it."""
    one = count({"segment_by": segment_by, "window": {"size": 1000}})
    one.run(one.batches[0])  # Redis learns the script.
    trips, scripts, arrived = one.connection.round_trips, evalsha_calls(redis_client), reads(redis_client)

    for batch in one.batches[1:]:
        one.run(batch)

    assert reads(redis_client) - arrived == BATCHES - 1 + 1  # the batches, and the question itself
    assert evalsha_calls(redis_client) - scripts == BATCHES - 1
    assert one.connection.round_trips - trips == BATCHES - 1


@pytest.mark.parametrize("segment_by", ["none", "key"])
def test_settling_verdicts_takes_no_round_trip_of_its_own(count, redis_client, segment_by):
    one = count({"segment_by": segment_by, "window": {"size": 5}})
    one.run(one.batches[0])
    one.run(one.batches[1])
    trips, scripts = one.connection.round_trips, evalsha_calls(redis_client)
    assert one.pipeline.unsettled() >= 5

    one.run(one.batches[2])

    assert one.connection.round_trips - trips == 1
    assert evalsha_calls(redis_client) - scripts == 2
    one.pipeline.settle()
    assert one.pipeline.unsettled() == 0


def test_two_monitors_share_the_round_trip(count):
    two = count({"segment_by": "none"}, {"segment_by": "key"})
    two.run(two.batches[0])
    trips = two.connection.round_trips

    two.run(two.batches[1])

    assert two.connection.round_trips == trips + 1


def test_what_is_done_without_new_events_takes_as_many_round_trips_for_two_monitors_as_for_one(count):
    ages_at_once = {"size": 1000, "min_size": 2, "max_age_seconds": 1e-6}
    one, two, three = ({"name": name, "window": ages_at_once} for name in ("one", "two", "three"))
    trips = []
    count(one).pipeline.tick()  # Redis learns the scripts.
    for changes in ([one], [two, three]):
        some = count(*changes)
        some.run(some.batches[0])
        before = some.connection.round_trips
        some.pipeline.tick()
        trips.append(some.connection.round_trips - before)
        assert some.pipeline.unsettled() == len(changes)

    assert trips == [3, 3]  # One to find aged windows, one to close them, one to claim.


def test_scores_do_not_depend_on_the_shape_of_batches(count, redis_client, tiny):
    """One graph serves all batch sizes; nothing is traced again."""
    one = count({})
    (watch,) = one.pipeline.watches
    first = one.batches[0]
    for size in (1, 7, 25, 50):
        one.pipeline.score(RecordBatch(first.topic, first.messages[:size]))

    assert watch.detector.tracing_count == 1


def test_bundle_without_teacher_serves_events_with_predictions(records, tiny, redis_url, tmp_path):
    bundle = tmp_path / "student-only"
    save_detector(
        ModelDistillation(distilled_model=tiny.detector.distilled_model), bundle, reference=tiny.reference
    )
    connection = RedisConnection(redis_url)
    stores = RedisStores(connection, "drift")
    watches = open_watches([monitor(records[0].topic, bundle)], stores, deliver_at_once, state=None)
    pipeline = Pipeline(watches, stores, NoDeadLetters())
    pipeline.attach()

    pipeline.count(pipeline.score(records[0]))

    (mark,) = pipeline.marks().values()
    assert mark.offset == BATCH
    connection.close()
