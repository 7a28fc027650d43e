"""Files that come with the package: the embedded models, sample photos, presets."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def path(relative: str) -> Path:
    """A file or folder of ``assets/``, in an installed package or in a source tree.

    Raises:
        FileNotFoundError: it is not there.
    """
    return _find("assets", relative)


def configs() -> Path:
    """The folder of the presets."""
    return _find("configs", ".")


def _find(folder: str, relative: str) -> Path:
    candidates = [PACKAGE / folder / relative, PACKAGE.parent / folder / relative]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise FileNotFoundError(
        f"{folder}/{relative} is missing from this installation of splatmem: install it anew with 'pip install .' "
        "from a complete checkout"
    )
