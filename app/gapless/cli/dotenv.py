"""Reads settings from the file `.env` in the current folder, or from the file that `--env-file` names."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

from gapless.config.startup import BadSetting


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What a file has set, by name, and what the environment had set already: the environment wins."""

    path: Path
    taken: tuple[str, ...]
    kept: tuple[str, ...]

    def __str__(self) -> str:
        """Names only: values may be secrets."""
        kept = f"; set already: {', '.join(self.kept)}" if self.kept else ""
        return f"settings from {self.path}: {', '.join(self.taken) or 'none'}{kept}"


def load(named: str | None, environ: MutableMapping[str, str]) -> EnvFile | None:
    """Add a file's variables to `environ`: `named`, else `.env` in the current folder; None where there is none.

    Raises BadSetting where the named file is missing, or a file can't be read.
    """
    path = Path(named or ".env")
    if named is None and not path.is_file():
        return None
    from dotenv import dotenv_values  # noqa: PLC0415 - only where there is a file to read

    try:
        with path.open(encoding="utf-8") as file:
            found = {name: value for name, value in dotenv_values(stream=file).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(
            f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}."
        ) from None
    kept = tuple(name for name in found if name in environ)
    taken = tuple(name for name in found if name not in environ)
    environ.update({name: found[name] for name in taken})
    return EnvFile(path, taken, kept)
