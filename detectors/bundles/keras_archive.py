"""Keras archives that are safe to open: written without training state, inspected before Keras reads them.

Keras builds a model by importing what its ``config.json`` names, and fills it from an HDF5 file. An archive
is therefore read here first, as data: only layers and settings that Keras itself ships, no code, no
references to other files, no sizes beyond a limit. What this cannot tell is how much memory a valid
architecture takes.
"""

from __future__ import annotations

import json
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import keras
import tensorflow as tf

from detectors.errors import BundleError

MEMBERS = ("config.json", "metadata.json", "model.weights.h5")
MAX_CONFIG_BYTES = 16 * 2**20
MAX_WEIGHTS_BYTES = 2 * 2**30
MAX_HDF5_OBJECTS = 20_000

REFUSED_LAYERS = frozenset(
    {
        "Lambda",  # holds marshalled Python code
        "TFSMLayer",  # loads another saved model, whose graph may read and write files
        "JaxLayer",
        "FlaxLayer",
        "TorchModuleWrapper",  # unpickles
        "IntegerLookup",  # these three read a vocabulary from any path
        "StringLookup",
        "TextVectorization",
    }
)

MODEL_CLASSES = frozenset({"Sequential", "Functional", "Model"})

BUILT_IN_MODULES: dict[str, tuple[Any, Any]] = {
    "keras.layers": (keras.layers, keras.Layer),
    "keras.initializers": (keras.initializers, keras.initializers.Initializer),
    "keras.regularizers": (keras.regularizers, keras.regularizers.Regularizer),
    "keras.constraints": (keras.constraints, keras.constraints.Constraint),
    "keras.dtype_policies": (keras.dtype_policies, keras.DTypePolicy),
    # Operators in functional models, such as inputs / 255.0; Keras has no public home for their classes.
    "keras.src.ops.numpy": (import_module("keras.src.ops.numpy"), keras.Operation),
    "keras.src.ops.nn": (import_module("keras.src.ops.nn"), keras.Operation),
    "keras.src.ops.math": (import_module("keras.src.ops.math"), keras.Operation),
}
"""Where a config may take classes from: the module, and what the class must derive from."""

MODEL_MODULES = ("keras", "keras.models", "keras.src.models.functional", "keras.src.models.sequential")

VALUE_CLASSES = frozenset(
    {"__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__", "__tuple__"}
)
"""Plain values in a config, which name no class to import."""


def save_archive(model: Any, path: Path) -> None:
    """Write a model without its optimizer, loss and metrics, which scoring has no use for.

    Parameters
    ----------
    model
        Keras model; not changed.
    path
        Where to, ending in ``.keras``.

    Raises
    ------
    BundleError
        If the model is not made of built-in layers alone, or Keras cannot save it.
    """
    try:
        untrained = json.loads(model.to_json(), object_hook=_without_training)
        _check_config(untrained, f"Model {model.name!r}")
        bare = tf.keras.models.model_from_json(json.dumps(untrained))
        bare.set_weights(model.get_weights())
        bare.save(path)
    except BundleError:
        raise
    except Exception as error:  # layers raise whatever they like
        raise BundleError(f"Keras cannot save model {model.name!r}: {first_line(error)}") from error


def load_archive(path: Path) -> Any:
    """Inspect an archive and load it, uncompiled and in safe mode.

    Parameters
    ----------
    path
        The ``.keras`` file.

    Returns
    -------
    tf.keras.Model
        The model, for inference.

    Raises
    ------
    BundleError
        If the archive is damaged, too large, or not made of built-in layers alone.
    """
    inspect_archive(path)
    try:
        return tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged config makes any layer raise anything
        raise BundleError(
            f"{path.name} was saved by Keras {_saved_by(path)} and cannot be loaded by Keras"
            f" {keras.__version__}: {first_line(error)}"
        ) from error


def inspect_archive(path: Path) -> None:
    """Check an archive without building anything that it describes.

    Raises
    ------
    BundleError
        If the archive is damaged, too large, or not made of built-in layers alone.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.name)
            _check_config(json.loads(archive.read("config.json")), path.name)
            with archive.open("model.weights.h5") as member, h5py.File(member, "r") as weights:
                _check_weights(weights, path.name)
    except BundleError:
        raise
    except Exception as error:  # a damaged archive makes zipfile, zlib and h5py raise anything
        raise BundleError(f"{path.name} is not a readable Keras archive: {first_line(error)}") from error


def _saved_by(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        try:
            metadata: object = json.loads(archive.read("metadata.json"))
        except Exception:  # what is damaged there raises anything, and the archive is refused anyway
            metadata = None
    return str(metadata.get("keras_version")) if isinstance(metadata, dict) else "of an unknown version"


def first_line(error: BaseException) -> str:
    """First line of an error's text, shortened; Keras appends whole configs."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def _check_members(archive: zipfile.ZipFile, name: str) -> None:
    found = [info.filename for info in archive.infolist()]
    if sorted(found) != sorted(MEMBERS):
        odd = sorted(set(found) ^ set(MEMBERS)) or found
        raise BundleError(
            f"{name} must hold exactly one each of {', '.join(MEMBERS)}; see its member {odd[0]!r}."
        )
    for info in archive.infolist():
        limit = MAX_WEIGHTS_BYTES if info.filename == "model.weights.h5" else MAX_CONFIG_BYTES
        if info.file_size > limit:
            raise BundleError(
                f"{info.filename} in {name} unpacks to {info.file_size:,} bytes; the limit is {limit:,}."
            )


def _check_config(config: Any, name: str) -> None:
    if not isinstance(config, dict) or config.get("class_name") not in MODEL_CLASSES:
        raise BundleError(f"{name} does not describe a Sequential or functional Keras model.")
    pending: list[Any] = [_without_training(config)]  # loading leaves out the outermost one
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if "class_name" in node:
                _check_class(node, name)
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


def _without_training(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != "compile_config"}


def _check_class(node: dict[str, Any], name: str) -> None:
    class_name, module, registered = (node.get(key) for key in ("class_name", "module", "registered_name"))
    if not isinstance(class_name, str):
        raise BundleError(f"{name} names a class {class_name!r}; a class name must be text.")
    if class_name in REFUSED_LAYERS or class_name == "__lambda__":
        raise BundleError(
            f"{name} has a layer of class {class_name}, which can run code or read files; a bundle may "
            "hold no such layer."
        )
    if class_name in VALUE_CLASSES and module in (None, "builtins"):
        return
    if registered in (None, class_name) and _is_built_in(module, class_name):
        return
    raise BundleError(
        f"{name} needs {registered or class_name} from {module or 'custom code'}, which is not part of "
        "Keras; a bundle may hold built-in layers only."
    )


def _is_built_in(module: Any, class_name: str) -> bool:
    if not isinstance(module, str):
        return False
    if module in MODEL_MODULES and class_name in MODEL_CLASSES:
        return True
    home, parent = BUILT_IN_MODULES.get(
        "keras.dtype_policies" if module == "keras" else module, (None, object)
    )
    found = getattr(home, class_name, None)
    return isinstance(found, type) and issubclass(found, parent)


def _check_weights(weights: Any, name: str) -> None:
    pending, seen, total = [weights], 0, 0
    while pending:
        group = pending.pop()
        for key in group:
            seen += 1
            if seen > MAX_HDF5_OBJECTS:
                raise BundleError(f"The weights in {name} have over {MAX_HDF5_OBJECTS:,} parts.")
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise BundleError(f"The weights in {name} link to elsewhere at {key!r}.")
            item = group[key]
            if isinstance(item, h5py.Group):
                pending.append(item)
                continue
            if not isinstance(item, h5py.Dataset):
                raise BundleError(f"The weights in {name} hold a type at {key!r}, not numbers.")
            if item.external or item.is_virtual:
                raise BundleError(f"The weights in {name} take {key!r} from another file.")
            if item.dtype.kind not in "biufV":
                raise BundleError(f"The weights in {name} hold {item.dtype} at {key!r}, not numbers.")
            total += item.nbytes
            if total > MAX_WEIGHTS_BYTES:
                raise BundleError(f"The weights in {name} unpack to over {MAX_WEIGHTS_BYTES:,} bytes.")
