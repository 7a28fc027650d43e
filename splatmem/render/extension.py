"""Loads the compiled CPU kernels, with an error that says how to get them."""

from __future__ import annotations

from functools import cache
from types import ModuleType


@cache
def load_kernels() -> ModuleType:
    """The compiled extension ``splatmem.render._kernels``.

    Raises:
        ImportError: if it was not built or does not load; the message says what to do.
    """
    try:
        from splatmem.render import _kernels  # type: ignore[attr-defined]
    except ImportError as error:
        raise ImportError(
            f"the CPU rasterizer of splatmem did not load ({error}). Build it with `pip install .` in the project's "
            "folder, or with `tools/build_kernels.sh` to use a checkout in place. Both need a C++ compiler: "
            "`apt install g++` on Debian and Ubuntu, `xcode-select --install` on macOS."
        ) from error
    return _kernels
