"""``detector.json``: what a bundle says about itself, written and read strictly."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from detectors.errors import BundleError
from detectors.meta import DISTRIBUTION

FORMAT_VERSION = 1
MANIFEST_NAME = "detector.json"
MAX_MANIFEST_BYTES = 2**20
DIGEST_CHUNK_BYTES = 2**20

DISTILLED_FILE = "distilled.keras"
MODEL_FILE = "model.keras"
REFERENCE_FILE = "reference.npy"
PREPROCESS_MODEL_FILE = "preprocess.keras"
PREPROCESS_DIRECTORY = "preprocess"
PREPROCESS_MANIFEST = f"{PREPROCESS_DIRECTORY}/{MANIFEST_NAME}"

FILE_NAMES = frozenset(
    {DISTILLED_FILE, MODEL_FILE, REFERENCE_FILE, PREPROCESS_MODEL_FILE, PREPROCESS_MANIFEST}
)
"""Everything a bundle may consist of; no other name is ever opened, wherever it points."""

VERSIONED_LIBRARIES = (DISTRIBUTION, "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class ReferenceEntry:
    """Identity of a reference.

    Attributes
    ----------
    size
        Number of scores or instances.
    sha256
        Digest of the numbers alone, little-endian and in C order: the same wherever the reference is kept.
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Content of ``detector.json``.

    Attributes
    ----------
    detector_class
        ``"ModelDistillation"`` or ``"KSDrift"``.
    parameters
        Arguments of the class, by name.
    threshold
        Threshold of instance scores, or None.
    input_shape
        Shape of one instance, None where a length may vary; None when unknown.
    n_classes
        Number of classes, or None where there are none.
    versions
        Versions of Python and the libraries that wrote the bundle.
    files
        SHA-256 digest of each other file, by name.
    reference
        What the stored reference is, or None.
    format_version
        Version of this layout.
    """

    detector_class: str
    parameters: Mapping[str, Any]
    threshold: float | None
    input_shape: tuple[int | None, ...] | None
    n_classes: int | None
    files: Mapping[str, str]
    reference: ReferenceEntry | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """Text of ``detector.json``."""
        content = {
            "format_version": self.format_version,
            "class": self.detector_class,
            "parameters": dict(self.parameters),
            "threshold": self.threshold,
            "input_shape": None if self.input_shape is None else list(self.input_shape),
            "n_classes": self.n_classes,
            "reference": None if self.reference is None else vars(self.reference),
            "versions": dict(self.versions),
            "files": dict(self.files),
        }
        return json.dumps(content, indent=2, allow_nan=False, default=_plain) + "\n"


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide what a bundle means."""
    found = {"python": platform.python_version()}
    for name in VERSIONED_LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a source tree, or a TensorFlow built under another name
            found[name] = "unknown"
    return found


def read_manifest(directory: Path) -> Manifest:
    """Read ``detector.json``.

    Parameters
    ----------
    directory
        The bundle.

    Raises
    ------
    BundleError
        If there is none, or it is not what `Manifest.to_json` writes.
    """
    if not directory.is_dir():
        raise BundleError(f"There is no detector bundle at {directory}; it must be a directory.")
    path = directory / MANIFEST_NAME
    try:
        content = json.loads(read_file(path, MAX_MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not readable JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} must hold a JSON object.")
    found = content.get("format_version")
    if found != FORMAT_VERSION or isinstance(found, bool):
        raise BundleError(
            f"{path} has format_version {found!r}; this version of the software reads {FORMAT_VERSION}."
        )

    def take(name: str, valid: Callable[[Any], bool], wanted: str) -> Any:
        if name not in content:
            raise BundleError(f"{path} lacks {name!r}, which must be {wanted}.")
        if not valid(content[name]):
            raise BundleError(f"{name!r} in {path} must be {wanted}.")
        return content[name]

    shape = take("input_shape", _is_shape, "a list of positive whole numbers or null, or null")
    reference = take("reference", _is_reference, "an object with size and sha256, or null")
    manifest = Manifest(
        detector_class=take("class", lambda value: isinstance(value, str), "text"),
        parameters=take("parameters", lambda value: isinstance(value, dict), "an object"),
        threshold=take("threshold", lambda value: value is None or _is_number(value), "a number or null"),
        input_shape=None if shape is None else tuple(shape),
        n_classes=take("n_classes", lambda value: value is None or _is_size(value), "a whole number or null"),
        reference=None if reference is None else ReferenceEntry(**reference),
        versions=take("versions", _is_text_map, "an object of texts"),
        files=take("files", _is_text_map, "an object of file names and SHA-256 digests"),
    )
    for name in manifest.files:
        if name not in FILE_NAMES:
            raise BundleError(
                f"{path} names a file {name!r}; it may name only {', '.join(sorted(FILE_NAMES))}."
            )
    return manifest


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a regular file of limited size, following no symbolic link.

    Raises
    ------
    BundleError
        If it is missing, no regular file, or too large.
    """
    size = regular_file_size(path)
    if size > max_bytes:
        raise BundleError(f"{path} has {size:,} bytes; the limit is {max_bytes:,}.")
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            return file.read(max_bytes)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error


def regular_file_size(path: Path) -> int:
    """Size in bytes of a regular file that is no symbolic link.

    Raises
    ------
    BundleError
        If it is missing or something else.
    """
    try:
        status = os.lstat(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path} is not a regular file; a bundle holds no links or devices.")
    return status.st_size


def digest(path: Path) -> str:
    """SHA-256 digest of a regular file, as hexadecimal text.

    Raises
    ------
    BundleError
        If it is missing or no regular file.
    """
    regular_file_size(path)
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(DIGEST_CHUNK_BYTES):
                sha.update(chunk)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    return sha.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise BundleError(f"{value!r} of type {type(value).__name__} cannot be stored in {MANIFEST_NAME}.")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_shape(value: Any) -> bool:
    return value is None or (
        isinstance(value, list) and all(size is None or _is_size(size) for size in value)
    )


def _is_text_map(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_reference(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"size", "sha256"}
        and _is_size(value["size"])
        and isinstance(value["sha256"], str)
    )
