"""The study reads data in their public formats, and runs nothing that a file may hold."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.errors import SetupError
from monitor.experiment.data import Condition
from monitor.experiment.sources import open_data

N = 6
SEVERITIES = 5


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def clean(tmp_path: Path, images: np.ndarray) -> Path:
    """A directory of Python batches."""
    directory = tmp_path / "cifar-10-batches-py"
    directory.mkdir()
    for name in ("test_batch", "data_batch_1", "data_batch_2"):
        write_batch(directory / name, images, list(range(N)))
    return directory


@pytest.fixture
def corrupted(tmp_path: Path, images: np.ndarray) -> Path:
    """A directory like CIFAR-10-C, in which severity s adds s to every pixel."""
    directory = tmp_path / "CIFAR-10-C"
    directory.mkdir()
    np.save(directory / "labels.npy", np.tile(np.arange(N, dtype=np.uint8), SEVERITIES))
    for name in ("fog", "snow"):
        np.save(
            directory / f"{name}.npy",
            np.concatenate([images + np.uint8(s) for s in range(1, SEVERITIES + 1)]),
        )
    return directory


def write_batch(path: Path, images: np.ndarray, labels: list[int], **more: Any) -> None:
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    batch = {
        "batch_label": "testing batch 1 of 1",
        "labels": labels,
        "data": rows,
        "filenames": ["a.png"] * N,
    }
    path.write_bytes(pickle.dumps(batch | more, protocol=2))


def test_public_formats(clean: Path, corrupted: Path, images: np.ndarray) -> None:
    data = open_data(clean, corrupted, None)

    np.testing.assert_array_equal(data.instances, images)
    assert data.labels.tolist() == list(range(N))
    assert data.n_corrupted == N
    assert data.corruptions == ["fog", "snow"]
    assert data.severities == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(data.corrupted[Condition("snow", 3)](), images + np.uint8(3))
    assert data.training is not None
    assert data.training().shape == (2 * N, 32, 32, 3)


def test_a_batch_as_python_2_wrote_it(tmp_path: Path, corrupted: Path) -> None:
    # The published batches: a dictionary whose keys and array bytes are Python 2 strings, which protocol 2
    # marks by the opcodes SHORT_BINSTRING and BINSTRING.
    n_bytes = N * 3072
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01K"
        + bytes([N])
        + b"M\x00\x0c\x86cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89T" + n_bytes.to_bytes(4, "little") + bytes(n_bytes) + b"tb"
    )
    labels = b"]" + b"(" + b"".join(b"K" + bytes([label]) for label in range(N)) + b"e"
    directory = tmp_path / "published"
    directory.mkdir()
    (directory / "test_batch").write_bytes(b"\x80\x02}(U\x04data" + array + b"U\x06labels" + labels + b"u.")

    data = open_data(directory, corrupted, None)

    assert data.instances.shape == (N, 32, 32, 3)
    assert data.labels.tolist() == list(range(N))


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_batch_runs_no_code(clean: Path, corrupted: Path, images: np.ndarray, tmp_path: Path) -> None:
    trace = tmp_path / "was here"
    write_batch(clean / "test_batch", images, list(range(N)), filenames=Hostile(trace))

    with pytest.raises(
        SetupError, match=r"not a CIFAR-10 Python batch: it asks for .*, which no array needs"
    ):
        open_data(clean, corrupted, None)
    assert not trace.exists()
    pickle.loads((clean / "test_batch").read_bytes())  # what an ordinary unpickler does
    assert trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        pickle.dumps([1]),
        pickle.dumps({"data": np.zeros((6, 3071), np.uint8)}),
        pickle.dumps({"data": 1}),
    ],
)
def test_what_is_no_batch_is_refused(clean: Path, corrupted: Path, content: bytes) -> None:
    (clean / "test_batch").write_bytes(content)
    with pytest.raises(SetupError, match="test_batch is not a CIFAR-10 Python batch"):
        open_data(clean, corrupted, None)


def test_corrupted_images_in_another_order_are_refused(clean: Path, corrupted: Path) -> None:
    np.save(corrupted / "labels.npy", np.repeat(np.arange(N), SEVERITIES))
    with pytest.raises(SetupError, match="cannot be told which corrupted image belongs to which clean one"):
        open_data(clean, corrupted, None)


def test_a_corruption_of_another_length_is_refused(clean: Path, corrupted: Path, images: np.ndarray) -> None:
    np.save(corrupted / "fog.npy", images)
    with pytest.raises(SetupError, match=r"fog\.npy has shape \(6, 32, 32, 3\); it must hold 30 images"):
        open_data(clean, corrupted, None)


def test_missing_files_are_named(clean: Path, corrupted: Path, tmp_path: Path) -> None:
    (corrupted / "labels.npy").unlink()
    with pytest.raises(SetupError, match=r"labels\.npy cannot be read: No such file"):
        open_data(clean, corrupted, None)
    with pytest.raises(SetupError, match=r"--clean: .*nowhere is neither a directory"):
        open_data(tmp_path / "nowhere", corrupted, None)
    with pytest.raises(SetupError, match=r"--corrupted: .*nowhere\.npz cannot be read"):
        open_data(clean, tmp_path / "nowhere.npz", None)


def write_npz(directory: Path, n: int = 6, m: int = 4, **corrupted: Any) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    np.savez(directory / "clean.npz", X=rng.normal(size=(n, 2)), y=labels)
    arrays = {
        "y": labels[:m],
        "low_light_1": np.ones((m, 2)),
        "low_light_2": np.full((m, 2), 2.0),
    } | corrupted
    np.savez(directory / "corrupted.npz", **arrays)
    return directory / "clean.npz", directory / "corrupted.npz"


def test_npz_files(tmp_path: Path) -> None:
    data = open_data(*write_npz(tmp_path), None)

    assert data.instances.shape == (6, 2)
    assert data.n_corrupted == 4
    assert list(data.corrupted) == [Condition("low_light", 1), Condition("low_light", 2)]
    assert data.corrupted[Condition("low_light", 2)]()[0, 0] == 2.0
    assert data.training is None


def test_npz_files_about_other_instances_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"the labels in .* are not those of the first 4 clean instances"):
        open_data(*write_npz(tmp_path, y=np.full(4, 9)), None)


def test_npz_files_without_conditions_are_refused(tmp_path: Path) -> None:
    clean, _ = write_npz(tmp_path)
    with pytest.raises(
        SetupError, match=r"no array named <corruption>_<severity>, such as noise_1; it has 'X' or"
    ):
        open_data(clean, clean, None)
