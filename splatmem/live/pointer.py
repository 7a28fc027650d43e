"""What one points at in the picture, with the mouse or a finger: a click, a stroke of a brush, a rectangle.

viser tells of clicks and rectangles anywhere by the mouse alone, but of clicks on things in the scene, and drags of them, by
fingers too. So an invisible sheet lies around the whole scene, and is what is clicked and dragged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
import viser

from splatmem.geometry.cameras import Cameras
from splatmem.live.desk import Desk
from splatmem.live.framing import BROWSER_SCALE

SHEET, TRAIL = "/pointer_sheet", "/pointer_trail"
SHEET_RADIUS = 200.0  # of the memory's scale: beyond the sky, and before the far plane of the browsers' cameras
TRAIL_DEPTH = 0.02  # of the memory's scale: so near that it lies over all else
COLOUR = (255, 120, 40)
MOST_PIXELS = 1000  # of a stroke
SIDE_WIDTH = 2.0  # of a rectangle, in pixels of the browser

Drags = Literal["none", "stroke", "rectangle"]
Pixels = list[tuple[float, float]]
Pointed = Callable[[viser.ClientHandle, Cameras, Pixels, Drags], None]


@dataclass
class _Stroke:
    """What a browser has painted so far.

    Attributes:
        camera: of its canvas when it began.
        pixels: x, y in that camera's picture.
    """

    camera: Cameras
    pixels: Pixels = field(default_factory=list)


class Pointer:
    """Takes clicks and drags from all browsers while it is taken up."""

    def __init__(self, desk: Desk, radius: Callable[[], float], pointed: Pointed) -> None:
        """Args:
        radius: of the brush, as a share of the width of the film's frame.
        pointed: called with the browser, the camera of its canvas, pixels x, y in the picture of that, and what they are:
            one that was clicked, those of a stroke, or two corners of a rectangle.
        """
        self._desk, self._radius, self._pointed = desk, radius, pointed
        self._sheet: viser.IcosphereHandle | None = None
        self._strokes: dict[int, _Stroke] = {}
        self._drags: Drags = "none"

    def take_up(self, clicks: bool, drags: Drags) -> None:
        """Args:
        clicks: whether clicks are taken.
        drags: what a drag is; where it is nothing, it turns the view.
        """
        self.lay_down()
        self._drags = drags
        self._sheet = self._desk.server.scene.add_icosphere(
            SHEET, SHEET_RADIUS * BROWSER_SCALE, COLOUR, subdivisions=2, opacity=0.0, side="double",
            cast_shadow=False, receive_shadow=False,
        )  # fmt: skip
        if clicks:
            self._sheet.on_click(self._desk.answered(self._clicked))
        if drags != "none":
            self._sheet.on_drag("left")(self._dragged)

    def lay_down(self) -> None:
        if self._sheet is not None:
            self._sheet.remove()
            self._sheet = None
            self._strokes.clear()

    def _clicked(self, event: Any) -> None:
        camera, (x, y) = self._desk.canvas_camera(event.client), event.screen_pos
        self._pointed(event.client, camera, [(x * camera.width, y * camera.height)], "none")

    async def _dragged(self, event: Any) -> None:
        """Asynchronous, since viser runs other callbacks in any order."""
        client, x, y = event.client, *event.end_screen_pos
        if event.phase == "start":
            self._strokes[client.client_id] = _Stroke(self._desk.canvas_camera(client))
            x, y = event.start_screen_pos
        stroke = self._strokes.get(client.client_id)
        if stroke is None:
            return
        if self._drags == "rectangle":
            del stroke.pixels[1:]
        if len(stroke.pixels) < MOST_PIXELS:
            stroke.pixels.append((x * stroke.camera.width, y * stroke.camera.height))
            self._show(client, stroke)
        if event.phase == "end":
            del self._strokes[client.client_id]
            client.scene.remove_by_name(TRAIL)
            self._pointed(client, stroke.camera, stroke.pixels, self._drags)

    def _show(self, client: viser.ClientHandle, stroke: _Stroke) -> None:
        """Draws the stroke over the picture, as wide as the brush is, or the rectangle's sides."""
        if len(stroke.pixels) < 2:
            return
        camera, depth = stroke.camera, TRAIL_DEPTH * self._desk.scale
        outline = stroke.pixels
        if self._drags == "rectangle":
            (left, top), (right, bottom) = outline
            outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        pixels = torch.tensor(outline)
        rays = torch.stack([*((pixels - camera.intrinsics[0, :2, 2]) / camera.focal[0]).unbind(1), torch.ones(len(pixels))], 1)
        points = depth * rays @ camera.cam_to_world[0, :3, :3].T + camera.centers[0]
        shown = self._desk.to_browser(points).astype(np.float32)
        width = 2 * self._radius() * self._desk.view(client).frame[0] if self._drags == "stroke" else SIDE_WIDTH
        client.scene.add_line_segments(
            TRAIL, np.stack(list(pairwise(shown))), COLOUR, thickness=max(1.0, width), thickness_units="screen"
        )
