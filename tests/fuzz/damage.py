"""Valid inputs in, damaged ones out: where a recipe says, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.records import Headers
from tests.fuzz.recipe import Recipe


class Vocabulary(NamedTuple):
    """What is put into inputs of one kind.

    Attributes
    ----------
    values
        Put in the place of a value, so that the whole is often well-formed still.
    scraps
        Put anywhere.
    """

    values: Sequence[bytes]
    scraps: Sequence[bytes]


JSON = Vocabulary(
    values=(
        *b'null true false -0 0.5 2 1e-3 -0.25 1e-400 1e39 -1e39 1e308 0.7509 0.752 1.5 ""'.split(),
        *b"-9223372036854775809 18446744073709551616 [] {} [[]] [1,2,3] [[1,2,3]] [0.5,0.5] ".split(),
        *b'[null] "x" "NaN" "1.5"'.split(),
        *rb'"\u0000" "\ud800" "\ud83d\ude00" "FP16" "BYTES" {"a":1} [0.5,0.5],[1] 1,2 1,"id":"b"'.split(),
        *b'1,"instance":[1,2,3] "x","data":{"instance":1} "2016-12-31T23:59:60Z"'.split(),
        *b'"0000-00-00T99:99:99Z" "9999-12-31T23:59:59.999999999+23:59" "2026-11-20" 1763640000000'.split(),
        *b"253402300800000 -62135596800001".split(),
        *(b"9" * 30, b"1e+" + b"0" * 300 + b"1", b"[" * 12 + b"]" * 12, b'"' + b"a" * 2000 + b'"'),
    ),
    scraps=(
        *b'NaN -Infinity 1e999 1. +1 \xef\xbb\xbf "\xff" "\xed\xa0\x80" \' " \\ ] } , : /**/ \x00'.split(),
        *b'"instance" "prediction" "id" "data" "shape" "parameters" "binary_data_size":5,'.split(),
        *(b"\n", b"0" * 400, b"[" * 1500, b'{"a":' * 1500, b"\x00\x00\x00\x00\x02"),
    ),
)
BINARY = Vocabulary(
    values=(),
    scraps=(
        *b"\x00 \xff \x80 \x7f \x00\x00\x00\x00 \xff\xff\xff\xff".split(b" "),
        # NaN and infinity as float32 and float64, in either byte order.
        *(b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\x7f\xf8" + b"\x00" * 6, b"\x00" * 6 + b"\xf0\x7f"),
        # Heads of MessagePack that promise gigabytes, and kinds that are rare.
        *b"\xdd\xff\xff\xff\xff \xdf\xff\xff\xff\xff \xc6\xff\xff\xff\xff \xdb\x7f\xff\xff\xff \xc1".split(
            b" "
        ),
        *b"\xc7\x08\xff \xd6\xff\xff\xff\xff\xff \x93 \xca".split(b" "),
        *(b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\x00" * 7, b"\x91" * 1500, b"\x81\xa1a" * 700),
        # Counts of Avro: 2^31, -1, -2^63, and a block that says how long it is.
        *(
            b"\xfe\xff\xff\xff\x0f",
            b"\x01",
            b"\xff" * 9 + b"\x01",
            b"\x05\x40",
            b"\x02",
            b"\x0c",
            b"\xff" * 10,
        ),
        # What clients of a schema registry put first.
        *b"\x00\x00\x00\x00\x01 \x00\x00\x00\x00\x02 \x00\xff\xff\xff\xff".split(b" "),
        *(b"\x01" + b"\x11" * 16, b"\x80" * 9 + b"\x01", b"\x00" * 16),
    ),
)
HEADER_TOKENS: Sequence[bytes | None] = (
    *b" \xff \x00 x -1 0 3 1e3 2,3 3,2, <f4 |u1 <f8 <f2 >i8 |O |V8 <U4 ? M8[s] f4,f4 application/json".split(
        b" "
    ),
    *b"2026-11-20T12:00:00Z 1763640000000 0.3 org.x.request org.x.response".split(),
    *(None, b"9" * 40, b"1" + b",1" * 70, b"a" * 3000),
)
HEADER_NAMES = (
    *(
        "tensor-dtype",
        "tensor-shape",
        "prediction-dtype",
        "id",
        "time",
        "model",
        "segment",
        "content-type",
        "",
    ),
    *(
        "__value_schema_id",
        "Inference-Header-Content-Length",
        "ce_id",
        "ce_time",
        "ce_type",
        "ce_specversion",
    ),
    "ce_",
)

_VALUE = re.compile(rb"(?<=[:,\[])\s*[^\[\]{},:\s]+(?=\s*[,\]}\n])")

Damage = Callable[[bytes, int, Recipe, Vocabulary], bytes]


def _set_byte(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    return value[:at] + bytes([recipe.number()]) + value[at + 1 :]


def _flip_bit(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    bit = 1 << recipe.number() % 8
    return value[:at] + bytes([value[at] ^ bit]) + value[at + 1 :] if at < len(value) else value


def _delete(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    return value[:at] + value[at + 1 + recipe.number() % 24 :]


def _insert(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    return value[:at] + recipe.piece(1 + recipe.number() % 8) + value[at:]


def _insert_scrap(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    return value[:at] + recipe.one_of(words.scraps) + value[at:]


def _overwrite(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    scrap = recipe.one_of(words.scraps)
    return value[:at] + scrap + value[at + len(scrap) :]


def _replace_value(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    found = _VALUE.search(value, at) or _VALUE.search(value)
    word = recipe.one_of(words.values)
    return value if found is None else value[: found.start()] + word + value[found.end() :]


def _truncate(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    return value[:at]


def _repeat(value: bytes, at: int, recipe: Recipe, words: Vocabulary) -> bytes:
    return value[: at + 1 + recipe.number() % 40] + value[at:]


_ANYWHERE: Sequence[Damage] = (
    _set_byte,
    _flip_bit,
    _delete,
    _insert,
    _insert_scrap,
    _overwrite,
    _truncate,
    _repeat,
)
_WITH_VALUES: Sequence[Damage] = (*_ANYWHERE, *(2 * len(_ANYWHERE) * [_replace_value]))


def damaged(value: bytes, recipe: Recipe, words: Vocabulary, most: int = 3) -> bytes:
    """Damage bytes at up to so many places; often at none."""
    damages = _WITH_VALUES if words.values else _ANYWHERE
    for _ in range(recipe.number() % (most + 1)):
        at = recipe.number(2) % (len(value) + 1)
        value = recipe.one_of(damages)(value, at, recipe, words)
    return value


def damaged_headers(headers: Headers, recipe: Recipe) -> Headers:
    """Change, drop, double or add a header; mostly none."""
    if recipe.number() % 4:
        return headers
    changed = list(headers)
    at = recipe.number() % (len(changed) + 1)
    word = recipe.one_of(HEADER_TOKENS)
    if at == len(changed) or recipe.number() % 4 == 0:
        changed.insert(at, (recipe.one_of(HEADER_NAMES), word))
    elif recipe.number() % 3 == 0:
        del changed[at]
    else:
        name, text = changed[at]
        changed[at] = (
            name,
            word if text is None or recipe.number() % 2 else damaged(text, recipe, BINARY, 2),
        )
    return changed
