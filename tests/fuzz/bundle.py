"""The bundle loader as a subject: a detector or a `BundleError`, whatever is in the files."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from detectors import load_bundle
from detectors.errors import BundleError
from tests.fuzz.damage import BINARY, JSON, damaged
from tests.fuzz.recipe import Recipe
from tests.fuzz.subjects import Tally
from tests.traffic import TinyDetector

MANIFEST, REFERENCE, MODEL = "detector.json", "reference.npy", "distilled.keras"


class BundleSubject:
    """The bundle loader, given a bundle with one damaged file.

    Most of the time the digests fit the damage, as in a bundle that was made by somebody hostile.
    """

    recipe_bytes = 80

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="drift-monitor-fuzz-")
        self._path = Path(self._directory.name) / "bundle"
        TinyDetector(self._path)
        self._files = {file.name: file.read_bytes() for file in self._path.iterdir()}

    def run(self, recipe: bytes) -> Tally:
        """Open one bundle and check the answer."""
        self._write(_damaged_bundle(self._files, Recipe(recipe)))
        try:
            load_bundle(self._path, with_model=False)
        except BundleError as error:
            if not str(error):
                raise AssertionError("nothing is said about a bad bundle") from error
            return Tally(1, rejected=Counter(["BundleError"]))
        return Tally(1, accepted=1)

    def close(self) -> None:
        """Remove the bundle."""
        self._directory.cleanup()

    def _write(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            (self._path / name).write_bytes(content)


def _damaged_bundle(files: dict[str, bytes], recipe: Recipe) -> dict[str, bytes]:
    """Damage one file, and bring its digest up to date."""
    name = recipe.one_of((MANIFEST, REFERENCE, MODEL, MODEL, MODEL))
    honest = recipe.number() % 8 == 0
    if name == MODEL and recipe.number() % 4:
        content = _damaged_archive(files[MODEL], recipe)
    else:
        content = damaged(files[name], recipe, JSON if name == MANIFEST else BINARY)
    changed = {**files, name: content}
    if name != MANIFEST and not honest:
        manifest = json.loads(files[MANIFEST])
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
        changed[MANIFEST] = json.dumps(manifest).encode()
    return changed


def _damaged_archive(archive: bytes, recipe: Recipe) -> bytes:
    """Damage one member of a .keras file."""
    with zipfile.ZipFile(io.BytesIO(archive)) as original:
        members = {name: original.read(name) for name in original.namelist()}
    chosen = recipe.one_of(sorted(members))
    members[chosen] = damaged(members[chosen], recipe, JSON if chosen.endswith(".json") else BINARY)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as changed:
        for name, content in members.items():
            changed.writestr(name, content)
    return file.getvalue()
