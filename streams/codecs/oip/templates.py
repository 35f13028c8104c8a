"""Events of the Open Inference Protocol that differ only in numbers and texts, read by what they share.

A producer writes every event alike. Once one is known to be right, so is every text that is the same but for
the numbers of its data and the contents of some strings, since neither changes its structure. Such texts are
taken apart by a regular expression, and their numbers are parsed together. Where numbers follow the JSON in
binary form, they stand at the same places then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from simdjson import Parser

from streams.codecs.oip.reader import BinaryLayout, BinaryPlace, OipEvent
from streams.codecs.rejection import BadEventError

_TOKEN = re.compile(rb'"[^"]*"(?P<key>\s*:)?|\[[^][{}"]*\]')
"""A string, or an array that holds neither strings nor arrays, in JSON without backslashes."""
_SPECIAL = re.compile(rb"[\\\x00-\x1f]")
"""What a string of JSON does not hold as it is."""
_TRIAL = b"2001-02-03T04:05:06Z"
_TRIAL_MS = 981_173_106_000
"""Content of a string, to see what it stands for; any field can have it, the time too."""
_MOST_TOKENS = 64
_MOST_TEMPLATES = 4
_FEWEST_ROWS = 8
"""How many unknown events a batch needs so that one is learnt from."""
_LONGEST_PAUSE = 1024
_CHUNK = 256
"""How many texts are looked at together: if something is wrong with one, all are read one by one."""


Read: TypeAlias = Callable[[bytes], OipEvent]


class Template(NamedTuple):
    """What events share."""

    groups: Callable[[bytes], re.Match[bytes] | None]
    """Takes a text apart."""
    instance: tuple[int, int] | None
    """Which group holds the numbers of the instance, and how many; None if they are binary."""
    prediction: tuple[int, int] | None
    """The same of the prediction; None also if none is looked at."""
    binary: BinaryLayout | None
    """Where the numbers are in what follows the JSON; None if they are in it."""
    strings: Sequence[int]
    """Groups that hold contents of strings."""
    described: Sequence[int | None]
    """Which group holds id, time, model, segment, and each text to route by; None for a constant."""
    constants: Sequence[Any]
    """What they are where no group holds them."""


@dataclass
class Alike:
    """Events that a template has taken apart.

    Attributes
    ----------
    binary
        Where their numbers are; None if they are in the JSON.
    rows
        Their rows.
    texts
        Their texts as ``described`` in the template, a column each.
    """

    binary: BinaryLayout | None
    rows: list[int] = field(default_factory=list)
    texts: list[list[Any]] = field(default_factory=list)
    _instances: list[bytes] = field(default_factory=list)
    _predictions: list[bytes] = field(default_factory=list)
    _data: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0), np.uint8))

    def add(self, texts: Sequence[Sequence[Any]], instances: bytes, predictions: bytes) -> None:
        """Add what was found in some events: their texts and, as float64, their numbers."""
        for column, more in zip(self.texts, texts, strict=True):
            column += more
        self._instances.append(instances)
        self._predictions.append(predictions)

    def followed_by(self, data: Sequence[bytes]) -> None:
        """Take the binary data of the events; if any is of another size than is right, none is known."""
        size = 0 if self.binary is None else self.binary.size
        if any(len(one) != size for one in data):
            self.rows = []
        else:
            self._data = np.frombuffer(b"".join(data), np.uint8).reshape(-1, size)

    def instances(self, width: int) -> npt.NDArray[Any]:
        """Return the instances as shape (n, width)."""
        if self.binary is not None:
            return self._placed(self.binary.instance)
        return np.frombuffer(b"".join(self._instances), dtype=np.float64).reshape(-1, width)

    def predictions(self, width: int) -> npt.NDArray[Any]:
        """Return the predictions as shape (n, width)."""
        if self.binary is not None and self.binary.prediction is not None:
            return self._placed(self.binary.prediction)
        return np.frombuffer(b"".join(self._predictions), dtype=np.float64).reshape(-1, width)

    def _placed(self, place: BinaryPlace) -> npt.NDArray[Any]:
        return np.ascontiguousarray(self._data[:, place.first : place.end]).view(place.dtype)


class EventTemplates:
    """Learns how events look, and reads those that look so."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._templates: list[Template] = []
        self._pause = self._batches = 0

    def read(self, texts: Sequence[bytes | None]) -> tuple[list[Alike], list[int]]:
        """Read what is known.

        Parameters
        ----------
        texts
            JSON of each event; None for one that is not to be looked at.

        Returns
        -------
        alike
            Events that were read, by template.
        others
            Rows of all others.
        """
        others = list(range(len(texts)))
        found = []
        for template in self._templates:
            alike, others = self._read_alike(template, texts, others)
            if alike.rows:
                found.append(alike)
        return found, others

    def learn(self, unknown: int, text: bytes, learnt: Callable[[], Template | None]) -> None:
        """Learn from an accepted event how the unknown ones of a batch look, if there are enough of them.

        Parameters
        ----------
        unknown
            How many there are.
        text
            JSON of the event.
        learnt
            Works out the template of the event, when it is time.
        """
        if unknown < _FEWEST_ROWS:
            self._pause = self._batches = 0
            return
        self._batches += 1
        if self._batches < self._pause or any(template.groups(text) for template in self._templates):
            return
        self._pause, self._batches = min(2 * self._pause or 1, _LONGEST_PAUSE), 0
        template = learnt()
        if template is not None:
            self._templates = [template, *self._templates][:_MOST_TEMPLATES]

    def _read_alike(
        self, template: Template, texts: Sequence[bytes | None], rows: Sequence[int]
    ) -> tuple[Alike, list[int]]:
        alike, others = Alike(template.binary, texts=[[] for _ in template.described]), []
        match = template.groups
        for start in range(0, len(rows), _CHUNK):
            known, groups = [], []
            # What is matched is taken apart while it is still in the processor's cache.
            chunk = rows[start : start + _CHUNK]
            matches = [None if (text := texts[row]) is None else match(text) for row in chunk]
            for row, matched in zip(chunk, matches, strict=True):
                if matched is None:
                    others.append(row)
                else:
                    known.append(row)
                    groups.append(matched.groups())
            if known and not self._take(template, len(known), list(zip(*groups, strict=True)), alike):
                others += known
            else:
                alike.rows += known
        return alike, sorted(others)

    def _take(
        self, template: Template, count: int, groups: Sequence[tuple[bytes, ...]], alike: Alike
    ) -> bool:
        """Add a chunk of ``count`` events, unless something in it is unusual."""
        try:
            instances, predictions = (
                b"" if at is None else self._numbers(groups[at[0]], at[1])
                for at in (template.instance, template.prediction)
            )
            contents = b'"'.join(chain.from_iterable(groups[group] for group in template.strings))
            if _SPECIAL.search(contents):
                return False
            texts = contents.decode().split('"')
        except (ValueError, TypeError, RuntimeError):
            return False
        first = {group: number * count for number, group in enumerate(template.strings)}
        columns = [
            [constant] * count if group is None else texts[first[group] :][:count]
            for group, constant in zip(template.described, template.constants, strict=True)
        ]
        alike.add(columns, instances, predictions)
        return True

    def _numbers(self, lists: Sequence[bytes], width: int) -> bytes:
        """Parse lists of numbers as float64.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            If they are not numbers, or not ``width`` in each.
        """
        commas = width - 1
        if any(one.count(b",") != commas for one in lists):
            raise ValueError
        parsed: Any = self._parser.parse(b"[%b]" % b",".join(lists))
        numbers = bytes(parsed.as_buffer(of_type="d"))
        if len(numbers) != len(lists) * width * np.dtype(np.float64).itemsize:
            raise ValueError
        return numbers


def learnt_template(text: bytes, read: Read, binary: BinaryLayout | None = None) -> Template | None:
    """Find out what each number and text of an accepted event stands for, by events with others there.

    Parameters
    ----------
    text
        JSON of the event.
    read
        Reads one event exactly, given its JSON; raises ``BadEventError``.
    binary
        Where its numbers are if they follow the JSON.

    Returns
    -------
    Template or None
        None if the event holds several instances, or is otherwise unlike what most producers write.
    """
    known = _read_with(text, 0, 0, b"", read)
    tokens = list(_TOKEN.finditer(text))
    too_odd = b"\\" in text or _TRIAL in text or len(tokens) > _MOST_TOKENS
    if known is None or known.time_ms == _TRIAL_MS or too_odd:
        return None
    roles: dict[str, tuple[int, int]] = {}
    constants = _described(known)
    described: list[int | None] = [None] * len(constants)
    strings: list[int] = []
    pattern, at, groups = b"", 0, 0
    key = b""
    for token in tokens:
        begin, end = token.start() + 1, token.end() - 1
        if token["key"] is not None:
            key = token[0]
            continue
        if token[0].startswith(b"["):
            if binary is not None:
                continue
            role = _role_of_numbers(text, begin, end, known, read)
            if role is None or role[0] in roles:
                continue
            roles[role[0]] = groups, role[1]
            hole = b"([^]]*)"
        else:
            # Names tell tensors apart, so that one that is not chosen now could be.
            slots = None if key.startswith(b'"name"') else _slots_of_string(text, begin, end, known, read)
            if slots is None:
                continue
            strings.append(groups)
            for slot in slots:
                described[slot] = groups
            hole = b'([^"]*)'
        pattern += re.escape(text[at:begin]) + hole
        at, groups = end, groups + 1
    wanted = {"instances"} if known.predictions is None else {"instances", "predictions"}
    if binary is None and not wanted <= roles.keys():
        return None
    match = re.compile(pattern + re.escape(text[at:])).fullmatch
    numbers = roles.get("instances"), roles.get("predictions")
    return Template(match, *numbers, binary, strings, described, constants)


def _described(event: OipEvent) -> Sequence[Any]:
    return [event.id, event.time_ms, event.model, event.segment, *event.others]


def _role_of_numbers(
    text: bytes, begin: int, end: int, known: OipEvent, read: Read
) -> tuple[str, int] | None:
    """Tell whether a list of numbers is the ``instances`` or ``predictions`` of an event, and its length."""
    width = text.count(b",", begin, end) + 1
    # They add up to 1, and no two are alike.
    numbers = np.arange(1, width + 1) * 2 / (width * (width + 1))
    changed = _read_with(text, begin, end, ",".join(map(repr, numbers.tolist())).encode(), read)
    if changed is None or _described(changed) != _described(known):
        return None
    same_instances, same_predictions = _same_numbers(changed, known)
    if same_predictions and np.array_equal(changed.instances, numbers) and not same_instances:
        return "instances", width
    if same_instances and np.array_equal(_none_if_absent(changed), numbers) and not same_predictions:
        return "predictions", width
    return None


def _slots_of_string(text: bytes, begin: int, end: int, known: OipEvent, read: Read) -> list[int] | None:
    """Tell which of the described fields a string is, if any; None if it may matter in another way."""
    changed = _read_with(text, begin, end, _TRIAL, read)
    if changed is None or not all(_same_numbers(changed, known)):
        return None
    pairs = list(enumerate(zip(_described(known), _described(changed), strict=True)))
    slots = [slot for slot, (before, after) in pairs if before != after]
    expected = all(after in (_TRIAL.decode(), _TRIAL_MS) for slot, (_, after) in pairs if slot in slots)
    return slots if expected else None


def _read_with(text: bytes, begin: int, end: int, content: bytes, read: Read) -> OipEvent | None:
    """Read an event with something else in one place; None if it is refused, or holds several instances."""
    try:
        changed = read(text[:begin] + content + text[end:])
    except BadEventError:
        return None
    return changed if changed.count == 1 else None


def _same_numbers(one: OipEvent, other: OipEvent) -> tuple[bool, bool]:
    return (
        np.array_equal(one.instances, other.instances),
        np.array_equal(_none_if_absent(one), _none_if_absent(other)),
    )


def _none_if_absent(event: OipEvent) -> Any:
    return np.empty(0) if event.predictions is None else event.predictions
