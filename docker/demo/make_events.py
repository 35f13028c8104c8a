"""Make what the compose demo streams: a classifier of handwritten digits and three files of events.

``python make_events.py DIRECTORY`` writes there

- ``teacher.keras``: the classifier, 64 pixels in [0, 1] to 10 probabilities;
- ``train.npy``: images to distil it with, float32, shape (n, 64);
- ``reference.npy``: images of the same kind that neither model has seen;
- ``clean.jsonl``: inference events on further images;
- ``brighter.jsonl``: the same images, a fifth brighter: every input has changed, and the classifier is as
  good as before;
- ``harmful.jsonl``: the same images under noise, those that the classifier gets wrong for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

Images = npt.NDArray[np.float32]

N_TRAIN = 800
N_REFERENCE = 500
N_EVENTS = 1000
BRIGHTER = 1.2
NOISE = 0.5
"""Standard deviation of the noise; the classifier gets 45 of 100 images wrong for it."""
SEED = 0


def main(directory: Path) -> None:
    """Write all files."""
    directory.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(SEED)
    rng = np.random.default_rng(SEED)
    digits = load_digits()
    order = rng.permutation(len(digits.target))
    images = (digits.data[order] / 16).astype(np.float32)
    labels = digits.target[order]
    train, reference, live = np.split(np.arange(len(images)), [N_TRAIN, N_TRAIN + N_REFERENCE])

    teacher = train_teacher(images[train], labels[train])
    teacher.save(directory / "teacher.keras")
    np.save(directory / "train.npy", images[train])
    np.save(directory / "reference.npy", images[reference])

    rows = rng.choice(live, N_EVENTS)
    noisy = (images[rows] + rng.normal(0, NOISE, images[rows].shape)).clip(0, 1).astype(np.float32)
    right = teacher.predict(images[rows], verbose=0).argmax(1) == labels[rows]
    wrong = teacher.predict(noisy, verbose=0).argmax(1) != labels[rows]
    write_events(directory / "clean.jsonl", teacher, images[rows])
    write_events(directory / "brighter.jsonl", teacher, (images[rows] * np.float32(BRIGHTER)).clip(0, 1))
    write_events(directory / "harmful.jsonl", teacher, noisy[right & wrong])


def train_teacher(images: Images, labels: npt.NDArray[np.int64]) -> keras.Model:
    """Train a small classifier; it gets about 97 of 100 unseen digits right."""
    teacher = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    teacher.compile("adam", "sparse_categorical_crossentropy")
    teacher.fit(images, labels, epochs=40, batch_size=32, verbose=0)
    return teacher


def write_events(path: Path, teacher: keras.Model, images: Images) -> None:
    """Write one inference event a line, with the classifier's prediction, as a serving system would."""
    predictions = teacher.predict(images, verbose=0)
    with path.open("w", encoding="utf-8") as file:
        for number, (image, prediction) in enumerate(zip(images, predictions, strict=True)):
            event = {
                "id": f"{path.stem}-{number}",
                "model": "digits",
                "instance": [round(float(pixel), 4) for pixel in image],
                "prediction": [round(float(p), 6) for p in prediction],
            }
            file.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
