"""Loads the compiled CPU kernels, with an error that says how to get them."""

from __future__ import annotations

from functools import cache
from types import ModuleType

INTERFACE = 9  # of the bindings that this package calls; csrc/module.cpp has the same
HOW_TO_BUILD = (
    "Build it with `pip install .` in the project's folder, or with `tools/build_kernels.sh` to use a checkout in place. "
    "Both need a C++ compiler: `apt install g++` on Debian and Ubuntu, `xcode-select --install` on macOS."
)


@cache
def load_kernels() -> ModuleType:
    """The compiled extension ``splatmem.render._kernels``.

    Raises:
        ImportError: if it was not built or does not load; the message says what to do.
    """
    try:
        from splatmem.render import _kernels  # type: ignore[attr-defined]
    except ImportError as error:
        raise ImportError(f"the CPU rasterizer of splatmem did not load ({error}). {HOW_TO_BUILD}") from error
    if getattr(_kernels, "interface", 1) != INTERFACE:
        raise ImportError(f"the CPU rasterizer of splatmem was built from other sources than these. {HOW_TO_BUILD}")
    return _kernels
