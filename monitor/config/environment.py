"""``${NAME}`` and ``${NAME:-default}`` in the texts of a config."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(
    r"\$\$\{"  # an escaped reference, which stays as text
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<has_default>:-(?P<default>[^${}]*))?\}"
    r"|(?P<malformed>\$\{)"
)


class SubstitutionError(ValueError):
    """A text refers to the environment in a way that cannot be followed; the message never holds a value."""


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Replace the references to environment variables in one text.

    It is applied to texts that are parsed already, so that no value of a variable can change the structure
    of the config.

    Parameters
    ----------
    text
        ``${NAME}`` is replaced by the variable, ``${NAME:-default}`` by the default where the variable is
        unset or empty (as in a shell); ``$${`` stands for a literal ``${``.
    environ
        The variables.

    Raises
    ------
    SubstitutionError
        If a variable without a default is unset, its value is not UTF-8, or the reference is malformed.
    """

    def replacement(match: re.Match[str]) -> str:
        if match["malformed"]:
            raise SubstitutionError(
                "has a '${' that begins no reference; write ${NAME} or ${NAME:-default}, "
                "or $${ where the text itself holds '${'"
            )
        name = match["name"]
        if name is None:
            return "${"
        value = environ.get(name)
        if match["has_default"] and not value:
            return match["default"]
        if value is None:
            raise SubstitutionError(
                f"needs the environment variable {name}, which is not set; "
                f"set it or give a default as ${{{name}:-default}}"
            )
        if not value.isascii() and not _is_unicode(value):
            raise SubstitutionError(f"needs the environment variable {name}, whose value is not UTF-8 text")
        return value

    return _REFERENCE.sub(replacement, text)


def _is_unicode(value: str) -> bool:
    # The interpreter smuggles undecodable bytes of the environment through as lone surrogates.
    return not any("\ud800" <= character <= "\udfff" for character in value)
