"""The config as typed, frozen values. `monitor.config.file` reads it from YAML.

The docstring under each attribute is what editors and the reference in ``docs/configuration.md`` show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from monitor.config.connections import KafkaConfig, RedisConfig, SchemaRegistryConfig
from monitor.config.faults import KeyPath
from monitor.config.forwarding import ForwardConfig
from monitor.config.http import HttpConfig
from monitor.config.section import Section, SectionError
from monitor.config.types import (
    WINDOW_TEST_NAMES,
    FieldPath,
    FormatName,
    MonitorName,
    NonBlank,
    PositiveSeconds,
    PreprocessorName,
    RelativePath,
    SegmentRule,
    TestName,
    TopicName,
)
from streams.codecs.protocol import codec_class, needed_services, option_fault
from streams.errors import CodecError
from streams.events import EventFields

DEFAULT_P_VAL = 0.05
"""The level of the textbook, used when a monitor names neither level nor run-time."""
PAIRS = "pairs"
"""Format of requests and responses that are records of their own."""
_DEFAULT_MAX_BYTES = 1_048_576
_LARGEST_WINDOW = 1_000_000
_PROMISES = ("p_val", "expected_run_time", "fdr")
_WITHOUT_DIRECTION = ("cramervonmises_2samp", "anderson_ksamp")
_NOT_KEPT_BY = {
    "rank_cusum": ("confidence", "fdr"),
    **dict.fromkeys(("flagged_fraction", "mannwhitneyu", *_WITHOUT_DIRECTION), ("expected_run_time", "fdr")),
}
"""Promises that a test cannot keep."""


class WorkerConfig(Section):
    """How the worker goes about its work; the defaults suit most streams."""

    batch_size: Annotated[int, Field(ge=1, le=100_000)] = 20_000
    """Most records that are decoded and scored in one go; fewer where they are large."""
    batch_wait_ms: Annotated[int, Field(ge=0, le=60_000)] = 5
    """How long to wait for more once a batch has its first record, in milliseconds: less work for each event
    of a thin stream, but later alerts. Under load a batch is full at once."""
    lease_seconds: PositiveSeconds = 10.0
    """How long a closed window stays with the worker that closed it before another may test it."""
    commit_interval_seconds: PositiveSeconds = 1.0
    """How often offsets are committed to Kafka; what a restart reads again is skipped, not counted twice."""
    reload_every_seconds: PositiveSeconds | None = None
    """How often to look whether the config file has changed; on SIGHUP it is read again in any case."""
    max_rejected_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Fraction of rejected events at which the worker stops with an error; no limit when not given."""
    max_rejected_over_events: Annotated[int, Field(ge=1)] = 1000
    """Number of latest events over which `max_rejected_fraction` is taken."""
    on_missing_offsets: Literal["continue", "stop"] = "continue"
    """When retention has deleted events that were not counted: log and count them, or stop with an error."""
    log_format: Literal["text", "json"] = "text"
    """Log lines for people or for machines."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log lines to write."""
    http: HttpConfig | None = None
    """Where metrics and health are served; nowhere when not given, with the defaults when it is `{}`."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.max_rejected_fraction is None and "max_rejected_over_events" in self.model_fields_set:
            raise SectionError(
                (("max_rejected_over_events",), "has no effect without 'max_rejected_fraction'")
            )
        return self


class FieldsConfig(Section):
    """Where an event keeps its parts: a field, or a dotted path such as `payload.features`."""

    instance: FieldPath = "instance"
    """The input that the model saw, flat or nested."""
    prediction: FieldPath = "prediction"
    """The model's output, one probability for each class."""
    id: FieldPath = "id"
    """What to call the event in an alert's examples."""
    time: FieldPath = "time"
    """When it happened, RFC 3339; Kafka's timestamp when the event has none."""
    model: FieldPath = "model"
    """Name of the model, compared with `input.where.model`."""
    segment: FieldPath = "segment"
    """Name of the segment, for `segment_by: field`."""


class WhereConfig(Section):
    """Which events of the topic a monitor watches: those that have all of these."""

    model: NonBlank | None = None
    """Name of the model, at `fields.model`."""
    key: NonBlank | None = None
    """The record's key, as UTF-8 text."""
    header: dict[NonBlank, NonBlank] = Field(default_factory=dict)
    """Names of headers and their values, as UTF-8 text."""
    field: dict[FieldPath, NonBlank] = Field(default_factory=dict)
    """Fields of the event, or dotted paths, and their values; numbers as JSON writes them, in quotes."""


class InputConfig(Section):
    """Where a monitor's events come from and what they look like."""

    topic: TopicName
    """Topic of the inference events."""
    format: FormatName = "json"
    """How events are encoded: `json`, `oip`, `cloudevents` and others, see `docs/formats.md`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the format itself; `docs/formats.md` names those of each."""
    fields: FieldsConfig = FieldsConfig()
    """Where an event keeps its parts."""
    model: NonBlank | None = None
    """Short for `where.model`."""
    where: WhereConfig = WhereConfig()
    """Which events of the topic are watched; all of them when not given."""
    unmatched: Literal["reject", "ignore"] = "reject"
    """What becomes of events that no monitor of the topic watches: dead letters, or nothing."""
    preprocess: PreprocessorName | None = None
    """What makes the models' inputs of an event's instances; a name that another package installs."""
    max_bytes: Annotated[int, Field(ge=1, le=1_000_000_000)] = _DEFAULT_MAX_BYTES
    """Size limit of one event's value in bytes; larger ones are rejected."""

    @property
    def event_fields(self) -> EventFields:
        """`fields` as codecs take it."""
        return EventFields(**self.fields.model_dump())

    @property
    def runs_unpaired(self) -> bool:
        """Whether requests that no response came for are scored with the bundle's model."""
        return self.format == PAIRS and self.options.get("unpaired") == "run"

    @property
    def encoding(self) -> tuple[str, Mapping[str, Any]]:
        """`format` with its `options`."""
        return self.format, self.options

    @model_validator(mode="after")
    def _agree(self) -> Self:
        try:
            codec = codec_class(self.format)
        except CodecError as error:
            raise SectionError((("format",), f"cannot be used here: {error}")) from error
        fault = option_fault(self.format, codec, self.options)
        if fault is not None:
            raise SectionError((("options",), f"must be those of the format: {fault}"))
        if self.model is not None and self.where.model is not None:
            raise SectionError((("model",), "is short for 'where.model'; give one of them"))
        return self


class WindowConfig(Section):
    """How scores are gathered before they are tested."""

    size: Annotated[int, Field(ge=2, le=_LARGEST_WINDOW)]
    """Scores in a full window; at most a tenth of the reference is a good choice."""
    hop: Annotated[int, Field(ge=1, le=_LARGEST_WINDOW)] | None = None
    """Scores between the starts of two windows, a divisor of `size`; equal to it when not given."""
    max_age_seconds: PositiveSeconds | None = None
    """Age at which a partial window is closed; windows wait until they are full when not given."""
    min_size: Annotated[int, Field(ge=2, le=_LARGEST_WINDOW)] | None = None
    """Fewest scores on which a window closes for its age; needed with `max_age_seconds`."""

    @property
    def overlaps(self) -> bool:
        """Whether windows share scores."""
        return self.hop is not None and self.hop < self.size

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults: list[tuple[KeyPath, str]] = []
        if self.hop is not None and self.size % self.hop:
            faults.append((("hop",), f"must divide the window's size, {self.size}"))
        if self.min_size is not None and self.min_size > self.size:
            faults.append((("min_size",), f"must be at most the window's size, {self.size}"))
        if self.min_size is not None and self.max_age_seconds is None:
            faults.append((("min_size",), "has no effect without 'max_age_seconds'"))
        if self.max_age_seconds is not None and self.min_size is None:
            faults.append((("max_age_seconds",), "needs 'min_size', the fewest scores worth a verdict"))
        if faults:
            raise SectionError(*faults)
        return self


class WindowTestConfig(Section):
    """How a window is compared with the reference, and which rate of false alarms is promised.

    One of `p_val`, `expected_run_time` and `fdr` says what is promised. All are kept by `ks_2samp`, whose
    p-values are exact, the second by `rank_cusum` too.
    """

    name: TestName = "ks_2samp"
    """`ks_2samp`, `rank_cusum`, `flagged_fraction`, `mannwhitneyu`, `cramervonmises_2samp`,
    `anderson_ksamp`, or a test that another package installs."""
    alternative: Literal["higher", "lower", "two-sided"] = "higher"
    """What counts as drift: scores higher than the reference's (harmful drift), lower, or both."""
    p_val: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Drift when the window's p-value is below this; 0.05 when no other promise is given."""
    expected_run_time: Annotated[float, Field(gt=1, le=1e9)] | None = None
    """Mean number of windows between false alarms; the threshold follows from it. Instead of `p_val`."""
    confidence: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the references one could have drawn for which `expected_run_time` is kept."""
    fdr: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Mean share of false ones among drifted windows, over all monitors with this rate; none may overlap."""

    @property
    def breaks_ties(self) -> bool:
        """Whether the promise is kept by putting tied scores in random order."""
        return self.p_val is None

    @model_validator(mode="before")
    @classmethod
    def _default_level(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.keys().isdisjoint(_PROMISES):
            return {**given, "p_val": DEFAULT_P_VAL}
        return given

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if sum(getattr(self, promise) is not None for promise in _PROMISES) != 1:
            raise SectionError(((), "needs exactly one of 'p_val', 'expected_run_time' and 'fdr'"))
        if self.confidence is not None and self.expected_run_time is None:
            raise SectionError((("confidence",), "needs 'expected_run_time', the promise that it is about"))
        if faults := list(self._faults_of_the_test()):
            raise SectionError(*faults)
        return self

    def _faults_of_the_test(self) -> Iterator[tuple[KeyPath, str]]:
        """Find what is asked of a test that it does not have."""
        if self.name in _WITHOUT_DIRECTION and self.alternative != "two-sided":
            yield ("alternative",), f"must be 'two-sided' with {self.name}, which has no direction"
        unproven = () if self.name in WINDOW_TEST_NAMES else ("expected_run_time", "fdr")
        for promise in _NOT_KEPT_BY.get(self.name, unproven):
            if getattr(self, promise) is not None:
                yield (promise,), f"is not kept by {self.name}, but by ks_2samp, whose p-values are exact"
        if self.name == "anderson_ksamp" and self.p_val is not None and not 0.001 < self.p_val <= 0.25:
            yield (
                ("p_val",),
                "must be above 0.001 and at most 0.25 with anderson_ksamp, whose p-values end there",
            )


class AlertsConfig(Section):
    """When and where the state of a monitor is announced."""

    topic: TopicName
    """Topic that alerts are published to, as CloudEvents."""
    raise_after: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Drifted windows before `detected` is published: in a row, or among the last `raise_within`."""
    raise_within: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Number of latest windows among which `raise_after` must have drifted; `raise_after` if not given."""
    resolve_after: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Clean windows in a row before `resolved` is published."""
    remind_after_seconds: PositiveSeconds | None = None
    """Seconds of lasting drift after which the alert is repeated; never when not given."""
    cooldown_seconds: PositiveSeconds | None = None
    """Seconds after `resolved` in which nothing new is raised; drift that outlasts them is raised then."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.raise_within is not None and self.raise_within < self.raise_after:
            raise SectionError((("raise_within",), f"must be at least 'raise_after', {self.raise_after}"))
        return self


class DeadLettersConfig(Section):
    """Where events go that cannot be read or scored."""

    topic: TopicName
    """Topic for rejected events, with their original key and value and the reason in headers."""


class ScoresConfig(Section):
    """Where every instance's score goes."""

    topic: TopicName
    """Topic for one JSON record an instance: its score, whether it is flagged, and which event it is of."""


class MonitorConfig(Section):
    """One detector on one topic."""

    name: MonitorName
    """Name in alerts, metrics and Redis keys; a new name begins with empty windows."""
    input: InputConfig
    """Where the events come from."""
    detector: RelativePath
    """Directory of the detector bundle, from the config file's own directory."""
    prediction: Literal["event", "run"] = "event"
    """Whether the model's output is in the event, or the bundle's model is to be run."""
    segment_by: SegmentRule = "none"
    """What splits traffic into segments: `key`, `header:NAME`, `field:PATH`, `field` (`fields.segment`)."""
    window: WindowConfig
    """How scores are gathered."""
    test: WindowTestConfig = Field(default_factory=lambda: WindowTestConfig.model_validate({}))
    """How windows are judged."""
    alerts: AlertsConfig
    """Where alerts go, and when."""
    dead_letters: DeadLettersConfig
    """Where rejected events go."""
    scores: ScoresConfig | None = None
    """Where every score goes; nowhere when not given."""

    @property
    def runs_model(self) -> bool:
        """Whether the bundle's model has to be there: to be run on all events, or on unpaired requests."""
        return self.prediction == "run" or self.input.runs_unpaired

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.test.fdr is not None and self.window.overlaps:
            raise SectionError(
                (
                    ("test", "fdr"),
                    "holds for windows that share no scores; leave out 'window.hop', or promise"
                    " 'expected_run_time'",
                )
            )
        return self


class StateConfig(Section):
    """Where it is written down how every segment stands, so that the loss of Redis loses nothing."""

    topic: TopicName
    """Compacted topic (`cleanup.policy: compact`) for one small record a segment."""


class Config(Section):
    """What drift-monitor watches and how."""

    kafka: KafkaConfig
    """Connection to Kafka, with any librdkafka property."""
    redis: RedisConfig
    """Connection to Redis."""
    schema_registry: SchemaRegistryConfig | None = None
    """Where the schemas of events are kept; needed by `format: avro`."""
    worker: WorkerConfig = WorkerConfig()
    """How the worker goes about its work."""
    state: StateConfig | None = None
    """What windows are rebuilt from, with all their verdicts and alerts, when Redis has lost its data."""
    forward: ForwardConfig | None = None
    """Who alerts are handed on to."""
    monitors: Annotated[tuple[MonitorConfig, ...], Field(strict=False, min_length=1)]
    """What is watched; at least one."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        faults = [
            *_repeated_names(self.monitors),
            *_crossed_topics(self.monitors),
            *_requests_read_twice(self.monitors),
        ]
        if self.state is not None and self.state.topic in _monitor_topics(self.monitors):
            faults.append((("state", "topic"), "is a monitor's topic already; name another topic"))
        if self.schema_registry is None:
            faults += _lacking_registry(self.monitors)
        if faults:
            raise SectionError(*faults)
        return self


def _lacking_registry(monitors: tuple[MonitorConfig, ...]) -> Iterator[tuple[KeyPath, str]]:
    for index, monitor in enumerate(monitors):
        if "schema_registry" in needed_services(codec_class(monitor.input.format)):
            yield ("monitors", index, "input", "format"), "needs the section 'schema_registry' with its url"


def _repeated_names(monitors: tuple[MonitorConfig, ...]) -> Iterator[tuple[KeyPath, str]]:
    first: dict[str, int] = {}
    for index, monitor in enumerate(monitors):
        if first.setdefault(monitor.name, index) != index:
            path = ("monitors", index, "name")
            yield path, f"is the name of monitors[{first[monitor.name]}] already; each needs its own"


def _requests_read_twice(monitors: tuple[MonitorConfig, ...]) -> Iterator[tuple[KeyPath, str]]:
    """Find monitors that would count a request anew when it is sent to its topic again."""
    returning = {one.input.topic: index for index, one in enumerate(monitors) if one.input.runs_unpaired}
    for index, monitor in enumerate(monitors):
        if monitor.input.format != PAIRS and monitor.input.topic in returning:
            other = returning[monitor.input.topic]
            yield (
                ("monitors", index, "input", "format"),
                f"must be 'pairs' for a topic to which monitors[{other}] sends unpaired requests again"
                " (unpaired: run); they would be counted twice",
            )


def _monitor_topics(monitors: tuple[MonitorConfig, ...]) -> set[str]:
    return {
        part.topic
        for monitor in monitors
        for part in (monitor.input, monitor.alerts, monitor.dead_letters, monitor.scores)
        if part is not None
    }


def _crossed_topics(monitors: tuple[MonitorConfig, ...]) -> Iterator[tuple[KeyPath, str]]:
    """Find outputs that would flow back into a monitor, or mix alerts, dead letters and scores."""
    readers = {monitor.input.topic: index for index, monitor in reversed(list(enumerate(monitors)))}
    rejected = {monitor.dead_letters.topic: index for index, monitor in reversed(list(enumerate(monitors)))}
    for index, monitor in enumerate(monitors):
        for section in ("alerts", "dead_letters"):
            topic = getattr(monitor, section).topic
            if topic in readers:
                path = ("monitors", index, section, "topic")
                yield path, f"is the input of monitors[{readers[topic]}]; name another topic"
        if (topic := monitor.alerts.topic) in rejected and topic not in readers:
            path = ("monitors", index, "alerts", "topic")
            yield path, f"receives the dead letters of monitors[{rejected[topic]}]; name another topic"
    taken = {**dict.fromkeys(readers, "input"), **dict.fromkeys(rejected, "dead letters")}
    taken |= {monitor.alerts.topic: "alerts" for monitor in monitors}
    for index, monitor in enumerate(monitors):
        if monitor.scores is not None and (use := taken.get(monitor.scores.topic)):
            yield ("monitors", index, "scores", "topic"), f"holds {use} of a monitor; name another topic"
