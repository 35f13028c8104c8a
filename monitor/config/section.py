"""What every section of the config is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from monitor.config.faults import KeyPath


class SectionError(ValueError):
    """Keys of one section contradict each other.

    Parameters
    ----------
    faults
        Path from the section to the key at fault, and what is wrong with it as a predicate.
    """

    def __init__(self, *faults: tuple[KeyPath, str]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path))} {sentence}" for path, sentence in faults))
        self.faults = faults


class Section(BaseModel):
    """What all sections share: no unknown keys, no conversions, no changes, no values in error messages."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )
