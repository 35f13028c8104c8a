"""Keras models that users name on the command line: a file, or ``module:function``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from detectors.bundles.keras_archive import first_line
from monitor.errors import SetupError
from monitor.samples.arrays import call_function, is_function

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
"""What Keras reads, by the end of the name."""


def read_model(source: str, option: str) -> Any:
    """Load a model, or call a function for it.

    Parameters
    ----------
    source
        A ``.keras`` file (or another that Keras reads), or ``module:function``, called without arguments.
    option
        Where the source was given, for errors, such as ``--teacher``.

    Returns
    -------
    tf.keras.Model
        The model, uncompiled if it came from a file.

    Raises
    ------
    SetupError
        If there is no such file or function, or no Keras model in it.
    """
    if is_function(source):
        model = call_function(source, option)
        if not isinstance(model, tf.keras.Model):
            raise SetupError(
                f"{option}: {source} returned a {type(model).__name__}; it must return a tf.keras.Model."
            )
        return model
    path = Path(source)
    if not path.is_file():
        raise SetupError(
            f"{option}: there is no file {source}; name a .keras file, or a function that returns the model,"
            " as module:function."
        )
    if path.suffix not in KERAS_SUFFIXES:
        raise SetupError(
            f"{option}: {source} is not a Keras model, whose name ends in .keras; name one, or a function"
            " that returns the model, as module:function."
        )
    try:
        return tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged or foreign file makes Keras raise anything
        raise SetupError(
            f"{option}: Keras cannot load {source}: {first_line(error)} A model with code of its own can be"
            " built by a function, given as module:function."
        ) from error
