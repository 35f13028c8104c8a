"""CIFAR-10 and CIFAR-10-C as they are published: Python batches, and one ``.npy`` file a corruption.

The batches are pickles, and unpickling may run any code. They are read with an unpickler that can make
containers, numbers, text and numpy arrays, and nothing else.

Sources of the formats: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009
(CIFAR-10); D. Hendrycks and T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", 2019 (CIFAR-10-C).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.errors import SetupError
from monitor.experiment.data import Condition, Instances, read_labels

SIDE, CHANNELS = 32, 3
TEST_BATCH = "test_batch"
TRAINING_BATCHES = "data_batch_*"
LABELS_FILE = "labels.npy"


def read_test_batch(directory: Path) -> tuple[Instances, npt.NDArray[np.int64]]:
    """Read the test set: images, uint8, shape (n, 32, 32, 3), and labels, shape (n,).

    Raises
    ------
    SetupError
        If it is not there or holds something else.
    """
    return _read_batch(directory / TEST_BATCH)


def read_training_batches(directory: Path) -> Instances:
    """Read the training images, uint8, shape (n, 32, 32, 3).

    Raises
    ------
    SetupError
        If there are none or one holds something else.
    """
    paths = sorted(directory.glob(TRAINING_BATCHES))
    if not paths:
        raise SetupError(
            f"{directory} has no files {TRAINING_BATCHES}; it must hold the CIFAR-10 Python batches."
        )
    return np.concatenate([_read_batch(path)[0] for path in paths])


def list_corrupted(
    directory: Path, labels: npt.NDArray[np.int64]
) -> dict[Condition, Callable[[], Instances]]:
    """Find the corruptions in a CIFAR-10-C directory; images are read only when they are needed.

    Parameters
    ----------
    directory
        Holds ``<corruption>.npy``, shape (severities * n, 32, 32, 3), by severity, and ``labels.npy``.
    labels
        Labels of the clean test set, shape (n,).

    Raises
    ------
    SetupError
        If a file is missing, has another shape, or the labels are in another order.
    """
    n = len(labels)
    repeated = read_npy(directory / LABELS_FILE).reshape(-1)
    if len(repeated) == 0 or len(repeated) % n or not (repeated.reshape(-1, n) == labels).all():
        raise SetupError(
            f"{directory / LABELS_FILE} does not repeat the labels of the {n} clean images for each severity,"
            " so it cannot be told which corrupted image belongs to which clean one."
        )
    conditions: dict[Condition, Callable[[], Instances]] = {}
    for path in sorted(directory.glob("*.npy")):
        if path.name == LABELS_FILE:
            continue
        images = read_npy(path)
        if images.ndim < 2 or len(images) != len(repeated):
            raise SetupError(
                f"{path} has shape {images.shape}; it must hold {len(repeated)} images, as the labels do."
            )
        for number in range(len(repeated) // n):
            rows = slice(number * n, (number + 1) * n)
            conditions[Condition(path.stem, number + 1)] = partial(images.__getitem__, rows)
    if not conditions:
        raise SetupError(f"{directory} holds no corrupted images; it must hold <corruption>.npy files.")
    return conditions


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Map a ``.npy`` file of numbers into memory.

    Raises
    ------
    SetupError
        If it cannot be read.
    """
    try:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False, mmap_mode="r")
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError) as error:
        raise SetupError(f"{path} is not a .npy file of numbers: {error}.") from error
    return array


class _ArrayUnpickler(pickle.Unpickler):
    """Makes arrays and builtin containers, and refuses every other name that a pickle may call."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            # Where numpy 1 and numpy 2 keep the function that an array is unpickled with.
            return np.empty(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return _encode_latin1
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")


def _encode_latin1(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into the old pickle protocols; no other encoding is used there."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}, which no array needs")
    return text.encode("latin-1")


def _read_batch(path: Path) -> tuple[Instances, npt.NDArray[np.int64]]:
    try:
        with path.open("rb") as file:
            batch = _ArrayUnpickler(file, encoding="latin1").load()
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a damaged or foreign pickle makes the unpickler raise anything
        raise SetupError(f"{path} is not a CIFAR-10 Python batch: {error}.") from error
    data = batch.get("data") if isinstance(batch, dict) else None
    pixels = SIDE * SIDE * CHANNELS
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (pixels,):
        raise SetupError(
            f"{path} is not a CIFAR-10 Python batch: its 'data' is no uint8 array of shape (n, {pixels})."
        )
    # A row holds the red plane, then the green, then the blue one.
    images = data.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
    return images, read_labels(batch.get("labels", []), len(data), str(path))
