"""The detector bundle: a directory that holds a fitted detector, safe to take from a stranger.

The digests inside a bundle find damage and careless edits; they are no signature, since whoever makes a
bundle also writes them. What keeps a hostile bundle harmless is that nothing in it is ever run: see
`keras_archive`, `manifest` and `reference_file` for what is refused.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt

from detectors.bundles.bundled_detectors import load_contents, write_contents
from detectors.bundles.manifest import MANIFEST_NAME, Manifest
from detectors.distillation import ModelDistillation
from detectors.errors import BundleError
from detectors.ks_drift import KSDrift

Detector: TypeAlias = ModelDistillation | KSDrift


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds.

    Attributes
    ----------
    detector
        The detector, ready for use.
    reference
        For `ModelDistillation` the sorted scores of a clean sample, float32, shape (n,), or None; for
        `KSDrift` its ``x_ref``.
    manifest
        What the bundle says about itself.
    """

    detector: Detector
    reference: npt.NDArray[Any] | None
    manifest: Manifest


def save_detector(
    detector: Detector, path: str | os.PathLike[str], *, reference: Any = None, overwrite: bool = False
) -> Manifest:
    """Write a detector as a bundle.

    The bundle is written next to ``path`` under a temporary name, read back once as a check, and renamed, so
    that ``path`` never holds half a bundle.

    Parameters
    ----------
    detector
        `ModelDistillation` or `KSDrift`. A ``preprocess_fn`` can be stored when it is `scale_by_instance`,
        the ``score`` of a `ModelDistillation`, or a `functools.partial` of these or of `preprocess_drift`.
    path
        Directory to make. Missing parents are made too.
    reference
        Scores of a clean sample, shape (n,), in any order, for `ModelDistillation` only.
    overwrite
        Whether to replace a bundle at ``path``. Anything else at ``path``, other than an empty directory, is
        never replaced.

    Returns
    -------
    Manifest
        What was written.

    Raises
    ------
    BundleError
        If ``path`` is taken or cannot be written, or the detector cannot be stored.
    InvalidArgumentError
        If the reference is not one-dimensional, has fewer than two scores, or one that is not finite.
    """
    target = Path(path).absolute()
    _check_target(target, overwrite)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.new")
    try:
        temporary.mkdir(parents=True)
        write_contents(detector, temporary, reference)
        manifest = load_bundle(temporary).manifest
        for file in temporary.rglob("*"):
            _flush(file)
        _put_in_place(temporary, target)
    except OSError as error:
        raise BundleError(f"The bundle cannot be written to {target}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return manifest


def load_detector(path: str | os.PathLike[str]) -> Detector:
    """Open a bundle and return its detector; see `load_bundle`."""
    return load_bundle(path).detector


def load_bundle(path: str | os.PathLike[str], *, with_model: bool = True) -> Bundle:
    """Open a bundle.

    Parameters
    ----------
    path
        The directory; may itself be a symbolic link, while nothing inside it may.
    with_model
        Whether to load the teacher if the bundle holds it. Without it the detector scores known predictions
        only, and takes less memory.

    Returns
    -------
    Bundle
        Detector, reference and manifest.

    Raises
    ------
    BundleError
        If the bundle is missing, incomplete, altered, of another format version, or unsafe to open.
    """
    detector, reference, manifest = load_contents(Path(path), with_model=with_model)
    return Bundle(detector=detector, reference=reference, manifest=manifest)


def _check_target(target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            return
        if (target / MANIFEST_NAME).is_file():
            if overwrite:
                return
            raise BundleError(f"There is a bundle at {target} already; pass overwrite=True to replace it.")
    raise BundleError(
        f"{target} exists and is not a detector bundle, so it is left alone; choose another path."
    )


def _put_in_place(temporary: Path, target: Path) -> None:
    if not (target / MANIFEST_NAME).is_file():
        temporary.rename(target)
    else:
        # A full directory cannot be renamed over, so for a moment there is no bundle at the target.
        old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
        target.rename(old)
        try:
            temporary.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _flush(target.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
