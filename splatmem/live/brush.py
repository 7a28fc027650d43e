"""A brush: what one paints over with the mouse or a finger becomes a stroke of pixels.

viser tells of clicks, rectangles, and drags of things in the scene. So that a drag is told wherever it begins, an invisible
sheet lies around the whole scene, and is what is dragged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import viser

from splatmem.geometry.cameras import Cameras
from splatmem.live.desk import Desk
from splatmem.live.framing import BROWSER_SCALE

SHEET, TRAIL = "/brush_sheet", "/brush_trail"
SHEET_RADIUS = 200.0  # of the memory's scale: beyond the sky, and before the far plane of the browsers' cameras
TRAIL_DEPTH = 0.02  # of the memory's scale: so near that it lies over all else
COLOUR = (255, 120, 40)
MOST_PIXELS = 1000  # of a stroke

Painted = Callable[[viser.ClientHandle, Cameras, list[tuple[float, float]]], None]


@dataclass
class _Stroke:
    """What a browser has painted so far.

    Attributes:
        camera: of its canvas when it began.
        pixels: x, y in that camera's picture.
    """

    camera: Cameras
    pixels: list[tuple[float, float]] = field(default_factory=list)


class Brush:
    """Takes strokes from all browsers while it is taken up."""

    def __init__(self, desk: Desk, radius: Callable[[], float], painted: Painted) -> None:
        """Args:
        radius: of the brush, as a share of the width of the film's frame.
        painted: called with the browser, the camera of its canvas, and the stroke's pixels x, y in the picture of that.
        """
        self._desk, self._radius, self._painted = desk, radius, painted
        self._sheet: viser.IcosphereHandle | None = None
        self._strokes: dict[int, _Stroke] = {}

    def take_up(self) -> None:
        if self._sheet is not None:
            return
        self._sheet = self._desk.server.scene.add_icosphere(
            SHEET, SHEET_RADIUS * BROWSER_SCALE, COLOUR, subdivisions=2, opacity=0.0, side="double",
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        self._sheet.on_drag("left")(self._dragged)

    def lay_down(self) -> None:
        if self._sheet is not None:
            self._sheet.remove()
            self._sheet = None
            self._strokes.clear()

    async def _dragged(self, event: Any) -> None:
        """Asynchronous, since viser runs other callbacks in any order."""
        client, x, y = event.client, *event.end_screen_pos
        if event.phase == "start":
            self._strokes[client.client_id] = _Stroke(self._desk.canvas_camera(client))
            x, y = event.start_screen_pos
        stroke = self._strokes.get(client.client_id)
        if stroke is None:
            return
        if len(stroke.pixels) < MOST_PIXELS:
            stroke.pixels.append((x * stroke.camera.width, y * stroke.camera.height))
            self._show(client, stroke)
        if event.phase == "end":
            del self._strokes[client.client_id]
            client.scene.remove_by_name(TRAIL)
            self._painted(client, stroke.camera, stroke.pixels)

    def _show(self, client: viser.ClientHandle, stroke: _Stroke) -> None:
        """Draws the stroke over the picture, as wide as the brush is."""
        if len(stroke.pixels) < 2:
            return
        camera, depth = stroke.camera, TRAIL_DEPTH * self._desk.scale
        pixels = torch.tensor(stroke.pixels)
        rays = torch.stack([*((pixels - camera.intrinsics[0, :2, 2]) / camera.focal[0]).unbind(1), torch.ones(len(pixels))], 1)
        points = depth * rays @ camera.cam_to_world[0, :3, :3].T + camera.centers[0]
        shown = self._desk.to_browser(points).astype(np.float32)
        width = 2 * self._radius() * self._desk.view(client).frame[0]
        client.scene.add_line_segments(
            TRAIL, np.stack(list(pairwise(shown))), COLOUR, thickness=max(1.0, width), thickness_units="screen"
        )
