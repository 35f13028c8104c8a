"""How each detector class becomes files and comes back: one writer and one reader a class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from detectors.bundles.keras_archive import load_archive, save_archive
from detectors.bundles.manifest import (
    DISTILLED_FILE,
    MANIFEST_NAME,
    MODEL_FILE,
    PREPROCESS_DIRECTORY,
    PREPROCESS_MANIFEST,
    PREPROCESS_MODEL_FILE,
    REFERENCE_FILE,
    Manifest,
    digest,
    library_versions,
    read_manifest,
)
from detectors.bundles.reference_file import (
    describe_reference,
    read_reference,
    sorted_scores,
    write_reference,
)
from detectors.distillation import ModelDistillation
from detectors.errors import BundleError, InvalidArgumentError, NotReadyError
from detectors.instances import NUMERIC_KINDS, InputShape, fits
from detectors.ks_drift import KSDrift
from detectors.preprocessing import preprocess_drift, scale_by_instance

DISTILLATION = "ModelDistillation"
KS_DRIFT = "KSDrift"

STORABLE = (
    "a bundle can store scale_by_instance, ModelDistillation.score, and functools.partial of these or of "
    "preprocess_drift with a Keras model"
)


class Contents(NamedTuple):
    """Detector, reference and manifest of a bundle."""

    detector: Any
    reference: npt.NDArray[Any] | None
    manifest: Manifest


def write_contents(detector: Any, directory: Path, reference: Any = None) -> None:
    """Write the files of a bundle into an empty directory; see `detectors.bundles.bundle.save_detector`."""
    if isinstance(detector, ModelDistillation):
        manifest = _write_distillation(detector, directory, reference)
    elif isinstance(detector, KSDrift):
        if reference is not None:
            raise BundleError("A KSDrift detector holds its reference, x_ref; save it without reference=.")
        manifest = _write_ks_drift(detector, directory)
    else:
        raise BundleError(
            f"A {type(detector).__name__} cannot be stored; a bundle holds a {DISTILLATION} or a {KS_DRIFT}."
        )
    names = sorted(
        str(file.relative_to(directory).as_posix()) for file in directory.iterdir() if file.is_file()
    )
    if (directory / PREPROCESS_DIRECTORY).is_dir():
        names.append(PREPROCESS_MANIFEST)
    files = {name: digest(directory / name) for name in names}
    manifest = replace(manifest, files=files, versions=library_versions())
    (directory / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")


def load_contents(directory: Path, *, with_model: bool = True) -> Contents:
    """Verify a bundle and build its detector; see `detectors.bundles.bundle.load_bundle`."""
    manifest = read_manifest(directory)
    for name, sha256 in manifest.files.items():
        if digest(directory / name) != sha256:
            raise BundleError(
                f"{directory / name} has been altered: its SHA-256 digest is not the one in {MANIFEST_NAME}."
            )
    readers = {DISTILLATION: _read_distillation, KS_DRIFT: _read_ks_drift}
    if manifest.detector_class not in readers:
        raise BundleError(
            f"{directory} holds a {manifest.detector_class!r}; this version of the software knows "
            f"{' and '.join(readers)}."
        )
    detector, reference = readers[manifest.detector_class](directory, manifest, with_model)
    if (None if reference is None else describe_reference(reference)) != manifest.reference:
        raise BundleError(f"The reference in {directory} is not the one that {MANIFEST_NAME} describes.")
    return Contents(detector, reference, manifest)


def _write_distillation(detector: ModelDistillation, directory: Path, reference: Any) -> Manifest:
    scores = None if reference is None else sorted_scores(reference)
    save_archive(detector.distilled_model, directory / DISTILLED_FILE)
    if detector.model is not None:
        save_archive(detector.model, directory / MODEL_FILE)
    if scores is not None:
        write_reference(scores, directory / REFERENCE_FILE)
    return Manifest(
        detector_class=DISTILLATION,
        parameters={
            "loss_type": detector.loss_type,
            "temperature": detector.temperature,
            "data_type": detector.meta["data_type"],
            "model_from_logits": detector.model_from_logits,
            "distilled_from_logits": detector.distilled_from_logits,
        },
        threshold=detector.threshold,
        input_shape=detector.input_shape,
        n_classes=detector.n_classes,
        reference=None if scores is None else describe_reference(scores),
        files={},
    )


def _read_distillation(
    directory: Path, manifest: Manifest, with_model: bool
) -> tuple[ModelDistillation, npt.NDArray[Any] | None]:
    _require(directory, manifest, DISTILLED_FILE)
    reference = None
    if REFERENCE_FILE in manifest.files:
        reference = read_reference(directory / REFERENCE_FILE, manifest.files[REFERENCE_FILE], scores=True)
    student = load_archive(directory / DISTILLED_FILE)
    teacher = load_archive(directory / MODEL_FILE) if with_model and MODEL_FILE in manifest.files else None
    with _explained(directory):
        detector = ModelDistillation(
            threshold=manifest.threshold, distilled_model=student, model=teacher, **manifest.parameters
        )
    if detector.n_classes != manifest.n_classes or not _agree(manifest.input_shape, detector.input_shape):
        raise BundleError(
            f"{MANIFEST_NAME} in {directory} says shape {manifest.input_shape} and {manifest.n_classes} "
            f"classes, the models have {detector.input_shape} and {detector.n_classes}."
        )
    return detector, reference


def _agree(declared: InputShape | None, found: InputShape) -> bool:
    # A teacher that is not loaded may have been the one to fix a length.
    return declared is not None and fits(tuple(-1 if size is None else size for size in declared), found)


def _write_ks_drift(detector: KSDrift, directory: Path) -> Manifest:
    if detector.x_ref.dtype.kind not in NUMERIC_KINDS:
        raise BundleError(f"x_ref has dtype {detector.x_ref.dtype}; a bundle can store numbers only.")
    write_reference(detector.x_ref, directory / REFERENCE_FILE)
    is_raw = (
        detector.preprocess_fn is not None
        and not detector.preprocess_at_init
        and not detector.x_ref_preprocessed
    )
    return Manifest(
        detector_class=KS_DRIFT,
        parameters={
            "p_val": detector.p_val,
            "x_ref_preprocessed": not is_raw,
            "preprocess_at_init": not is_raw,
            "update_x_ref": detector.update_x_ref,
            "correction": detector.correction,
            "alternative": detector.alternative,
            "n_features": detector.n_features,
            "data_type": detector.meta["data_type"],
            "method": detector.method,
            "n": detector.n,
            "preprocess": _write_preprocess(detector.preprocess_fn, directory),
        },
        threshold=None,
        input_shape=None if detector.input_shape is None else tuple(detector.input_shape),
        n_classes=None,
        reference=describe_reference(detector.x_ref),
        files={},
    )


def _read_ks_drift(
    directory: Path, manifest: Manifest, _with_model: bool
) -> tuple[KSDrift, npt.NDArray[Any] | None]:
    _require(directory, manifest, REFERENCE_FILE)
    x_ref = read_reference(directory / REFERENCE_FILE, manifest.files[REFERENCE_FILE], scores=False)
    parameters = dict(manifest.parameters)
    seen = parameters.pop("n", None)
    preprocess = parameters.pop("preprocess", None)
    if not isinstance(seen, int) or seen < len(x_ref):
        raise BundleError(f"parameter 'n' in {directory} must be a whole number of at least {len(x_ref)}.")
    preprocess_fn = _read_preprocess(preprocess, directory, manifest)
    with _explained(directory):
        detector = KSDrift(
            x_ref,
            preprocess_fn=preprocess_fn,
            input_shape=_fixed(manifest.input_shape, directory),
            **parameters,
        )
    detector.n = seen
    return detector, detector.x_ref


def _fixed(shape: InputShape | None, directory: Path) -> tuple[int, ...] | None:
    if shape is None:
        return None
    sizes = tuple(size for size in shape if size is not None)
    if len(sizes) < len(shape):
        raise BundleError(f"'input_shape' in {directory} is {list(shape)}; a {KS_DRIFT} needs every length.")
    return sizes


def _write_preprocess(function: Any, directory: Path) -> dict[str, Any] | None:
    if function is None:
        return None
    target, arguments = function, {}
    if isinstance(function, partial) and not function.args:
        target, arguments = function.func, dict(function.keywords)
    if target is scale_by_instance and set(arguments) <= {"eps"}:
        return {"function": "scale_by_instance", **arguments}
    if target is preprocess_drift and set(arguments) <= {"model", "batch_size"} and "model" in arguments:
        save_archive(arguments.pop("model"), directory / PREPROCESS_MODEL_FILE)
        return {"function": "preprocess_drift", **arguments}
    owner = getattr(target, "__self__", None)
    if isinstance(owner, ModelDistillation) and target == owner.score and set(arguments) <= {"batch_size"}:
        (directory / PREPROCESS_DIRECTORY).mkdir()
        write_contents(owner, directory / PREPROCESS_DIRECTORY)
        return {"function": "score", **arguments}
    raise BundleError(f"preprocess_fn is {function!r}, which a bundle cannot store; {STORABLE}.")


def _read_preprocess(entry: Any, directory: Path, manifest: Manifest) -> Any:
    if entry is None:
        return None
    arguments = dict(entry) if isinstance(entry, dict) else {}
    name = arguments.pop("function", None)
    if name == "scale_by_instance" and set(arguments) <= {"eps"}:
        return partial(scale_by_instance, **arguments)
    if name == "preprocess_drift" and set(arguments) <= {"batch_size"}:
        _require(directory, manifest, PREPROCESS_MODEL_FILE)
        return partial(preprocess_drift, model=load_archive(directory / PREPROCESS_MODEL_FILE), **arguments)
    if name == "score" and set(arguments) <= {"batch_size"}:
        _require(directory, manifest, PREPROCESS_MANIFEST)
        nested = directory / PREPROCESS_DIRECTORY
        if nested.is_symlink():
            raise BundleError(f"{nested} is a symbolic link; a bundle holds no links.")
        if read_manifest(nested).detector_class != DISTILLATION:
            raise BundleError(f"{nested} must hold a {DISTILLATION}.")
        return partial(load_contents(nested).detector.score, **arguments)
    raise BundleError(f"Parameter 'preprocess' in {directory} is {entry!r}, which names no known function.")


def _require(directory: Path, manifest: Manifest, name: str) -> None:
    if name not in manifest.files:
        raise BundleError(f"{MANIFEST_NAME} in {directory} does not list {name}, which the detector needs.")


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except (InvalidArgumentError, NotReadyError, TypeError) as error:
        raise BundleError(f"The parameters in {directory} do not make a detector: {error}") from error
