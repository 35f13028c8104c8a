"""Codecs as subjects: damaged records are accepted or rejected with a reason, each exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import numpy as np

from streams.codecs.json.reader import JsonReader
from streams.codecs.protocol import Codec, open_codec
from streams.codecs.rejection import BadEventError
from streams.events import PREDICTION_SUM_TOLERANCE, EventBatch, EventSchema, RejectReason
from streams.kafka.dead_letters import dead_letter
from streams.records import Headers, RecordBatch
from streams.state.pair_store import PairStore
from streams.state.redis_connection import RedisConnection
from tests.batches import assert_same
from tests.codecs_in_python import without_scanner
from tests.fuzz import seeds
from tests.fuzz.damage import BINARY, JSON, damaged, damaged_headers
from tests.fuzz.recipe import Recipe
from tests.fuzz.seeds import Seed
from tests.fuzz.subjects import Tally
from tests.records_in_memory import batch_of
from tests.schemas_in_memory import SchemasInMemory
from tests.servers.redis import RedisServer

MAX_BYTES = 4096
LONGEST_DETAIL = 1000
OTHERS = ("tag", "more.a", "id")


class CodecSubject:
    """A codec, given batches of damaged records.

    Parameters
    ----------
    codec, schema
        The codec and what its events should look like.
    valid
        Records to damage.
    remembers
        Whether what becomes of a record depends on those before it.
    """

    recipe_bytes = 4096

    def __init__(
        self, codec: Codec, schema: EventSchema, valid: Sequence[Seed], *, remembers: bool = False
    ) -> None:
        self._codec, self.schema, self.valid = codec, schema, valid
        is_text = any(b'"instance"' in seed.value or b'"inputs"' in seed.value for seed in valid)
        self._words = JSON if is_text else BINARY
        self._remembers = remembers
        self.resources = ExitStack()

    def run(self, recipe: bytes) -> Tally:
        """Decode the records of a recipe and check what comes out."""
        made = self.records(Recipe(recipe))
        return self.decode(made, alone=sum(recipe))

    def decode(self, made: Sequence[tuple[bytes | None, Headers]], alone: int = 0) -> Tally:
        """Decode records, and one of them without the others."""
        values, headers = [value for value, _ in made], [found for _, found in made]
        records = batch_of(values, headers)
        batch = self._codec.decode(records)
        waiting = list(batch.waiting)
        accepted = set(batch.rows.tolist())
        told = [*accepted, *(event.row for event in batch.rejected), *waiting]
        assert sorted(told) == list(range(len(records))), "a record is missing, or there twice"
        self.check(records, batch)
        if made and not self._remembers:
            row = alone % len(made)
            self._check_alone(batch, row, batch_of([values[row]], [headers[row]]))
        reasons = Counter(event.reason.value for event in batch.rejected)
        return Tally(len(records), len(accepted), len(waiting), reasons)

    def check(self, records: RecordBatch, batch: EventBatch) -> None:
        """Fail unless what became of records is as promised."""
        check_events(batch, self.schema)
        check_rejected(records, batch)

    def records(self, recipe: Recipe) -> list[tuple[bytes | None, Headers]]:
        """Make records until the recipe ends."""
        made: list[tuple[bytes | None, Headers]] = []
        about = recipe.piece(4).hex().encode()
        while not recipe.exhausted:
            kind = recipe.number()
            if kind == 0:
                made.append((None, []))
            elif kind == 1:
                made.append((recipe.piece(recipe.number() % 64), []))
            else:
                seed = self.valid[kind % len(self.valid)]
                value, headers = (
                    _given_id(seed, about + b"-%d" % (recipe.number() % 64)) if self._remembers else seed
                )
                made.append((damaged(value, recipe, self._words), damaged_headers(headers, recipe)))
        return made

    def close(self) -> None:
        """End the servers behind the codec."""
        self.resources.close()

    def _check_alone(self, batch: EventBatch, row: int, record: RecordBatch) -> None:
        """Check that a record gets the same answer when it has no neighbours."""
        alone = self._codec.decode(record)
        there = batch.rows == row
        assert alone.instances.tolist() == batch.instances[there].tolist(), "neighbours change an instance"
        assert alone.times_ms.tolist() == batch.times_ms[there].tolist(), "neighbours change a time"
        answers = [
            [(event.reason, event.detail) for event in found.rejected if event.row == at]
            for found, at in ((alone, 0), (batch, row))
        ]
        assert answers[0] == answers[1], f"neighbours change the answer: {answers}"


class OipSubject(CodecSubject):
    """The codec of the Open Inference Protocol, whose answers must be those of the exact reader."""

    def __init__(self, open_: Callable[[], Codec], schema: EventSchema, valid: Sequence[Seed]) -> None:
        super().__init__(open_(), schema, valid)
        with without_scanner():
            self._exact = open_()

    def check(self, records: RecordBatch, batch: EventBatch) -> None:
        """Decode all once more, exactly."""
        super().check(records, batch)
        assert_same(batch, self._exact.decode(records))


class JsonSubject(CodecSubject):
    """The JSON codec, whose answers must be those of the exact reader."""

    def __init__(self, codec: Codec, schema: EventSchema, valid: Sequence[Seed]) -> None:
        super().__init__(codec, schema, valid)
        self._exact = JsonReader(schema)

    def check(self, records: RecordBatch, batch: EventBatch) -> None:
        """Read every record once more, exactly."""
        super().check(records, batch)
        found: dict[int, tuple[object, ...]] = {bad.row: (bad.reason, bad.detail) for bad in batch.rejected}
        assert batch.predictions is not None
        unknown = [None] * len(batch)
        texts = [column or unknown for column in (batch.ids, batch.models, batch.segments)]
        texts += [batch.others.get(path, unknown) for path in self.schema.others]
        numbers = (batch.instances.tolist(), batch.predictions.tolist())
        for row, *read in zip(batch.rows.tolist(), *numbers, batch.times_ms.tolist(), *texts, strict=True):
            found[row] = tuple(read)
        for row, value in enumerate(records.values):
            assert found[row] == self._exactly(value, records.timestamps_ms[row]), "the exact reader differs"

    def _exactly(self, value: bytes | None, timestamp_ms: int) -> tuple[object, ...]:
        try:
            read = self._exact.read(value)
        except BadEventError as bad:
            return bad.reason, bad.detail
        assert read.prediction is not None
        numbers = [part.astype(np.float32).tolist() for part in (read.instance, read.prediction)]
        time_ms = timestamp_ms if read.time_ms is None else read.time_ms
        return (*numbers, time_ms, read.id, read.model, read.segment, *read.others)


def _given_id(seed: Seed, other: bytes) -> Seed:
    """Give a golden sample another id, so that not all are about the same event."""
    headers = [(name, text and text.replace(b"6f1c", other)) for name, text in seed.headers]
    return Seed(seed.value.replace(b"6f1c", other), headers)


def check_events(batch: EventBatch, schema: EventSchema) -> None:
    """Fail unless the columns are as ``EventBatch`` promises."""
    n = len(batch)
    assert (np.diff(batch.rows) >= 0).all(), "rows decrease"
    assert batch.instances.shape == (n, *schema.input_shape), "instances have another shape"
    assert batch.instances.dtype == np.float32, "instances have another dtype"
    assert np.isfinite(batch.instances).all(), "an instance is not finite"
    assert batch.predictions is not None
    assert batch.predictions.shape == (n, schema.n_classes), "predictions have another shape"
    assert (batch.predictions >= 0).all(), "a prediction has a negative entry or NaN"
    off = np.abs(batch.predictions.sum(axis=1, dtype=np.float64) - 1)
    assert (off <= PREDICTION_SUM_TOLERANCE * 1.01).all(), "a prediction is no distribution"
    assert batch.times_ms.shape == (n,), "times have another shape"
    assert batch.times_ms.dtype == np.int64, "times have another dtype"
    for column in (batch.ids, batch.models, batch.segments, *batch.others.values()):
        assert column is None or len(column) == n, "a column has another length"
        for text in column or ():
            assert text is None or text.encode() is not None, "a text is none"


def check_rejected(records: RecordBatch, batch: EventBatch) -> None:
    """Fail unless every rejected record has a reason, a sentence about it, and makes a dead letter."""
    for event in batch.rejected:
        assert isinstance(event.reason, RejectReason), "the reason is none"
        assert event.detail, "nothing is said about a rejected record"
        assert len(event.detail) <= LONGEST_DETAIL, f"too much is said: {event.detail[:LONGEST_DETAIL]}"
        assert event.detail.endswith("."), f"no sentence: {event.detail}"
        assert dead_letter(records, event).headers is not None


def codec_subject(name: str) -> CodecSubject:
    """Make the subject of a format."""
    return _SUBJECTS.get(name, _plain)(name)


def _schema(*, routes: bool = False) -> EventSchema:
    return EventSchema(seeds.SHAPE, 2, max_bytes=MAX_BYTES, others=OTHERS if routes else ())


_VALID: Mapping[str, Callable[[], list[Seed]]] = {
    "tensor": seeds.tensor_seeds,
    "msgpack": seeds.messagepack_seeds,
    "avro": seeds.avro_seeds,
    "json_schema": seeds.json_schema_seeds,
    "cloudevents": lambda: seeds.sample_seeds("cloudevents"),
}
_SCHEMAS = {"avro": seeds.AVRO_SCHEMAS, "json_schema": seeds.JSON_SCHEMAS}


def _plain(name: str) -> CodecSubject:
    schema = _schema(routes=name in ("msgpack", "cloudevents"))
    services = {"schema_registry": SchemasInMemory({**_SCHEMAS[name]})} if name in _SCHEMAS else {}
    return CodecSubject(open_codec(name, schema, {}, services), schema, _VALID[name]())


def _json(name: str) -> CodecSubject:
    schema = _schema(routes=True)
    return JsonSubject(open_codec(name, schema, {}), schema, seeds.json_seeds())


def _oip(name: str) -> CodecSubject:
    schema = _schema(routes=True)
    places = {"request": "request", "response": "response"}
    return OipSubject(lambda: open_codec(name, schema, places), schema, seeds.oip_seeds())


def _pairs(name: str) -> CodecSubject:
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer())
        connection = RedisConnection(server.url)
        stack.callback(connection.close)
        schema = _schema()
        codec = open_codec(name, schema, {}, {"pairs": PairStore(connection, "drift")})
        subject = CodecSubject(codec, schema, seeds.sample_seeds("kserve_logger"), remembers=True)
        subject.resources = stack.pop_all()
        return subject


_SUBJECTS: Mapping[str, Callable[[str], CodecSubject]] = {"json": _json, "oip": _oip, "pairs": _pairs}
