"""YAML text to plain values that remember their lines; anything surprising in YAML is refused.

Plain scalars follow the core schema of YAML 1.2, because 1.1 reads ``no`` as false, ``12:30`` as 750 and
``1e-3`` as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from monitor.config.environment import SubstitutionError, substitute
from monitor.config.faults import Fault, KeyPath, dotted, shown_key

MAX_DEPTH = 30
"""Nesting of a config file; the deepest place that the config knows is 5 levels down."""
MAX_VALUES = 50_000
"""Values after aliases are expanded: room for a thousand monitors, while a YAML bomb stops here."""

_TAG = "tag:yaml.org,2002:"
_CORE_SCHEMA = (
    ("null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
        list("-+.0123456789"),
    ),
    ("merge", re.compile(r"<<"), ["<"]),
)


@dataclass
class Document:
    """The values of a YAML document and where they stand.

    Attributes
    ----------
    value
        Mappings, lists, texts, numbers, truth values and None; None where a fault was found.
    lines
        Line of each key and list item, from 1.
    from_environment
        Places whose text came, at least in part, from environment variables.
    faults
        What was wrong without stopping the reading.
    """

    value: object = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    from_environment: set[KeyPath] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def line_of(self, path: KeyPath) -> int:
        """Find the line of a place, or of the nearest thing around it that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class UnreadableYamlError(Exception):
    """The text is not YAML that can be read at all; carries the one fault that stopped the reading."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.sentence)
        self.fault = fault


def read_yaml(text: str, environ: Mapping[str, str]) -> Document:
    """Read one YAML document, with references to the environment replaced after parsing.

    Raises
    ------
    UnreadableYamlError
        If the text is no YAML, holds several documents, nests too deeply, or expands to too many values.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise UnreadableYamlError(_syntax_fault(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        sentence = f"holds the character U+{error.character:04X}, which YAML does not allow"
        raise UnreadableYamlError(Fault(line, sentence)) from None
    except (ValueError, OverflowError):
        # PyYAML turns escapes such as "\UFFFFFFFF" and huge version numbers into these, without a place.
        raise UnreadableYamlError(
            Fault(loader.line + 1, "not valid YAML: an escape or number is out of range")
        ) from None
    reading = _Reading(environ)
    if node is not None:
        reading.document.value = reading.read(node, ())
    return reading.document


class _Loader(yaml.SafeLoader):
    """PyYAML's parser and composer, with the core schema's scalars and a limit on nesting."""

    # The parser looks this table up on its class; beginning anew drops the schema of YAML 1.1.
    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]

    def __init__(self, text: str) -> None:
        self.depth = 0
        self.n_nodes = 0
        super().__init__(text)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        self.n_nodes += 1
        if self.n_nodes > MAX_VALUES:
            raise UnreadableYamlError(Fault(self.line + 1, f"holds more than {MAX_VALUES} values"))
        if self.depth > MAX_DEPTH:
            raise UnreadableYamlError(Fault(self.line + 1, f"nests more than {MAX_DEPTH} levels deep"))
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _name, _pattern, _first in _CORE_SCHEMA:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern.pattern})\Z"), _first)


class _Reading:
    """One walk over the composed nodes."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.document = Document()
        self._environ = environ
        self._n_values = 0
        self._open: set[int] = set()

    def read(self, node: Node, path: KeyPath) -> object:
        self._n_values += 1
        if self._n_values > MAX_VALUES:
            sentence = f"holds more than {MAX_VALUES} values once its aliases are expanded"
            raise UnreadableYamlError(Fault(_line(node), sentence))
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._fault(node, path, "holds itself through an alias")
            return None
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self._fault(node, path, "has a YAML tag; write the value without one")
            return None
        self._open.add(id(node))
        value = self._mapping(node, path) if isinstance(node, MappingNode) else self._sequence(node, path)
        self._open.remove(id(node))
        return value

    def _sequence(self, node: Node, path: KeyPath) -> object:
        if not isinstance(node, SequenceNode) or node.tag != _TAG + "seq":
            self._fault(node, path, "has a YAML tag; write the value without one")
            return None
        values = []
        for index, item in enumerate(node.value):
            place = (*path, index)
            self.document.lines[place] = _line(item)
            values.append(self.read(item, place))
        return values

    def _mapping(self, node: MappingNode, path: KeyPath) -> object:
        if node.tag != _TAG + "map":
            self._fault(node, path, "has a YAML tag; write the value without one")
            return None
        entries: dict[str, tuple[Node, Node]] = {}
        merged: list[tuple[Node, Node]] = []
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged.extend(self._merged(value_node, path))
            elif key_node.tag != _TAG + "str" or not _is_unicode(key_node.value):
                self._fault(key_node, path, "has a key that is not text")
            elif key_node.value in entries:
                first = _line(entries[key_node.value][0])
                key = shown_key(key_node.value)
                self._fault(
                    key_node, (*path, key), f"is given twice, first in line {first}; keep one of them"
                )
            else:
                entries[key_node.value] = (key_node, value_node)
        for key_node, value_node in merged:
            entries.setdefault(key_node.value, (key_node, value_node))
        values = {}
        for key, (key_node, value_node) in entries.items():
            place = (*path, key)
            self.document.lines[place] = _line(key_node)
            values[key] = self.read(value_node, place)
        return values

    def _merged(self, node: Node, path: KeyPath) -> Iterator[tuple[Node, Node]]:
        """Yield the entries that a merge key brings in; earlier ones win over later ones."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, MappingNode):
                self._fault(node, path, "has a merge key '<<' whose value is not a mapping")
                return
            for key_node, value_node in source.value:
                self._n_values += 1
                if key_node.tag != _TAG + "str":
                    self._fault(key_node, path, "merges a mapping whose own keys are not all plain text")
                    return
                yield key_node, value_node

    def _scalar(self, node: ScalarNode, path: KeyPath) -> object:
        text: str = node.value
        try:
            match node.tag.removeprefix(_TAG):
                case "str":
                    return self._text(node, path)
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
                case "float":
                    return float(re.sub(r"\.(inf|nan)\Z", r"\1", text.lower()))
                case "merge":
                    return text
        except (ValueError, KeyError):
            self._fault(node, path, "is not a number or truth value that can be read")
            return None
        self._fault(node, path, "has a YAML tag; write the value without one")
        return None

    def _text(self, node: ScalarNode, path: KeyPath) -> str | None:
        if not _is_unicode(node.value):
            self._fault(node, path, "holds an escape for half of a surrogate pair, which is not text")
            return None
        try:
            text = substitute(node.value, self._environ)
        except SubstitutionError as error:
            self._fault(node, path, str(error))
            return None
        if text != node.value:
            self.document.from_environment.add(path)
        return text

    def _fault(self, node: Node, path: KeyPath, sentence: str) -> None:
        self.document.faults.append(Fault(_line(node), f"{dotted(path)} {sentence}", path))


def _line(node: Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, None)
    # Names of anchors and tags are not repeated: they may be a password that lacks its quotes.
    problem = error.problem or error.context or "cannot be parsed"
    if "'\\t'" in problem:
        problem = "a tab; YAML indents with spaces"
    elif "undefined alias" in problem:
        problem = "an alias that no anchor defines; put text that begins with '*' in quotes"
    elif mark and mark.buffer and mark.buffer[mark.pointer - 1 : mark.pointer + 1] == "${":
        problem = "a ${...} inside { } or [ ]; put it in quotes there"
    elif problem.startswith("but found another document"):
        problem = "a second document; a config is one document"
    elif "duplicate anchor" in (error.context or ""):
        problem = "an anchor that is defined already; name it otherwise"
    elif "tag handle" in problem:
        problem = "a tag; put text that begins with '!' in quotes"
    return Fault(line, f"not valid YAML: {problem}", column=column)
