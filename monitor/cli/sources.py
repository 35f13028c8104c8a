"""Options that name data, and the reading of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from monitor.samples.sample import Sample

_Function = TypeVar("_Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--data",
        required=True,
        metavar="SOURCE",
        help="Instances, shape (n, ...): .npy, .npz or .parquet, or module:function.",
    ),
    click.option("--data-key", metavar="NAME", help="Array of the .npz, or column of the .parquet file."),
    click.option(
        "--divide-by",
        type=click.FloatRange(min=0, min_open=True),
        metavar="NUMBER",
        help="Divide the instances, such as by 255 for bytes.",
    ),
    click.option(
        "--predictions",
        metavar="SOURCE",
        help="The teacher's probabilities, shape (n, k), when they are known; it is not run then.",
    ),
    click.option("--predictions-key", metavar="NAME", help="Array or column of the predictions."),
)


def data_options(function: _Function) -> _Function:
    """Add ``--data``, ``--data-key``, ``--divide-by``, ``--predictions`` and ``--predictions-key``."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def read_sample(
    data: str,
    data_key: str | None,
    divide_by: float | None,
    predictions: str | None,
    predictions_key: str | None,
    *,
    data_option: str = "--data",
    predictions_option: str = "--predictions",
) -> Sample:
    """Read instances and, if they are given, predictions.

    Raises
    ------
    SetupError
        If they cannot be read, or do not belong together.
    """
    import numpy as np

    from monitor.errors import SetupError
    from monitor.samples.arrays import read_array
    from monitor.samples.sample import Sample

    instances = read_array(data, data_key, data_option)
    if instances.ndim < 2:
        raise SetupError(
            f"{data_option}: {data} has shape {instances.shape}; it must be (n, ...), instances of one axis"
            " or more."
        )
    if divide_by is not None:
        instances = np.asarray(instances, dtype=np.float32) / np.float32(divide_by)
    known = None if predictions is None else read_array(predictions, predictions_key, predictions_option)
    if known is not None and (known.ndim != 2 or len(known) != len(instances)):
        raise SetupError(
            f"{predictions_option}: {predictions} has shape {known.shape}; for {len(instances)} instances it"
            f" must be ({len(instances)}, k), a probability for each class."
        )
    return Sample(instances, known)


def read_events_file(
    file: Path,
    data_key: str | None,
    divide_by: float | None,
    predictions: str | None,
    predictions_key: str | None,
    limit: int | None,
) -> Sample:
    """Read the instances of a file of events, and the predictions beside them where there are any.

    Raises
    ------
    SetupError
        If they cannot be read, or do not belong together.
    """
    import numpy as np

    from monitor.samples.arrays import find_predictions

    source = predictions
    if source is None:
        predictions_key = predictions_key or find_predictions(file)
        source = None if predictions_key is None else str(file)
    sample = read_sample(str(file), data_key, divide_by, source, predictions_key, data_option="FILE")
    return sample if limit is None else sample.take(np.arange(min(limit, len(sample.instances))))
