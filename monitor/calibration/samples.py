"""The samples that a monitor is calibrated with: scores, or instances that its detector scores."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors import ModelDistillation
from detectors.instances import read_instances
from monitor.errors import SetupError
from monitor.samples.arrays import USUAL_KEYS, read_array

SCORE_KEYS = ("scores", "score")
PREDICTION_KEYS = ("predictions", "prediction")

FEWEST_SCORES = 100
"""Below this, what is measured says more about the sample than about the monitor."""


def read_scores(source: str, option: str, detector: ModelDistillation) -> npt.NDArray[np.float32]:
    """Read scores, or score instances.

    Parameters
    ----------
    source
        A ``.npy`` file or ``module:function`` with scores, shape (n,), or instances, shape (n, ...); or a
        ``.npz`` file with ``scores``, or with ``instances`` (or ``X``) and ``predictions``.
    option
        Where the source was given, for errors.
    detector
        What scores instances.

    Returns
    -------
    ndarray
        Shape (n,), at least ``FEWEST_SCORES`` of them, all finite.

    Raises
    ------
    SetupError
        If there is nothing there that can be used.
    """
    keys = _keys(source)
    scored = next((key for key in SCORE_KEYS if key in keys), None)
    instances_key = next((key for key in USUAL_KEYS if key in keys), None)
    predictions_key = next((key for key in PREDICTION_KEYS if key in keys), None)
    if keys and len(keys) > 1 and scored is None and instances_key is None:
        raise SetupError(
            f"{option}: {source} holds {', '.join(keys)}; it must hold 'scores', or 'instances' and"
            " 'predictions'."
        )
    array = read_array(source, scored or instances_key, option)
    if array.ndim == 1:
        scores = np.asarray(array, dtype=np.float32)
    else:
        predictions = None
        if scored is None and predictions_key is not None:
            predictions = read_array(source, predictions_key, option)
        scores = _score(array, predictions, source, option, detector)
    if len(scores) < FEWEST_SCORES:
        raise SetupError(
            f"{option}: {source} holds {len(scores)} scores; at least {FEWEST_SCORES} are needed to measure"
            " anything."
        )
    if not np.isfinite(scores).all():
        raise SetupError(f"{option}: {source} holds a score that is NaN or infinite.")
    return scores


def _keys(source: str) -> list[str]:
    if Path(source).suffix.lower() != ".npz":
        return []
    try:
        with np.load(source, allow_pickle=False) as file:
            return list(file.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        # The reader of the array says what is wrong.
        return []


def _score(
    instances: npt.NDArray[Any],
    predictions: npt.NDArray[Any] | None,
    source: str,
    option: str,
    detector: ModelDistillation,
) -> npt.NDArray[np.float32]:
    if predictions is None and detector.model is None:
        raise SetupError(
            f"{option}: {source} holds instances without predictions, and the bundle holds no teacher; give"
            " 'predictions' beside 'instances', or scores."
        )
    instances = read_instances(instances, detector.input_shape, f"{option}: {source}")
    return np.asarray(detector.score(instances, predictions=predictions), dtype=np.float32)
