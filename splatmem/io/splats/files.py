"""One door for Gaussian splats in files of any format, told by their endings (``splatmem.io.splats.endings``)."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.world import World
from splatmem.io.ply import read_ply, read_ply_camera, read_ply_normals, save_ply
from splatmem.io.ply_header import elements_of
from splatmem.io.splats.endings import READABLE, ending_of, format_of
from splatmem.io.splats.gltf import read_glb, write_glb
from splatmem.io.splats.packed import read_packed, write_packed
from splatmem.io.splats.page import write_page
from splatmem.io.splats.usd import read_usd, write_usd


def save_splats(
    gaussians: Gaussians,
    file: str | Path,
    *,
    compact: bool = False,
    cameras: Cameras | None = None,
    fps: float = 24.0,
    world: World | None = None,
    given: Bool[Tensor, " n"] | None = None,
    pixels: Float[Tensor, " n"] | None = None,
) -> list[str]:
    """Writes Gaussians in the format that the file's ending stands for; returns notes on what the format could not hold.

    The axes in the file are those that programs which open it expect, so that the scene stands upright there, and the camera
    at the origin of our world looks at it; ``load_splats`` takes that back.

    Args:
        gaussians: what to write.
        file: its ending is one of ``splatmem.io.splats.endings.FORMATS``; it appears whole.
        compact: of a .ply: leave out normals and zero coefficients.
        cameras: of formats that hold cameras (.glb, .usdc, .usdz, .html): the first view and, if there are more, a film.
        fps: frames per second of the film.
        world: of a .ply: in which the cameras were given (``save_ply``).
        given: of an .html: Gaussians that come from the user's own pictures; the others can be hidden.
        pixels: of an .html: size of a pixel at each Gaussian, of the picture that it was made from; see ``write_page``.

    Raises:
        ValueError: the ending is not known, a package is missing, or a parameter is NaN or infinite.
        OSError: the file cannot be written.
    """
    file = Path(file)
    ending = format_of(file).ending
    if ending == ".ply":
        save_ply(gaussians, file, compact=compact, world=world)
        return []
    if ending == ".glb":
        return write_glb(gaussians, file, cameras, fps)
    if ending in (".usdc", ".usdz"):
        return write_usd(gaussians, file, cameras, fps)
    if ending == ".html":
        return write_page(gaussians, file, cameras, fps, given, pixels)
    return write_packed(gaussians, file, ending[1:])


def load_splats(file: str | Path) -> Gaussians:
    """Reads Gaussians from a file of any format that is known, in the axes of our world.

    What cannot be drawn is left out; ``read_splats`` also says what that was.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its ending is not known, it is damaged, or it holds something else than Gaussian splats.
    """
    return read_splats(file)[0]


def read_splats(file: str | Path) -> tuple[Gaussians, list[str]]:
    """What ``load_splats`` gives, with notes for a reader."""
    file = Path(file)
    ending = ending_of(file)
    if ending not in READABLE:
        raise ValueError(f"{file}: expected a file of splats that ends in {', '.join(READABLE)}")
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    if ending in (".ply", ".compressed.ply"):
        return read_packed(file, "compressed.ply") if _is_compressed(file) else read_ply(file)
    if ending == ".glb":
        return read_glb(file)
    if ending in (".usdc", ".usdz"):
        return read_usd(file)
    return read_packed(file, ending[1:])


def read_splat_normals(file: str | Path) -> Float[Tensor, "n 3"] | None:
    """Unit normals of the Gaussians that ``read_splats`` gives; None where the format or the file has none."""
    file = Path(file)
    return read_ply_normals(file) if ending_of(file) == ".ply" and not _is_compressed(file) else None


def read_splat_camera(file: str | Path) -> Cameras | None:
    """The camera that saw what the file holds, where it says so; see ``read_ply_camera``."""
    file = Path(file)
    return read_ply_camera(file) if ending_of(file) == ".ply" and not _is_compressed(file) else None


def _is_compressed(file: Path) -> bool:
    """Whether a .ply is of PlayCanvas's packed kind, whatever its name."""
    return "chunk" in elements_of(file)
