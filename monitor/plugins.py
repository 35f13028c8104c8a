"""What other packages add under entry points: preprocessors of instances, and tests of windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from detectors.window_tests import WINDOW_TESTS, WindowTest, window_test
from monitor.config.types import PREPROCESSOR_GROUP, TEST_GROUP
from monitor.errors import ConfigError
from streams.entry_points import installed

Preprocessor: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Turns instances as events carry them into what the models take, a batch at a time.

If the two have different shapes, the attribute ``input_shape`` is the shape of one instance in an event.
"""


class Preparation:
    """An installed preprocessor, with a check of what it makes.

    Parameters
    ----------
    name
        Name of its entry point.
    output_shape
        Shape of one instance as the models take it.

    Attributes
    ----------
    input_shape
        Shape of one instance as events carry it.

    Raises
    ------
    ConfigError
        If no installed package has it, or it cannot be loaded.
    """

    def __init__(self, name: str, output_shape: tuple[int, ...]) -> None:
        self._name = name
        self._output_shape = output_shape
        self._prepare = cast(Preprocessor, _load(PREPROCESSOR_GROUP, name))
        self.input_shape: tuple[int, ...] = getattr(self._prepare, "input_shape", output_shape)

    def __call__(self, instances: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Prepare instances, float32, shape (n, *input_shape); float32, shape (n, *output_shape).

        Raises
        ------
        ConfigError
            If the preprocessor makes anything else of them; to go on would score every event wrongly.
        """
        expected = (len(instances), *self._output_shape)
        if not len(instances):
            return np.empty(expected, dtype=np.float32)
        result = np.asarray(self._prepare(instances))
        if result.shape != expected:
            raise ConfigError(
                f"The preprocessor {self._name!r} made shape {result.shape} of {len(instances)} instances,"
                f" expected {expected}."
            )
        prepared = result.astype(np.float32, copy=False)
        if not np.isfinite(prepared).all():
            raise ConfigError(f"The preprocessor {self._name!r} made NaN or infinity of finite numbers.")
        return prepared


def any_window_test(name: str, reference: npt.ArrayLike, alternative: str) -> WindowTest:
    """Make one of the library's window tests, or one that another package installs.

    Raises
    ------
    ConfigError
        If no installed package has it, or it cannot be loaded.
    InvalidArgumentError
        If the test cannot have that alternative, or the reference is not usable.
    """
    if name in WINDOW_TESTS:
        return window_test(name, reference, alternative)
    return cast(WindowTest, _load(TEST_GROUP, name)(reference, alternative))


def _load(group: str, name: str) -> Any:
    found = installed(group)
    if name not in found:
        known = ", ".join(found) or "none"
        raise ConfigError(f"No package adds {name!r} under {group!r}; installed are: {known}.")
    try:
        return found[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{found[name].value!r}, which is {name!r} of {group!r}, is missing: {error}."
        ) from error
