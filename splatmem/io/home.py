"""The home folder, which a container's user may lack: no ``HOME``, and no entry among the system's users."""

from __future__ import annotations

from pathlib import Path


def home() -> Path | None:
    """The home folder; None where it is not known."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def expanded(path: str | Path) -> Path:
    """A path with ``~`` replaced by the home folder.

    Raises:
        ValueError: the path begins with ``~``, and there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: it is not known which folder ~ stands for: set HOME, or write the path out") from error
