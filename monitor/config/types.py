"""The texts of a config that must have a form: names, topics, paths, addresses, Kafka properties."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, Secret, ValidationInfo, WithJsonSchema

from monitor.config.faults import nearest, quoted_choice
from streams.codecs.protocol import CODEC_ENTRY_POINT_GROUP
from streams.entry_points import installed

DIRECTORY = "directory"
"""Key of the validation context under which the config file's directory stands."""

_URL_FORM = (
    "must be redis://host:port/db, rediss://host:port/db (TLS) or unix:///path/to/socket?db=0; "
    "a password with special characters goes into redis.password"
)

_REGISTRY_URL_FORM = "must be http://host:port or https://host:port, with the path of the API if it has one"


_SEGMENT_RULE = r"none|key|field|field:[^.]+(\.[^.]+)*|header:.*\S.*"


class RedisUrl(Secret[str]):
    """An address that may hold a password; whoever prints it sees ``***`` in the password's place."""

    def _display(self) -> str:
        return re.sub(r"//.*@", "//***@", self.get_secret_value(), flags=re.DOTALL)

    @property
    def scheme(self) -> str:
        """``redis``, ``rediss`` or ``unix``."""
        return urlsplit(self.get_secret_value()).scheme

    @property
    def has_credentials(self) -> bool:
        """Whether the address names a user or a password."""
        return "@" in urlsplit(self.get_secret_value()).netloc


def _redis_url(url: RedisUrl) -> RedisUrl:
    try:
        parts = urlsplit(url.get_secret_value())
        options = parse_qs(parts.query, keep_blank_values=True)
        _ = parts.port
    except ValueError:
        raise ValueError(_URL_FORM) from None
    database = options.pop("db", ["0"])[0]
    if parts.scheme == "unix":
        complete = parts.path.startswith("/") and len(parts.path) > 1
    else:
        complete = bool(parts.hostname) and re.fullmatch(r"(/[0-9]{0,6})?", parts.path) is not None
    known_scheme = parts.scheme in ("redis", "rediss", "unix")
    # redis-py would take any of its own options here, a password among them.
    if not known_scheme or not complete or options or parts.fragment or not re.fullmatch("[0-9]+", database):
        raise ValueError(_URL_FORM)
    return url


def _registry_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(_REGISTRY_URL_FORM) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(_REGISTRY_URL_FORM)
    if "@" in parts.netloc:
        raise ValueError("must not name a user; that goes into 'username' and 'password'")
    return url


def _topic(topic: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", topic) or topic in (".", ".."):
        raise ValueError(
            "must be a Kafka topic: 1 to 249 letters, digits, dots, underscores or hyphens, "
            "and neither '.' nor '..'"
        )
    return topic


def _monitor_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", name):
        raise ValueError(
            "must be 1 to 100 lower-case letters, digits, dots, underscores or hyphens, "
            "beginning with a letter or digit"
        )
    return name


def _key_prefix(prefix: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", prefix):
        raise ValueError("must be 1 to 100 letters, digits, dots, colons, underscores or hyphens")
    return prefix


def _field_path(path: str) -> str:
    if not all(path.split(".")):
        raise ValueError(
            "must be a field of the event such as 'instance', or a path such as 'payload.features'"
        )
    return path


def _segment_rule(rule: str) -> str:
    if not re.fullmatch(_SEGMENT_RULE, rule):
        raise ValueError("must be 'none', 'key', 'field', 'field:PATH' or 'header:NAME'")
    return rule


def _installed(group: str, what: str, built_in: Sequence[str] = ()) -> Callable[[str], str]:
    """Return a check that a name is built in, or the name of an entry point of some installed package."""

    def check(name: str) -> str:
        if name in built_in:
            return name
        known = [*built_in, *installed(group)]
        if name in known:
            return name
        meant = nearest(name, known)
        advice = f"; did you mean '{meant}'?" if meant else ""
        choice = quoted_choice(known) if known else f"and no package adds any under '{group}'"
        raise ValueError(f"must be {what}, {choice}{advice}")

    return check


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, (str, Path)):
        raise ValueError("must be a path, written as text")  # noqa: TRY004 - pydantic collects nothing but ValueError
    if not str(value).strip() or not str(value).isprintable():
        raise ValueError("must be a path without control characters, and not empty")
    directory = (info.context or {}).get(DIRECTORY, Path.cwd())
    # Not resolved: Kubernetes swaps the symbolic links of mounted files when they change.
    return Path(os.path.abspath(directory / value))


PREPROCESSOR_GROUP = "drift_monitor.preprocessors"
"""Entry points of what prepares instances."""
TEST_GROUP = "drift_monitor.tests"
"""Entry points of what tests windows."""
WINDOW_TEST_NAMES = (
    "ks_2samp",
    "rank_cusum",
    "flagged_fraction",
    "mannwhitneyu",
    "cramervonmises_2samp",
    "anderson_ksamp",
)
"""The tests that need no other package."""

NonBlank = Annotated[str, AfterValidator(_not_blank)]
TopicName = Annotated[str, AfterValidator(_topic)]
MonitorName = Annotated[str, AfterValidator(_monitor_name)]
KeyPrefix = Annotated[str, AfterValidator(_key_prefix)]
FieldPath = Annotated[str, AfterValidator(_field_path)]
SegmentRule = Annotated[
    str, AfterValidator(_segment_rule), WithJsonSchema({"type": "string", "pattern": f"^({_SEGMENT_RULE})$"})
]
FormatName = Annotated[str, AfterValidator(_installed(CODEC_ENTRY_POINT_GROUP, "an installed event format"))]
Address = Annotated[RedisUrl, AfterValidator(_redis_url)]
PreprocessorName = Annotated[str, AfterValidator(_installed(PREPROCESSOR_GROUP, "an installed preprocessor"))]
TestName = Annotated[str, AfterValidator(_installed(TEST_GROUP, "a window test", WINDOW_TEST_NAMES))]
RegistryUrl = Annotated[str, AfterValidator(_registry_url)]
RelativePath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string"})]
"""A path that is taken from the config file's directory and made absolute."""
KafkaValue = Annotated[Any, WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""The value of a Kafka property; librdkafka knows better than a type what it may be."""
PositiveSeconds = Annotated[float, Field(gt=0, le=31_536_000)]
"""A span of up to a year."""
