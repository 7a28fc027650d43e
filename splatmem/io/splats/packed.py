"""Packed formats of Gaussian splats, through gaussforge but for the writing of .spz: .compressed.ply, .splat, .ksplat, .spz and
.sog.

Sources: the formats' own documents. .compressed.ply and .sog: PlayCanvas, https://developer.playcanvas.com; .splat:
antimatter15, https://github.com/antimatter15/splat; .ksplat: https://github.com/mkkellogg/GaussianSplats3D; .spz: Niantic,
https://github.com/nianticlabs/spz, whose axes are x right, y up, z backward.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit
from splatmem.io.atomic import atomic_path
from splatmem.io.drawable import MOST_OPAQUE
from splatmem.io.ply import parse_ply, ply_bytes
from splatmem.io.splats.axes import half_turn_about_x, neighbours_together, without_empty_bands
from splatmem.io.splats.spz import packed_together, spz_parts
from splatmem.render.spherical_harmonics import SH_C0

CONSTANT_COLOURS = (
    "compressed.ply",
    "splat",
)  # .splat has no room for more, and gaussforge 0.6 mixes up the order in the other
CUT_OFF = ("splat", "ksplat")  # whose colours and opacities gaussforge 0.6 cuts off, instead of rounding them ...
BYTE = 255  # ... to whole numbers of these
CHUNK = 256  # Gaussians of a .compressed.ply that share their bounds
_redirecting = threading.Lock()


def write_packed(gaussians: Gaussians, path: Path, kind: str) -> list[str]:
    """Writes a file of ``packed_bytes``; returns its notes.

    Raises:
        ValueError: a parameter is NaN or infinite.
        OSError: the file cannot be written.
    """
    content, notes = packed_bytes(gaussians, path, kind)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return notes


def packed_bytes(gaussians: Gaussians, path: Path, kind: str) -> tuple[bytes, list[str]]:
    """What a file holds, and what a reader should know; bands of spherical harmonics that are zero are left out.

    Args:
        path: the file that it is for, for messages.
        kind: compressed.ply, splat, ksplat, spz or sog.

    Raises:
        ValueError: a parameter is NaN or infinite.
    """
    gaussians, notes = without_empty_bands(gaussians.to("cpu").detach()), []
    if kind in CONSTANT_COLOURS and gaussians.sh.shape[1] > 1:
        gaussians = gaussians.with_values(sh=gaussians.sh[:, :1])
        notes.append(f"colours that change with the view are left out of .{kind}")
    if kind == "spz":
        parts, notes = spz_parts(gaussians)
        return packed_together(parts), notes
    if kind == "compressed.ply":
        gaussians = neighbours_together(gaussians, CHUNK)
    elif kind in CUT_OFF:
        gaussians = _half_a_step_up(gaussians)
    return _converted(ply_bytes(gaussians), "ply", kind, path), notes


def read_packed(path: Path, kind: str) -> tuple[Gaussians, list[str]]:
    """The Gaussians of a file, and notes on those that were left out.

    Raises:
        ValueError: it is no whole file of this kind, or holds nothing that can be drawn.
        OSError: the file cannot be read.
    """
    gaussians, notes = parse_ply(_converted(path.read_bytes(), kind, "ply", path), path)
    return (half_turn_about_x(gaussians) if kind == "spz" else gaussians), notes


def _converted(content: bytes, kind: str, into: str, path: Path) -> bytes:
    import gaussforge

    with _quiet():
        try:
            result = gaussforge.GaussForge().convert(content, kind, into)
        except Exception as error:  # a native library's, of any kind
            result = {"error": str(error)}
    if result.get("error") or "data" not in result:
        reason = result.get("error") or "it holds nothing"
        raise ValueError(f"{path}: expected a whole .{kind if into == 'ply' else into} file: {reason}")
    return cast(bytes, result["data"])


@contextmanager
def _quiet() -> Iterator[None]:
    """What gaussforge prints (a line for each .spz that it reads) is not the user's business."""
    with _redirecting, open(os.devnull, "wb") as nowhere:
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _half_a_step_up(gaussians: Gaussians) -> Gaussians:
    """The Gaussians with colours and opacities so much larger that cutting them off rounds what they were."""
    sh = gaussians.sh.clone()
    sh[:, 0] += 0.5 / BYTE / SH_C0
    opacities = (gaussians.opacities + 0.5 / BYTE).clamp_max(MOST_OPAQUE)
    return gaussians.with_values(sh=sh, opacity_logits=logit(opacities))
