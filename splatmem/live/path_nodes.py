"""A shot as it stands in the scene: a frustum for each keyframe, which is dragged, the curve through them, and arrows that turn
one and drag it into the depth."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import torch
import viser

from splatmem.geometry.rotations import quats_to_rotations
from splatmem.live.desk import Desk
from splatmem.live.framing import BROWSER_SCALE
from splatmem.live.look_panel import quaternion
from splatmem.live.storyboard import Key, Shot

PATH = "/path"
MOST_FRUSTA = 40
COLOUR, CHOSEN_COLOUR = (80, 170, 255), (255, 170, 40)
CURVE_POINTS = 200
SIZES = (0.015, 0.06)  # of the frusta, in the memory's scale


class PathNodes:
    """Shows one shot, in all browsers."""

    def __init__(self, desk: Desk, choose: Callable[[int], None], dragged: Callable[[int, Key], None]) -> None:
        """Args:
        choose: called with the place of a keyframe that was clicked.
        dragged: called with a place and its keyframe when it was dragged.
        """
        self._desk, self._choose, self._dragged = desk, choose, dragged
        self._nodes: list[Any] = []
        self._gizmo: viser.TransformControlsHandle | None = None

    def show(self, shot: Shot | None, chosen: int | None, arrows: bool) -> None:
        """Shows a shot, or none, with one of its keyframes marked, and arrows to drag that one by."""
        with self._desk.server.atomic():
            for node in self._nodes:
                node.remove()
            self._nodes = []
            if shot is None:
                return
            step = max(1, -(-len(shot.keys) // MOST_FRUSTA))
            size = self._size(shot)
            for place in range(0, len(shot.keys), step):
                self._nodes.append(self._frustum(shot.keys[place], place, place == chosen, size))
            if len(shot.keys) > 1:
                self._nodes.append(self._curve(shot))
            if arrows and chosen is not None and chosen < len(shot.keys):
                self._nodes.append(self._arrows(shot.keys[chosen], chosen))

    def _size(self, shot: Shot) -> float:
        """Of the frusta, in the memory's scale: those of keyframes that stand close together are smaller, so that they do not
        hide the picture and each other."""
        places = np.stack([key.cam_to_world[:3, 3].numpy() for key in shot.keys]) if shot.keys else np.zeros((0, 3))
        apart = np.linalg.norm(np.diff(places, axis=0), axis=1) / self._desk.scale
        apart = apart[apart > 0]  # a turn's stand in one place
        return float(np.clip(np.median(apart), *SIZES)) if len(apart) else SIZES[1]

    def _frustum(self, key: Key, place: int, is_chosen: bool, size: float) -> viser.CameraFrustumHandle:
        aspect = self._desk.aspect
        fov_y = 2 * np.arctan(np.tan(np.deg2rad(0.5 * key.fov)) / aspect)
        pose = key.cam_to_world
        frustum = self._desk.server.scene.add_camera_frustum(
            f"{PATH}/key_{place}", float(fov_y), aspect, scale=size * BROWSER_SCALE,
            thickness=2.0, thickness_units="screen", color=CHOSEN_COLOUR if is_chosen else COLOUR,
            wxyz=quaternion(pose), position=self._desk.to_browser(pose[:3, 3]),
        )  # fmt: skip
        frustum.on_click(lambda event: self._choose(place))
        frustum.on_drag("left")(self._drag(frustum, key, place))
        return frustum

    def _drag(self, frustum: viser.CameraFrustumHandle, key: Key, place: int) -> Callable[[Any], Coroutine[Any, Any, None]]:
        """What a frustum does while it is dragged: it stays under the pointer, as far from the camera as it is."""
        begun = np.array(frustum.position, np.float64)
        grabbed = np.zeros(3)

        async def dragged(event: Any) -> None:
            """Asynchronous, since viser runs other callbacks in any order."""
            nonlocal grabbed
            if event.phase == "start":
                grabbed = np.asarray(event.start_position, np.float64)
            position = begun + np.asarray(event.end_position) - grabbed
            if event.phase != "end":
                frustum.position = position
                return
            moved = key.cam_to_world.clone()
            moved[:3, 3] = torch.from_numpy(self._desk.from_browser(position))
            self._desk.answered(lambda _: self._dragged(place, Key.of(moved, key.fov, key.seconds)))(event)

        return dragged

    def _curve(self, shot: Shot) -> viser.LineSegmentsHandle:
        moments = np.linspace(0, shot.seconds, CURVE_POINTS)
        points = self._desk.to_browser(shot.positions(moments.tolist()))
        segments = np.stack([points[:-1], points[1:]], axis=1).astype(np.float32)
        return self._desk.server.scene.add_line_segments(
            f"{PATH}/curve", segments, COLOUR, thickness=2.0, thickness_units="screen"
        )

    def _arrows(self, key: Key, place: int) -> viser.TransformControlsHandle:
        pose = key.cam_to_world
        gizmo = self._desk.server.scene.add_transform_controls(
            f"{PATH}/arrows",
            0.12 * BROWSER_SCALE,
            depth_test=False,
            wxyz=quaternion(pose),
            position=self._desk.to_browser(pose[:3, 3]),
        )

        @gizmo.on_drag_end
        def _(event: Any) -> None:
            moved = torch.eye(4, dtype=torch.float64)
            moved[:3, :3] = quats_to_rotations(torch.tensor(np.asarray(gizmo.wxyz))[None])[0]
            moved[:3, 3] = torch.from_numpy(self._desk.from_browser(gizmo.position))
            self._dragged(place, Key.of(moved, key.fov, key.seconds))

        return gizmo
