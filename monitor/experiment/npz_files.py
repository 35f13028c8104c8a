"""Study data in ``.npz`` files: any classifier's instances, corrupted by whatever means.

The clean file holds ``X``, shape (n, ...), and ``y``, shape (n,). The corrupted file holds an array
``<corruption>_<severity>``, shape (m, ...), for each condition: the first m clean instances, in their order;
and ``y``, shape (m,), as a check that they are. A file of probabilities holds ``teacher_<name>`` and
``distilled_<name>``, shape (n, k), with ``eval`` for the clean instances and the keys of the corrupted file.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.config.faults import quoted_choice
from monitor.errors import SetupError
from monitor.experiment.data import Condition, Instances, read_labels
from monitor.samples.arrays import read_array

LABELS_KEY = "y"
CLEAN_NAME = "eval"

_CONDITION = re.compile(r"(?P<corruption>.+)_(?P<severity>[1-9][0-9]*)")


def read_clean(path: Path) -> tuple[Instances, npt.NDArray[np.int64]]:
    """Read instances and labels.

    Raises
    ------
    SetupError
        If the file cannot be read or lacks one of them.
    """
    instances = read_array(str(path), None, "--clean")
    return instances, read_labels(
        read_array(str(path), LABELS_KEY, "--clean"), len(instances), f"--clean: {path}"
    )


def list_corrupted(
    path: Path, labels: npt.NDArray[np.int64]
) -> tuple[int, dict[Condition, Callable[[], Instances]]]:
    """Find the conditions in a file; instances are read only when they are needed.

    Returns
    -------
    tuple
        How many of the clean instances were corrupted, and a reader for each condition.

    Raises
    ------
    SetupError
        If the file holds no condition or is about other instances than the clean ones.
    """
    option = "--corrupted"
    keys = array_names(path, option)
    conditions: dict[Condition, Callable[[], Instances]] = {}
    for key in keys:
        if (match := _CONDITION.fullmatch(key)) is not None:
            condition = Condition(match["corruption"], int(match["severity"]))
            conditions[condition] = partial(read_array, str(path), key, option)
    if not conditions:
        raise SetupError(
            f"{option}: {path} holds no array named <corruption>_<severity>, such as noise_1; it has"
            f" {quoted_choice(keys)}."
        )
    if LABELS_KEY not in keys:
        return len(next(iter(conditions.values()))()), conditions
    own = read_array(str(path), LABELS_KEY, option)
    if len(own) > len(labels) or not np.array_equal(own, labels[: len(own)]):
        raise SetupError(
            f"{option}: the labels in {path} are not those of the first {len(own)} clean instances, so it"
            " cannot be told which corrupted instance belongs to which clean one."
        )
    return len(own), conditions


def read_probabilities(path: Path, model: str, condition: Condition | None) -> npt.NDArray[Any]:
    """Read what a model (``teacher`` or ``distilled``) said of the clean instances or of a condition's.

    Raises
    ------
    SetupError
        If the file has no such array.
    """
    key = f"{model}_{CLEAN_NAME if condition is None else condition}"
    option = "--probabilities"
    names = array_names(path, option)
    if key not in names:
        raise SetupError(
            f"{option}: {path} has no array {key!r}; it must hold teacher_<name> and distilled_<name> for"
            f" '{CLEAN_NAME}' and each array of the corrupted file."
        )
    return read_array(str(path), key, option)


def array_names(path: Path, option: str) -> list[str]:
    """Name the arrays of a ``.npz`` file.

    Raises
    ------
    SetupError
        If it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except OSError as error:
        raise SetupError(f"{option}: {path} cannot be read: {error.strerror or error}.") from error
    except zipfile.BadZipFile as error:
        raise SetupError(f"{option}: {path} is not a .npz file: {error}.") from error
