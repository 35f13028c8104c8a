"""Bundles that are broken, altered or hostile: refused with one sentence, and nothing in them is run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from detectors import KSDrift, ModelDistillation, load_bundle, save_detector
from detectors.errors import BundleError


@pytest.fixture
def bundle(classifier, tmp_path):
    detector = ModelDistillation(threshold=1.0, distilled_model=classifier(), model=classifier())
    save_detector(detector, tmp_path / "bundle", reference=[1.0, 2.0, 3.0])
    return tmp_path / "bundle"


def edit(bundle: Path, **changes):
    """Change entries of detector.json; None removes one."""
    path = bundle / "detector.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def put(bundle: Path, name: str, content: bytes):
    """Replace a file as someone would who can compute digests."""
    (bundle / name).write_bytes(content)
    files = json.loads((bundle / "detector.json").read_text())["files"]
    edit(bundle, files={**files, name: hashlib.sha256(content).hexdigest()})


def archive(bundle: Path, change_config=None, weights=None, members=None) -> bytes:
    """The bundle's distilled.keras with some of its members changed."""
    with zipfile.ZipFile(bundle / "distilled.keras") as original:
        content = {name: original.read(name) for name in original.namelist()}
    if change_config is not None:
        config = json.loads(content["config.json"])
        change_config(config)
        content["config.json"] = json.dumps(config).encode()
    if weights is not None:
        content["model.weights.h5"] = weights
    content.update(members or {})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as changed:
        for name, data in content.items():
            changed.writestr(name, data)
    return file.getvalue()


def refused(bundle: Path, message: str):
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(bundle)
    assert "\n" not in str(caught.value)


def test_untouched_bundle_opens(bundle):
    put(bundle, "distilled.keras", archive(bundle))
    assert load_bundle(bundle).detector.threshold == 1.0


def test_no_bundle_at_all(tmp_path):
    refused(tmp_path / "nowhere", "There is no detector bundle at .*nowhere")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"detector.json cannot be read: No such file")


@pytest.mark.parametrize("name", ["distilled.keras", "model.keras", "reference.npy"])
def test_files_that_are_missing_or_altered(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    refused(bundle, f"{name} has been altered: its SHA-256 digest")
    (bundle / name).unlink()
    refused(bundle, f"{name} cannot be read: No such file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "has format_version 2; this version of the software reads 1"),
        ({"format_version": ...}, "has format_version None"),
        ({"class": "Exploit"}, "holds a 'Exploit'; this version of the software knows"),
        ({"class": 3}, "'class' in .* must be text"),
        ({"threshold": ...}, "lacks 'threshold', which must be a number or null"),
        ({"threshold": "1"}, "'threshold' in .* must be a number or null"),
        ({"threshold": float("nan")}, "'threshold' in .* must be a number or null"),
        ({"input_shape": [-4]}, "'input_shape' in .* must be a list"),
        ({"input_shape": [5]}, r"says shape \(5,\) and 3 classes, the models have \(4,\) and 3"),
        ({"n_classes": 4}, "says shape .* and 4 classes"),
        ({"parameters": []}, "'parameters' in .* must be an object"),
        ({"parameters": {"loss_type": "mse"}}, "do not make a detector: loss_type is 'mse'"),
        ({"parameters": {"colour": 1}}, "do not make a detector: .*colour"),
        ({"files": {}}, "does not list distilled.keras"),
        ({"files": {"../secret": "00"}}, r"names a file '\.\./secret'; it may name only"),
        ({"files": {"/etc/passwd": "00"}}, "names a file '/etc/passwd'"),
        ({"files": ["distilled.keras"]}, "'files' in .* must be an object"),
        ({"reference": None}, "reference in .* is not the one that detector.json describes"),
        ({"reference": {"size": 3, "sha256": "00"}}, "reference in .* is not the one"),
        ({"reference": {"size": 3}}, "'reference' in .* must be an object with size and sha256"),
    ],
)
def test_wrong_manifests(bundle, changes, message):
    edit(bundle, **changes)
    refused(bundle, message)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100_000])
def test_manifests_that_are_no_json_object(bundle, text):
    (bundle / "detector.json").write_bytes(text.encode("latin-1"))
    refused(bundle, "detector.json (is not readable JSON|must hold a JSON object)")


def test_manifest_of_great_length(bundle):
    (bundle / "detector.json").write_bytes(b" " * (2**20 + 1))
    refused(bundle, "detector.json has 1,048,577 bytes; the limit is 1,048,576")


@pytest.mark.parametrize("name", ["distilled.keras", "reference.npy", "detector.json"])
def test_links_and_pipes_are_not_followed(bundle, tmp_path, name):
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    refused(bundle, f"{name} is not a regular file")
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    refused(bundle, f"{name} is not a regular file")


def test_nested_bundle_behind_a_link(classifier, rng, tmp_path):
    scorer = ModelDistillation(distilled_model=classifier(), model=classifier())
    save_detector(KSDrift(rng.normal(size=(20, 4)), preprocess_fn=scorer.score), tmp_path / "bundle")
    (tmp_path / "bundle" / "preprocess").rename(tmp_path / "elsewhere")
    (tmp_path / "bundle" / "preprocess").symlink_to(tmp_path / "elsewhere")
    refused(tmp_path / "bundle", "preprocess is a symbolic link")


def npy(array, **options) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def header(text: str, data: bytes = b"") -> bytes:
    padded = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + data


ARRAY = "{{'descr': '<f4', 'fortran_order': False, 'shape': {}}}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy([3.0, 1.0, 2.0]), "must hold sorted float32 scores"),
        (npy(np.array([3, 1, 2], np.float32)), "must hold sorted float32 scores"),
        (npy(np.ones((2, 2), np.float32)), "must hold sorted float32 scores"),
        (npy(np.ones(1, np.float32)), "at least 2 rows of finite numbers"),
        (npy(np.array([1, np.nan], np.float32)), "at least 2 rows of finite numbers"),
        (npy(np.float32(1)), "at least 2 rows"),
        (npy(np.array([1, 2], ">f4")), "it must hold little-endian numbers"),
        (npy(np.array(["a", "b"])), "it must hold little-endian numbers"),
        (npy(np.array([{}, {}]), allow_pickle=True), "it must hold little-endian numbers"),
        (npy(np.ones(3, np.float32))[:-1], "declares shape .* which does not match its 11 bytes"),
        (header(ARRAY.format("(99999999999999,)")), "a shape that no array of 0 bytes has"),
        (header(ARRAY.format("(-1,)")), "a shape that no array of 0 bytes has"),
        (header(ARRAY.format("(0x" + "f" * 5000 + ",)")), "a shape that no array of 0 bytes has"),
        (header(ARRAY.format((1,) * 100), b"1234"), "a shape that no array of 4 bytes has"),
        (header(ARRAY.format("(2,)")[1:], b"12345678"), "no readable .npy header"),
        (header(ARRAY.format("(2,)")).replace(b"\1\0", b"\2\0", 1), "not in version 1.0 of the .npy format"),
        (header("{[]: 1}"), "no readable .npy header"),
        (header("__import__('os').abort()"), "no readable .npy header"),
        (b"", "not in version 1.0 of the .npy format"),
        (pickle.dumps([1.0, 2.0]), "not in version 1.0 of the .npy format"),
    ],
)
def test_wrong_references(bundle, content, message):
    put(bundle, "reference.npy", content)
    refused(bundle, message)


def rename_class(class_name, module="keras.layers", registered_name=None):
    def change(config):
        config["config"]["layers"][1].update(
            class_name=class_name, module=module, registered_name=registered_name
        )

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename_class("Lambda"), "layer of class Lambda, which can run code or read files"),
        (rename_class("TFSMLayer"), "layer of class TFSMLayer"),
        (rename_class("TextVectorization"), "layer of class TextVectorization"),
        (rename_class("__lambda__", None), "layer of class __lambda__"),
        (rename_class("system", "os"), "needs system from os, which is not part of Keras"),
        (rename_class("get_file", "keras.utils"), "needs get_file from keras.utils"),
        (rename_class("serialize"), "needs serialize from keras.layers"),
        (
            rename_class("Dense", "keras.src.layers.core.dense"),
            "needs Dense from keras.src.layers.core.dense",
        ),
        (rename_class("Dense", "keras.layers", "mine>Dense"), "needs mine>Dense from keras.layers"),
        (rename_class("Mine", None, "mine>Mine"), "needs mine>Mine from custom code"),
        (rename_class("function", "builtins", "function"), "needs function from builtins"),
        (rename_class(["Dense"]), r"names a class \['Dense'\]; a class name must be text"),
        (
            lambda config: config["config"]["layers"][1]["config"].update(
                activation={"class_name": "function", "config": "get_file", "module": "keras.utils"}
            ),
            "needs function from keras.utils",
        ),
        (lambda config: config.update(class_name="Dense"), "does not describe a Sequential or functional"),
        (
            lambda config: config["config"]["layers"][1]["config"].update(units="many"),
            "cannot be loaded by Keras",
        ),
        (lambda config: config["config"]["layers"][1]["config"].update(units=7), "cannot be loaded by Keras"),
    ],
)
def test_models_that_are_not_built_in_layers_alone(bundle, change, message):
    put(bundle, "distilled.keras", archive(bundle, change))
    refused(bundle, message)


def test_compilation_in_an_archive_is_not_run(bundle):
    put(
        bundle,
        "distilled.keras",
        archive(bundle, lambda config: config.update(compile_config={"loss": {"class_name": "Lambda"}})),
    )
    assert not load_bundle(bundle).detector.distilled_model.compiled


@pytest.mark.parametrize("name", ["../evil.txt", "assets/vocabulary.txt", "model.weights.npz"])
def test_archives_with_other_members(bundle, name):
    put(bundle, "distilled.keras", archive(bundle, members={name: b"x"}))
    refused(bundle, f"distilled.keras must hold exactly one each of .*; see its member '{name}'")


def test_what_cannot_be_loaded_and_does_not_tell_its_version(bundle):
    members = {"metadata.json": b"{"}
    put(bundle, "distilled.keras", archive(bundle, members=members, weights=weights_file(lambda _: None)))
    refused(bundle, "saved by Keras of an unknown version and cannot be loaded")


def test_archive_with_damaged_compression(bundle):
    content = bytearray(archive(bundle, members={"config.json": b"x" * 5000}))
    at = content.index(b"config.json") + len("config.json")
    content[at : at + 4] = b"\xff\xff\xff\xff"
    put(bundle, "distilled.keras", bytes(content))
    refused(bundle, "distilled.keras is not a readable Keras archive")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 40])
def test_archives_that_are_no_archives(bundle, content):
    put(bundle, "distilled.keras", content)
    refused(bundle, "distilled.keras is not a readable Keras archive")


def test_archive_that_unpacks_to_too_much(bundle):
    put(bundle, "distilled.keras", archive(bundle, members={"config.json": b" " * (17 * 2**20)}))
    assert (bundle / "distilled.keras").stat().st_size < 100_000
    refused(bundle, "config.json in distilled.keras unpacks to 17,825,792 bytes; the limit is 16,777,216")


def test_archive_that_says_it_unpacks_to_less(bundle):
    content = archive(bundle, members={"config.json": b" " * (17 * 2**20)})
    true, false = (size.to_bytes(4, "little") for size in (17 * 2**20, 1000))
    assert content.count(true) == 2
    put(bundle, "distilled.keras", content.replace(true, false))
    refused(bundle, "distilled.keras is not a readable Keras archive: (Bad CRC-32|.*JSON|Expecting value)")


def weights_file(write) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        write(weights.create_group("layers/dense/vars"))
    return file.getvalue()


def too_large(group):
    group.create_dataset("0", shape=(2**40,), dtype="f4", chunks=(1024,), compression="gzip")


def in_itself(group):
    group["0"] = group.file["layers"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (too_large, "weights in distilled.keras unpack to over 2,147,483,648 bytes"),
        (
            lambda group: group.__setitem__("0", h5py.ExternalLink("/etc/passwd", "/")),
            "link to elsewhere at '0'",
        ),
        (lambda group: group.__setitem__("0", h5py.SoftLink("/layers")), "link to elsewhere at '0'"),
        (
            lambda group: group.create_dataset("0", (4,), "u1", external=[("/etc/passwd", 0, 4)]),
            "take '0' from another file",
        ),
        (lambda group: group.create_dataset("0", data=["text"]), "hold object at '0', not numbers"),
        (lambda group: group.__setitem__("0", np.dtype("f4")), "hold a type at '0', not numbers"),
        (in_itself, "have over 20,000 parts"),
    ],
)
def test_weights_that_are_not_plain_numbers(bundle, write, message):
    put(bundle, "distilled.keras", archive(bundle, weights=weights_file(write)))
    refused(bundle, message)


def test_custom_layers_are_refused_when_saving(tmp_path):
    @tf.keras.utils.register_keras_serializable("mine")
    class Mine(tf.keras.layers.Layer):
        def call(self, x):
            return x

    model = tf.keras.Sequential([tf.keras.Input((3,)), Mine(), tf.keras.layers.Softmax()])
    with pytest.raises(BundleError, match=r"needs mine>Mine from .*, which is not part of Keras"):
        save_detector(ModelDistillation(distilled_model=model), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
