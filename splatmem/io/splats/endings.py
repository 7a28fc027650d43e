"""The formats of Gaussian splats, told by the endings of file names. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SplatFormat:
    """What is to be known of a format before a file is written.

    Attributes:
        ending: of the files' names, with its dot.
        opens_in: programs that open it.
        y_up: whether its axes are x right, y up, z backward; else they are those of 3DGS, x right, y down, z forward.
        readable: whether this package reads it.
    """

    ending: str
    opens_in: str
    y_up: bool = False
    readable: bool = True

    @property
    def axes(self) -> str:
        """What happens to the axes on the way into a file, for messages."""
        if self.y_up:
            return "turned to x right, y up, z backward, as programs that open it expect"
        return "in the axes of 3DGS: x right, y down, z forward"


FORMATS = {
    format_.ending: format_
    for format_ in (
        SplatFormat(".ply", "everything that knows 3DGS"),
        SplatFormat(".compressed.ply", "SuperSplat, PlayCanvas, Spark"),
        SplatFormat(".splat", "web viewers"),
        SplatFormat(".ksplat", "GaussianSplats3D for three.js"),
        SplatFormat(".spz", "Niantic Scaniverse, Spark, Babylon.js, Unity", y_up=True),
        SplatFormat(".sog", "SuperSplat, PlayCanvas, Spark"),
        SplatFormat(".glb", "three.js, Babylon.js, Cesium, Unity (glTF's KHR_gaussian_splatting)", y_up=True),
        SplatFormat(".usdc", "Houdini, Nuke, Omniverse (OpenUSD from 26.03 on)", y_up=True),
        SplatFormat(".usdz", "the same, packed", y_up=True),
        SplatFormat(".html", "any browser: one page with a viewer, no network", readable=False),
    )
}
READABLE = tuple(ending for ending, format_ in FORMATS.items() if format_.readable)


def ending_of(file: str | Path) -> str | None:
    """The ending by which a file's format is known, the longest that fits; None if it is none of these."""
    name = Path(file).name.lower()
    fitting = [ending for ending in FORMATS if name.endswith(ending) and len(name) > len(ending)]
    return max(fitting, key=len, default=None)


def is_splat_file(file: str | Path) -> bool:
    """Whether a name is that of a file of splats that can be read."""
    return ending_of(file) in READABLE


def format_of(file: str | Path) -> SplatFormat:
    """The format that a file's name stands for.

    Raises:
        ValueError: its ending is none of those that are known.
    """
    ending = ending_of(file)
    if ending is None:
        raise ValueError(f"{file}: expected a name that ends in {', '.join(FORMATS)}")
    return FORMATS[ending]
