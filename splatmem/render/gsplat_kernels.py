"""Whether gsplat can be used on this machine. It compiles its kernels at their first use: minutes, with a CUDA toolkit."""

from __future__ import annotations

from functools import cache


@cache
def why_gsplat_cannot_draw() -> str | None:
    """The reason why gsplat cannot be used, or None if it can; compiles its kernels if that was not done before."""
    try:
        from gsplat.cuda import _backend
    except (ImportError, OSError, RuntimeError) as error:
        return f"gsplat's kernels cannot be compiled ({(str(error).splitlines() or [type(error).__name__])[0]})"
    return (
        None if getattr(_backend, "_C", None) is not None else "gsplat found no CUDA toolkit (nvcc) to compile its kernels with"
    )
