"""From what the user names to the study's data, in any of the formats."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from monitor.errors import SetupError
from monitor.experiment import cifar10_files, npz_files
from monitor.experiment.data import Instances, StudyData
from monitor.samples.arrays import read_array


def open_data(clean: Path, corrupted: Path, training: str | None) -> StudyData:
    """Open clean and corrupted data; corrupted instances are read when they are scored.

    Parameters
    ----------
    clean
        Directory with the CIFAR-10 Python batches, or ``.npz`` file; see `monitor.experiment.npz_files`.
    corrupted
        Directory in the format of CIFAR-10-C, or ``.npz`` file.
    training
        Instances to train a student on, as for `monitor.samples.arrays.read_array`; None takes CIFAR-10's own
        training batches where they are there.

    Raises
    ------
    SetupError
        If something is missing or does not belong together.
    """
    for path, option, formats in (
        (clean, "--clean", "a directory with the CIFAR-10 Python batches"),
        (corrupted, "--corrupted", "a directory with <corruption>.npy files"),
    ):
        if not path.is_dir() and path.suffix.lower() != ".npz":
            raise SetupError(f"{option}: {path} is neither {formats} nor a .npz file.")
    if clean.is_dir():
        instances, labels = cifar10_files.read_test_batch(clean)
    else:
        instances, labels = npz_files.read_clean(clean)
    if corrupted.is_dir():
        n_corrupted, conditions = len(labels), cifar10_files.list_corrupted(corrupted, labels)
    else:
        n_corrupted, conditions = npz_files.list_corrupted(corrupted, labels)
    read_training: Callable[[], Instances] | None = None
    if training is not None:
        read_training = partial(read_array, training, None, "--train")
    elif clean.is_dir():
        read_training = partial(cifar10_files.read_training_batches, clean)
    return StudyData(
        instances=instances,
        labels=labels,
        n_corrupted=n_corrupted,
        corrupted=conditions,
        training=read_training,
        sources={"clean": clean.name, "corrupted": corrupted.name},
    )
