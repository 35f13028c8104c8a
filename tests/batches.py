"""Comparing what codecs make of records."""

from __future__ import annotations

from streams.events import EventBatch


def assert_same(one: EventBatch, other: EventBatch) -> None:
    """Fail unless two batches hold the same events, to the bit, and the same refusals."""
    assert one.rows.tolist() == other.rows.tolist()
    assert list(one.rejected) == list(other.rejected)
    assert one.instances.tobytes() == other.instances.tobytes()
    assert (one.predictions is None) == (other.predictions is None)
    if one.predictions is not None and other.predictions is not None:
        assert one.predictions.tobytes() == other.predictions.tobytes()
    assert one.times_ms.tolist() == other.times_ms.tolist()
    for texts in ("ids", "models", "segments"):
        assert list(getattr(one, texts) or []) == list(getattr(other, texts) or [])
    assert {path: list(texts) for path, texts in one.others.items()} == {
        path: list(texts) for path, texts in other.others.items()
    }
