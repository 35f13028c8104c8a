"""``reference.npy``: the reference of a bundle, written and read without pickle."""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.bundles.manifest import ReferenceEntry, read_file
from detectors.errors import BundleError, InvalidArgumentError
from detectors.instances import Float32Array, read_numbers

MAX_REFERENCE_BYTES = 2**30
MAX_REFERENCE_DIMENSIONS = 32
"""As many as an array has with every release of numpy."""
_NPY_1_0 = np.lib.format.magic(1, 0)
MIN_REFERENCE_SIZE = 2
"""A distribution of one value can tell nothing."""


def sorted_scores(scores: Any) -> Float32Array:
    """Turn the scores of a clean sample into a reference.

    Parameters
    ----------
    scores
        Scores in any order, shape (n,), n at least 2.

    Returns
    -------
    ndarray
        float32, shape (n,), ascending.

    Raises
    ------
    InvalidArgumentError
        If they are not one-dimensional, too few, or not finite.
    """
    array = read_numbers(scores, "reference")
    if array.ndim != 1 or len(array) < MIN_REFERENCE_SIZE:
        raise InvalidArgumentError(
            f"reference has shape {array.shape}; it must be (n,) with at least {MIN_REFERENCE_SIZE} scores."
        )
    with np.errstate(over="ignore"):
        ordered = np.sort(array.astype(np.float32))
    if not np.isfinite(ordered).all():
        raise InvalidArgumentError("reference holds NaN or infinity; every score must be finite.")
    return ordered


def describe_reference(reference: npt.NDArray[Any]) -> ReferenceEntry:
    """Size and digest of a reference's numbers."""
    content = np.ascontiguousarray(reference, dtype=reference.dtype.newbyteorder("<"))
    return ReferenceEntry(size=len(reference), sha256=hashlib.sha256(content.tobytes()).hexdigest())


def write_reference(reference: npt.NDArray[Any], path: Path) -> None:
    """Write an array of numbers, little-endian and in C order."""
    with path.open("wb") as file:
        content = np.ascontiguousarray(reference, dtype=reference.dtype.newbyteorder("<"))
        np.lib.format.write_array(file, content, allow_pickle=False)


def read_reference(path: Path, sha256: str, *, scores: bool) -> npt.NDArray[Any]:
    """Read an array of numbers whose digest is known.

    Parameters
    ----------
    path
        The ``.npy`` file.
    sha256
        Digest of the file.
    scores
        Whether it must be sorted float32 scores of shape (n,), rather than instances of any shape.

    Returns
    -------
    ndarray
        Finite numbers, at least two rows.

    Raises
    ------
    BundleError
        If the file is altered, or not such an array.
    """
    content = read_file(path, MAX_REFERENCE_BYTES)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(f"{path} has been altered: its SHA-256 digest is not the one in the bundle.")
    array = _parse_array(content, path)
    if array.ndim == 0 or len(array) < MIN_REFERENCE_SIZE or not np.isfinite(array).all():
        raise BundleError(f"{path} must hold at least {MIN_REFERENCE_SIZE} rows of finite numbers.")
    if scores and (array.dtype != np.float32 or array.ndim != 1 or (np.diff(array) < 0).any()):
        raise BundleError(f"{path} must hold sorted float32 scores of shape (n,).")
    return array


def _parse_array(content: bytes, path: Path) -> npt.NDArray[Any]:
    # Not numpy.load: the shape in the header is compared with the bytes there are before any memory is taken.
    file = io.BytesIO(content)
    if content[: len(_NPY_1_0)] != _NPY_1_0:
        raise BundleError(f"{path} is not in version 1.0 of the .npy format.")
    file.seek(len(_NPY_1_0))
    try:
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # the header is a Python literal of any kind, and tokens if it is none
        raise BundleError(f"{path} has no readable .npy header.") from error
    if dtype.kind not in "biuf" or dtype.str.startswith(">") or fortran_order or dtype.hasobject:
        raise BundleError(f"{path} holds {dtype.str}; it must hold little-endian numbers in C order.")
    n_bytes = len(content) - file.tell()
    if len(shape) > MAX_REFERENCE_DIMENSIONS or not all(0 <= n <= n_bytes for n in shape):
        raise BundleError(f"{path} declares a shape that no array of {n_bytes:,} bytes has.")
    if n_bytes != math.prod(shape) * dtype.itemsize:  # exact: Python whole numbers do not overflow
        raise BundleError(f"{path} declares shape {shape}, which does not match its {n_bytes:,} bytes.")
    array: npt.NDArray[Any] = np.frombuffer(content[file.tell() :], dtype=dtype).reshape(shape).copy()
    return array
