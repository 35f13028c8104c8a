"""Events of the Open Inference Protocol, scanned as those of ``streams.codecs.json.scanner`` are."""

from collections.abc import Sequence

from streams.codecs.json.scanner import EventScanner, Keys

class TensorScanner(EventScanner):
    def __init__(
        self,
        wanted: Keys,
        shape: Sequence[int],
        n_classes: int,
        max_bytes: int,
        names: Sequence[bytes | None],
    ) -> None: ...
