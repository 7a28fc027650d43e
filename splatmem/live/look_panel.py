"""The panel for looking about: how the view is shown, how it moves, and whether the scene grows by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import viser

from splatmem.geometry.poses import rigid_inverse
from splatmem.geometry.rotations import rotations_to_quats
from splatmem.live.desk import Desk, Guest
from splatmem.live.framing import FOV_RANGE, View, fov_y_of_canvas
from splatmem.live.splat_stream import SplatStream

SPLATS, FILM = "Splats, at once", "As the film will be"
HEAD, AROUND = "my head", "around what I look at"
HEAD_DISTANCE = 0.06  # of the memory's scale: about a point this near, turning around it is turning one's head
LEVEL = 0.01  # cosine of the angle between the vertical and the side of a picture that counts as level
HELP = (
    "**W A S D Q E** walk, **arrows** or dragging turn. **G** makes what is missing here, **F** shows the film's view, "
    "**K** sets a keyframe, **P** plays, **Z** undoes, **Y** redoes."
)


class LookPanel:
    """What is shared by all browsers, and what each has for itself."""

    def __init__(self, desk: Desk, stream: SplatStream) -> None:
        self._desk, self._stream = desk, stream
        gui = desk.server.gui
        gui.add_markdown(HELP)
        self._own = gui.add_folder("This window")
        with gui.add_folder("Growing"):
            desk.button("Make what is missing here", self._grow, icon=viser.Icon.SPARKLES, hint="Key: G")
            grows = gui.add_checkbox("By itself", desk.growing.on, hint="Whenever the view rests and much of it is unknown")
            share = gui.add_slider("From (%)", 1, 50, 1, round(100 * desk.growing.min_unknown))
            words = gui.add_text("Words", desk.growing.prompt, hint="What is to be seen there; read by large models alone")
        grows.on_update(lambda event: setattr(desk.growing, "on", grows.value))
        share.on_update(lambda event: setattr(desk.growing, "min_unknown", share.value / 100))
        words.on_update(lambda event: setattr(desk.growing, "prompt", words.value))
        self._marked = gui.add_checkbox("Mark what is unknown", True, hint="Blue stripes in the film's view")
        self._marked.on_update(desk.answered(lambda event: self._redraw()))
        desk.server.gui.add_command("Make what is missing here", hotkey="G").on_trigger(desk.answered(self._grow))
        desk.server.gui.add_command("Film's view or splats", hotkey="F").on_trigger(desk.answered(self._toggle))
        self._modes: dict[int, viser.GuiDropdownHandle[Any]] = {}

    def is_marked(self) -> bool:
        """Whether what is unknown is to be marked."""
        return self._marked.value

    def _redraw(self) -> None:
        for guest in list(self._desk.guests.values()):
            guest.film.redraw()

    def welcome(self, guest: Guest, as_film: bool) -> None:
        """Builds what a browser has for itself, and shows it the scene, as the film will be or as splats."""
        client = guest.client
        with self._own:
            mode = client.gui.add_dropdown("View", (SPLATS, FILM), initial_value=FILM if as_film else SPLATS)
            turns = client.gui.add_dropdown("Dragging turns", (HEAD, AROUND), initial_value=HEAD)
            fov = client.gui.add_slider("Field of view", 15, 110, 1, round(guest.fov_x_degrees))
            roll = client.gui.add_slider("Roll", -45, 45, 1, 0)
            home = client.gui.add_button("Back to the beginning", icon=viser.Icon.HOME, color="gray")
        self._modes[client.client_id] = mode
        mode.on_update(self._desk.answered(lambda event: self._show_as(guest, mode.value == FILM)))
        turns.on_update(self._desk.answered(lambda event: self._turn(client, turns.value)))
        fov.on_update(self._desk.answered(lambda event: self._zoom(guest, fov.value)))
        roll.on_update(self._desk.answered(lambda event: self._roll(client, roll.value)))
        home.on_click(self._desk.answered(lambda event: self.go_home(client)))
        if as_film:
            self._show_as(guest, True)

    def farewell(self, guest: Guest) -> None:
        self._modes.pop(guest.client.client_id, None)
        self._stream.forget(guest.client)

    def _show_as(self, guest: Guest, film: bool) -> None:
        self._stream.hide_from(guest.client, film)
        guest.film.switch(film)
        if film:
            guest.film.want(self._desk.session.snapshot, self._desk.view(guest.client))

    def _toggle(self, event: Any) -> None:
        mode = self._modes[event.client.client_id]
        mode.value = SPLATS if mode.value == FILM else FILM

    def _grow(self, event: Any) -> None:
        self._desk.growing.grow(self._desk.view(event.client))

    def _turn(self, client: viser.ClientHandle, what: str) -> None:
        view = self._desk.view(client)
        distance = HEAD_DISTANCE * self._desk.scale if what == HEAD else distance_ahead(self._desk, view)
        client.camera.look_at = self._desk.to_browser(view.cam_to_world[:3, 3] + distance * view.cam_to_world[:3, 2])

    def _zoom(self, guest: Guest, degrees: float) -> None:
        client, guest.led = guest.client, True
        client.camera.fov = fov_y_of_canvas(self._desk.view(client).canvas, self._desk.aspect, degrees)

    def _roll(self, client: viser.ClientHandle, degrees: float) -> None:
        view = self._desk.view(client)
        forward = view.cam_to_world[:3, 2].numpy()
        up = -down_of(self._desk).double().numpy()
        right = np.cross(forward, up)
        if np.linalg.norm(right) < 1e-3:
            return
        right /= np.linalg.norm(right)
        upright = np.cross(right, forward)
        angle = np.deg2rad(degrees)
        client.camera.up_direction = np.cos(angle) * upright + np.sin(angle) * right

    def go_home(self, client: viser.ClientHandle) -> None:
        """Takes a browser to the first picture's camera."""
        first = self._desk.session.snapshot.memory.views[0].camera
        pose = rigid_inverse(first.world_to_cam[0].double())
        go_to(self._desk, client, pose, first.fov_x_degrees, HEAD_DISTANCE * self._desk.scale)


def down_of(desk: Desk) -> torch.Tensor:
    """Direction of gravity."""
    down = desk.session.snapshot.memory.down
    return torch.tensor([0.0, 1.0, 0.0]) if down is None else down


def distance_ahead(desk: Desk, view: View) -> float:
    """Distance of what stands in the middle of a view; the memory's scale where nothing does."""
    camera = view.film_camera(64, max(1, round(64 / view.aspect)))
    with torch.no_grad():
        depth = desk.session.snapshot.memory.read(camera).depth[0]
    height, width = depth.shape
    middle = depth[height // 3 : 2 * height // 3 + 1, width // 3 : 2 * width // 3 + 1]
    middle = middle[torch.isfinite(middle) & (middle > 0)]
    return float(middle.median()) if len(middle) else desk.scale


def go_to(
    desk: Desk, client: viser.ClientHandle, cam_to_world: torch.Tensor, fov_x_degrees: float, distance: float | None = None
) -> None:
    """Takes a browser to a place, direction and field of view of the film's frame.

    Args:
        distance: of the point around which it turns from there; as it was if None.
    """
    pose = cam_to_world.double()
    fov_x_degrees = min(max(fov_x_degrees, FOV_RANGE[0]), FOV_RANGE[1])
    camera = client.camera
    if distance is None:
        distance = float(np.linalg.norm(desk.from_browser(camera.look_at) - desk.from_browser(camera.position)))
    with client.atomic():
        camera.position = desk.to_browser(pose[:3, 3])
        camera.look_at = desk.to_browser(pose[:3, 3] + max(distance, 1e-3 * desk.scale) * pose[:3, 2])
        camera.up_direction = _up(pose, -down_of(desk).double()).numpy()
        camera.fov = fov_y_of_canvas((camera.image_width, camera.image_height), desk.aspect, fov_x_degrees)
    client.flush()


def _up(pose: torch.Tensor, upright: torch.Tensor) -> torch.Tensor:
    """About which a browser turns: the vertical, unless the pose is rolled."""
    level = abs(float(pose[:3, 0] @ upright)) < LEVEL and float(-pose[:3, 1] @ upright) > LEVEL
    return upright if level else -pose[:3, 1]


def quaternion(cam_to_world: torch.Tensor) -> np.ndarray:
    """The rotation of a pose as wxyz."""
    return rotations_to_quats(cam_to_world[None, :3, :3].double())[0].numpy()
