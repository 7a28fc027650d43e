"""A scene as one HTML page with a viewer: it opens from a disk or a mail, in any browser, and asks no network for anything.

The page holds a picture of the first camera's view, which shows at once, the scene as a .spz, the film's cameras, and a viewer
of a few hundred lines of JavaScript: the files of ``page_viewer``, one after another. The viewer draws as the film's pictures
were drawn, begins with the first camera's view, and draws again when something changes. The viewers of libraries that were
tried, viser's and SuperSplat's, take many seconds for a picture where there is no graphics card, or draw for ever:
docs/formats.md has figures.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.transform import transformed
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.geometry.similarity import Similarity
from splatmem.io.atomic import atomic_path
from splatmem.io.splats.spz import in_planes, packed_together, spz_parts
from splatmem.io.y_up_cameras import camera_matrices_y_up, fov_y
from splatmem.pixels import to_jpeg

SCRIPTS = ("splats.js", "painter.js", "view.js", "page.js")
USUAL_DISTANCE = 3.0  # median distance of Gaussians from the first camera, in the page's own unit; .spz rounds to 1/4096 of it
SAMPLED = 100_000  # Gaussians that tell it
USUAL_FOV = 60.0  # degrees from side to side
USUAL_SIZE = (1280, 720)
BACKGROUND = 0x11 / 255  # of the page
LARGEST_PICTURE = 1280  # pixels of the first view's longer side
DIGITS = 7  # of the cameras' numbers


def write_page(
    gaussians: Gaussians, path: Path, cameras: Cameras | None, fps: float, given: Bool[Tensor, " n"] | None = None
) -> list[str]:
    """Writes a page; returns what a reader should know. Colours are those from the front.

    Args:
        cameras: the first view and, if there are more, the film.
        fps: frames per second of the film.
        given: Gaussians that come from the user's own pictures; a button of the page hides the others.

    Raises:
        ValueError: a parameter is NaN or infinite.
        OSError: the file cannot be written.
    """
    gaussians = gaussians.to("cpu").detach()
    notes = ["colours that change with the view are left out of a page"] if gaussians.sh[:, 1:].any() else []
    if cameras is None:
        cameras = Cameras.from_fov(torch.eye(4)[None], USUAL_FOV, *USUAL_SIZE)
    gaussians, cameras = _in_the_pages_unit(gaussians.with_values(sh=gaussians.sh[:, :1]), cameras)
    if given is not None:
        gaussians = gaussians.select(torch.cat([given.nonzero()[:, 0], (~given).nonzero()[:, 0]]))
    splats, _ = spz_parts(gaussians)
    parts = {
        "style": _part("style.css"),
        "script": "\n".join(map(_part, SCRIPTS)),
        "first": f"data:image/jpeg;base64,{base64.b64encode(_first_view(gaussians, cameras)).decode()}",
        "film": json.dumps(_film(cameras, fps, given), separators=(",", ":")),
        "splats": base64.b64encode(packed_together(in_planes(splats))).decode(),
    }
    page = _part("page.html")
    for name, text in parts.items():
        page = page.replace("{{" + name + "}}", text)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return notes


def _part(name: str) -> str:
    return files("splatmem.io.splats").joinpath("page_viewer", name).read_text(encoding="utf-8")


def _first_view(gaussians: Gaussians, cameras: Cameras) -> bytes:
    camera = cameras[0].to("cpu")
    smaller = min(1.0, LARGEST_PICTURE / max(camera.width, camera.height))
    camera = camera.resized(max(1, round(camera.width * smaller)), max(1, round(camera.height * smaller)))
    with torch.no_grad():
        picture = rasterize(gaussians, camera, background=torch.full((3,), BACKGROUND)).rgb[0]
    return to_jpeg(picture)


def _film(cameras: Cameras, fps: float, given: Bool[Tensor, " n"] | None) -> dict[str, object]:
    """What the viewer is told of the film, in axes with y up."""
    return {
        "fps": fps,
        "width": cameras.width,
        "height": cameras.height,
        "given": None if given is None or bool(given.all()) else int(given.sum()),
        "poses": [[_short(number) for number in pose] for pose in camera_matrices_y_up(cameras)[:, :3].flatten(1).tolist()],
        "fovs": [_short(fov) for fov in fov_y(cameras)],
    }


def _short(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _in_the_pages_unit(gaussians: Gaussians, cameras: Cameras) -> tuple[Gaussians, Cameras]:
    """The scene at a size at which the steps of .spz and the viewer's near plane serve it, whatever its own unit is."""
    some = gaussians.means[evenly_spread(len(gaussians), SAMPLED)]
    distance = float((some - cameras.centers[0].to(some)).norm(dim=-1).median()) if len(some) else 0.0
    if distance == 0:
        return gaussians, cameras
    size = USUAL_DISTANCE / distance
    world_to_cam = cameras.world_to_cam.clone()
    world_to_cam[:, :3, 3] *= size
    scaled = transformed(gaussians, Similarity(torch.eye(3), size, torch.zeros(3)))
    return scaled, replace(cameras, world_to_cam=world_to_cam)
