"""A scene as one HTML page with a viewer: it opens from a disk or a mail, in any browser, and asks no network for anything.

The viewer is viser's (https://viser.studio), which this package depends on: a recorded scene with its player. The camera
starts as the first one that is given; with more than one, "play" moves the scene as they would see it.

The player begins by itself, and takes the film's time from the clock: where drawing is slow, without a graphics card, each step
would be longer than the film, and each time the film begins again the player loads the whole scene anew. The page would never
come to show anything. A few lines before the viewer make the first view stand until the visitor presses "play", and the film
slow instead of jumping.
"""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from splatmem.gaussians import Gaussians
from splatmem.gaussians.transform import transformed
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_inverse
from splatmem.geometry.rotations import rotations_to_quats
from splatmem.geometry.sampling import evenly_spread
from splatmem.geometry.similarity import Similarity
from splatmem.io.atomic import atomic_path
from splatmem.io.y_up_cameras import fov_y

if TYPE_CHECKING:
    import viser

PLACE_STEP = 2.0**-11  # of the distance from the first camera's place
SHAPE_STEP = 2.0**-5  # of a covariance's largest number
DILATION = 0.3  # square pixels by which 3DGS widens what it draws, at the film's size; the viewer's own do not cover at another
LARGEST_VARIANCE = 6e4  # the viewer keeps covariances as 16 bits
MOST_ENLARGED = 16.0
AT_REST = """<script>(() => {
  const LONGEST_STEP = 100;  // milliseconds of the film between two pictures
  const clock = Date.now, every = window.setInterval;
  let last = clock(), told = last, held = true;
  Date.now = () => {
    const now = clock();
    if (!held) told += Math.min(now - last, LONGEST_STEP);
    last = now;
    return told;
  };
  window.setInterval = (step, period, ...more) => {
    if (!held || period !== 1000 / 120) return every(step, period, ...more);
    return every(() => {
      step();
      if (!held) return;
      held = false;
      document.body.dispatchEvent(new KeyboardEvent("keydown", {code: "Space", bubbles: true}));
    }, period);
  };
  window.addEventListener("pointerdown", () => { held = false; });
})();</script>"""
"""Holds the clock of the player, which makes 120 steps a second, until its first step has shown the film's beginning, and then
presses its key for a pause."""
WHOLE, GIVEN, MADE = "/scene", "/scene/from the pictures", "/scene/made"
FAR = 1000.0
USUAL_DISTANCE = 3.0  # median distance of Gaussians from the first camera, in the page's own unit: its numbers suit the viewer
SAMPLED = 100_000  # Gaussians that tell it


def write_page(
    gaussians: Gaussians,
    path: Path,
    cameras: Cameras | None,
    fps: float,
    given: Bool[Tensor, " n"] | None = None,
    pixels: Float[Tensor, " n"] | None = None,
) -> list[str]:
    """Writes a page. Places are rounded to a 4096th of their distance, which does not show; colours are those from the front.

    Args:
        cameras: the first view and, if there are more, the film.
        fps: frames per second of the film.
        given: Gaussians that come from the user's own pictures; the viewer's list of parts can then hide the others.
        pixels: size of a pixel at each Gaussian, in the world, of the picture that it was made from: Gaussians are widened by
            as much as they are when that picture is drawn, so that they cover at any size of the window (a 3D smoothing filter,
            Yu et al. 2024, "Mip-Splatting").

    Raises:
        OSError: the file cannot be written.
    """
    gaussians = gaussians.to("cpu").detach()
    if pixels is not None:
        gaussians = _widened(gaussians, pixels)
    gaussians, cameras = _in_the_pages_unit(gaussians, cameras)
    with contextlib.redirect_stdout(io.StringIO()), _server() as server:  # it greets on the terminal
        page = _recorded(server, gaussians, cameras, fps, given)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return ["colours that change with the view are left out of a page"] if gaussians.sh[:, 1:].any() else []


@contextlib.contextmanager
def _server():
    """A server that nobody is told of: viser records scenes by one."""
    import viser

    server = viser.ViserServer(host="127.0.0.1", port=0, verbose=False)
    try:
        yield server
    finally:
        server.stop()


def _recorded(
    server: viser.ViserServer, gaussians: Gaussians, cameras: Cameras | None, fps: float, given: Bool[Tensor, " n"] | None
) -> str:
    server.scene.set_up_direction((0.0, -1.0, 0.0))
    server.scene.world_axes.visible = False
    whole = server.scene.add_frame(WHOLE, show_axes=False)
    parts = {GIVEN: gaussians} if given is None else {MADE: gaussians.select(~given), GIVEN: gaussians.select(given)}
    for name, part in parts.items():
        if len(part):
            _add_splats(server, name, part if cameras is None else _back_to_front(part, cameras))
    reach = float(gaussians.means.norm(dim=-1).max()) if len(gaussians) else 0.0
    server.initial_camera.far = max(FAR, 4 * reach)
    if cameras is not None:
        _place_camera(server, cameras)
    recording = server.get_scene_serializer()
    if cameras is not None and len(cameras) > 1:
        # The camera stays where the visitor puts it: the world moves as it would pass by the film's.
        moves = rigid_inverse(cameras.world_to_cam[:1].double()) @ cameras.world_to_cam.double()
        for place, quat in zip(moves[:, :3, 3].numpy(), rotations_to_quats(moves[:, :3, :3]).numpy(), strict=True):
            whole.position, whole.wxyz = place, quat
            recording.insert_sleep(1 / fps)
    return recording.as_html(dark_mode=True).replace("<head>", f"<head>{AT_REST}", 1)


def _back_to_front(part: Gaussians, cameras: Cameras) -> Gaussians:
    """The Gaussians in the order in which the first camera needs them: the viewer draws them as they come until it has sorted
    them itself."""
    ahead = part.means @ cameras.world_to_cam[0, 2, :3] + cameras.world_to_cam[0, 2, 3]
    return part.select(ahead.argsort(descending=True))


def _in_the_pages_unit(gaussians: Gaussians, cameras: Cameras | None) -> tuple[Gaussians, Cameras | None]:
    """The scene at a size at which the viewer's 16 bits and its near plane serve it, whatever its own unit is."""
    origin = gaussians.means.new_zeros(3) if cameras is None else cameras.centers[0].to(gaussians.means)
    some = gaussians.means[evenly_spread(len(gaussians), SAMPLED)]
    distance = float((some - origin).norm(dim=-1).median()) if len(some) else 0.0
    if distance == 0:
        return gaussians, cameras
    size = USUAL_DISTANCE / distance
    gaussians = transformed(gaussians, Similarity(torch.eye(3), size, torch.zeros(3)))
    if cameras is not None:
        world_to_cam = cameras.world_to_cam.clone()
        world_to_cam[:, :3, 3] *= size
        cameras = replace(cameras, world_to_cam=world_to_cam)
    return gaussians, cameras


def _widened(gaussians: Gaussians, pixels: Float[Tensor, " n"]) -> Gaussians:
    """The Gaussians, wider within their surfaces."""
    variances = (2 * gaussians.log_scales).exp()
    variances[:, :2] += DILATION * pixels[:, None] ** 2
    return replace(gaussians, log_scales=0.5 * variances.log())


def _place_camera(server: viser.ViserServer, cameras: Cameras) -> None:
    pose = rigid_inverse(cameras.world_to_cam[0].double()).numpy()
    server.initial_camera.position = pose[:3, 3]
    server.initial_camera.look_at = pose[:3, 3] + pose[:3, 2]
    server.initial_camera.up = -pose[:3, 1]
    server.initial_camera.fov = fov_y(cameras)[0]


def _add_splats(server: viser.ViserServer, name: str, part: Gaussians) -> None:
    # Small covariances are lost in 16 bits: the scene is enlarged, and shown smaller.
    enlarged = min(MOST_ENLARGED, math.sqrt(LARGEST_VARIANCE) / max(float(part.scales.max()), 1e-6))
    axes = part.rotations * (part.scales * enlarged)[:, None, :]
    server.scene.add_gaussian_splats(
        name,
        centers=_rounded(part.means * enlarged, PLACE_STEP),
        covariances=_rounded((axes @ axes.transpose(1, 2)).flatten(1), SHAPE_STEP).reshape(-1, 3, 3),
        rgbs=part.rgb.clamp(0, 1).numpy(),
        opacities=part.opacities[:, None].numpy(),
        scale=1 / enlarged,
    )


def _rounded(rows: Float[Tensor, "n c"], step: float) -> Float32[np.ndarray, "n c"]:
    """The rows in steps, powers of two, of about so much of their largest number: what has few bits packs well."""
    steps = 2.0 ** (rows.abs().amax(dim=1, keepdim=True).clamp_min(1e-30).log2().floor() + math.log2(step))
    return ((rows / steps).round() * steps).numpy()
