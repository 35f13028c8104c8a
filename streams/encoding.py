"""Events as bytes: the inverse of the codecs, for senders."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def encode_json(
    instances: npt.NDArray[np.float32],
    predictions: npt.NDArray[np.float32] | None = None,
    *,
    ids: Sequence[str] | None = None,
) -> list[bytes]:
    """Encode events for the ``json`` codec with its default field names.

    Parameters
    ----------
    instances
        Shape (n, *input_shape).
    predictions
        Shape (n, n_classes), or None.
    ids
        Event ids, length n, or None.

    Returns
    -------
    list of bytes
        One value an event; numbers are written so that they are read back as the same float32.
    """
    columns: dict[str, list[str]] = {"instance": _texts(instances)}
    if predictions is not None:
        columns["prediction"] = _texts(predictions)
    if ids is not None:
        columns["id"] = [json.dumps(one) for one in ids]
    names = list(columns)
    return [
        ("{" + ",".join(f'"{name}":{text}' for name, text in zip(names, texts, strict=True)) + "}").encode()
        for texts in zip(*columns.values(), strict=True)
    ]


def encode_tensor(
    instances: npt.NDArray[np.float32], predictions: npt.NDArray[np.float32] | None = None
) -> list[bytes]:
    """Encode events for the ``tensor`` codec as little-endian float32, which needs no headers.

    Parameters
    ----------
    instances
        Shape (n, *input_shape).
    predictions
        Shape (n, n_classes), or None.

    Returns
    -------
    list of bytes
        One value an event: the instance's numbers, then the prediction's.
    """
    parts = [instances] if predictions is None else [instances, predictions]
    rows = np.concatenate([np.asarray(part, "<f4").reshape(len(part), -1) for part in parts], axis=1)
    return [row.tobytes() for row in rows]


def _texts(values: npt.NDArray[np.float32]) -> list[str]:
    template = _template(values.shape[1:])
    return [template % tuple(row) for row in values.reshape(len(values), -1).tolist()]


def _template(shape: tuple[int, ...]) -> str:
    if not shape:
        # Nine digits are what it takes to read every float32 back as it was.
        return "%.9g"
    return "[" + ",".join([_template(shape[1:])] * shape[0]) + "]"
