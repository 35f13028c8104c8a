"""What sections with `ssl_` keys have in common."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from monitor.config.section import Section, SectionError


def check_tls_keys(section: Section, tls_url: str | None) -> None:
    """Check the `ssl_` keys of a section with each other and with its url.

    Parameters
    ----------
    section
        The section.
    tls_url
        The url that TLS needs, with its article, such as "an https:// url"; None where the url is one.

    Raises
    ------
    SectionError
        If some are given without TLS, or a certificate without its key.
    """
    given = [key for key in type(section).model_fields if key.startswith("ssl_")]
    given = [key for key in given if key in section.model_fields_set]
    if given and tls_url is not None:
        raise SectionError(*(((key,), f"is for TLS; it needs {tls_url}") for key in given))
    for key, other in (("ssl_certfile", "ssl_keyfile"), ("ssl_keyfile", "ssl_certfile")):
        if getattr(section, key) and not getattr(section, other):
            raise SectionError(((key,), f"needs '{other}' beside it"))


def in_the_clear(section: Section, keys: Iterable[str]) -> dict[str, Any]:
    """Return values of a section as a client takes them: secrets and paths as text, None left out."""
    values = {key: getattr(section, key) for key in keys}
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
