"""Detector bundles at hand: each is loaded once for all monitors, and again when its files have changed."""

from __future__ import annotations

from pathlib import Path

from detectors import Bundle, load_bundle
from detectors.bundles.manifest import MANIFEST_NAME


class BundleShelf:
    """Bundles by directory; serves one thread at a time."""

    def __init__(self) -> None:
        self._held: dict[tuple[Path, bool], tuple[bytes, Bundle]] = {}

    def get(self, path: Path, *, with_model: bool) -> Bundle:
        """Return the bundle in a directory: the very same object until its files change.

        Raises
        ------
        BundleError
            If it cannot be loaded.
        """
        # The manifest holds the digests of all other files.
        manifest = path / MANIFEST_NAME
        content = manifest.read_bytes() if manifest.is_file() else b""
        known = self._held.get((path, with_model))
        if known is None or known[0] != content:
            known = self._held[path, with_model] = content, load_bundle(path, with_model=with_model)
        return known[1]
