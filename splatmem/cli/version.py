"""The version of this package."""

from __future__ import annotations

import importlib.metadata


def own_version() -> str:
    """The version that was installed; "not installed" where the package runs from its source folder alone."""
    try:
        return importlib.metadata.version("splatmem")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
