"""Names of everything the product keeps in Redis, in one place.

All keys of a monitor share one hash tag. They live in one slot of a Redis Cluster, so that one script can
change a batch's progress, windows and leases together or not at all. What monitors share has its own tag.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MonitorKeys:
    """Redis keys of one monitor.

    Attributes
    ----------
    prefix
        What all keys start with; lets several installations share a Redis.
    monitor
        Name of the monitor.
    """

    prefix: str
    monitor: str

    def _key(self, name: str) -> str:
        return f"{self.prefix}:{{{self.monitor}}}:{name}"

    @property
    def progress(self) -> str:
        """Hash: ``epoch``, and the next offset not yet counted by input partition."""
        return self._key("progress")

    @property
    def shape(self) -> str:
        """String: shape of the windows that are counted into."""
        return self._key("shape")

    @property
    def open(self) -> str:
        """Hash: open window by segment, with its latest scores."""
        return self._key("open")

    @property
    def details(self) -> str:
        """Hash: by segment, the examples and full panes of its open window."""
        return self._key("details")

    @property
    def scores(self) -> str:
        """Hash: by segment, packed scores of its open window but the latest."""
        return self._key("scores")

    @property
    def frontiers(self) -> str:
        """Hash: by segment, before which offsets all was settled when a loss of data was repaired."""
        return self._key("frontiers")

    @property
    def rejected(self) -> str:
        """Hash: number of rejected events that were counted, by reason."""
        return self._key("rejected")

    @property
    def closed(self) -> str:
        """Hash: closed windows that await their verdict."""
        return self._key("closed")

    @property
    def leases(self) -> str:
        """Sorted set: closed windows by the time until which a worker has claimed them."""
        return self._key("leases")

    @property
    def alerts(self) -> str:
        """Hash: alert state by segment."""
        return self._key("alerts")

    @property
    def reference(self) -> str:
        """String: version of the reference in force."""
        return self._key("reference")

    @property
    def promotions(self) -> str:
        """List: versions that were in force, newest first, with the time of each promotion."""
        return self._key("promotions")

    @property
    def references(self) -> str:
        """Hash: version to description of every reference stored."""
        return self._key("references")

    def reference_scores(self, version: str) -> str:
        """String: packed sorted scores of one reference."""
        return self._key(f"reference:{version}")

    def depends(self, partition: int) -> str:
        """Sorted set: unsettled windows by the first offset of this partition that they hold."""
        return self._key(f"depends:{partition}")

    def verdicts(self, segment: str) -> str:
        """List: a segment's verdicts, newest first."""
        return self._key(f"verdicts:{segment}")

    def last(self, segment: str) -> str:
        """String: a segment's last settled window with its scores, kept for people to look at."""
        return self._key(f"last:{segment}")

    def marked(self, segment: str) -> str:
        """String: the last settled window that was marked as worth a look for longer."""
        return self._key(f"marked:{segment}")


def thresholds_key(prefix: str) -> str:
    """Hash: thresholds that took long to work out, by what they depend on."""
    return f"{prefix}:thresholds"


@dataclass(frozen=True)
class ProcedureKeys:
    """Redis keys of a procedure that monitors share; its hash tag cannot be a monitor's name.

    Attributes
    ----------
    prefix
        What all keys start with.
    tag
        Kind of the procedure, in capitals.
    name
        Which one of its kind.
    """

    prefix: str
    tag: str
    name: str

    @property
    def state(self) -> str:
        """String: the procedure after its latest decision."""
        return f"{self.prefix}:{{{self.tag}}}:{self.name}:state"

    def decision(self, about: str) -> str:
        """String: one decision, kept for a while."""
        return f"{self.prefix}:{{{self.tag}}}:{self.name}:decision:{about}"
