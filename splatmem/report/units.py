"""Figures as people read them: 1.9 GB, 45.9 dB, 0.16 %, 39 s."""

from __future__ import annotations

from typing import Any


def readable(name: str, value: Any) -> str:
    """A figure of a report with its unit, which its name tells.

    Args:
        name: with those of the levels above in front, such as ``retention_psnr.min``.
    """
    if value is None:
        return "none"
    group, _, last = name.rpartition(".")
    if isinstance(value, list | tuple):
        return (" x " if last == "size" else "; ").join(str(item) for item in value) or "none"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name.endswith("_bytes"):
        return file_size(value)
    if "psnr" in name:
        return f"{value:.1f} dB"
    if group == "seconds" or last.endswith("seconds"):
        return f"{value:.1f} s"
    if last in ("unknown_fraction", "border_depth_step", "share_above_3_percent") or name == "bend.mean":
        return f"{100 * value:.2f} %"
    if last.endswith("degrees"):
        return f"{value:g}\N{DEGREE SIGN}"
    if isinstance(value, int):
        return str(value) if last in ("seed", "frame") else f"{value:,}"
    return f"{value:.4g}"


def file_size(count: float) -> str:
    """Bytes in the decimal unit that leaves one to three digits before the point."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
