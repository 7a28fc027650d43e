"""The panel for changing the scene: selecting a part of it, and what is done with that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import viser

from splatmem.edit.selection import Box, Region, Sphere, Stroke, Thing
from splatmem.geometry.cameras import Cameras
from splatmem.live.desk import Desk
from splatmem.live.framing import BROWSER_SCALE
from splatmem.live.look_panel import distance_ahead
from splatmem.live.picking import Combine, Exactly, Picking
from splatmem.live.pointer import Drags, Pixels, Pointer
from splatmem.live.splat_stream import SplatStream
from splatmem.scene import Announce, Scene

NO_TOOL, THING, BRUSH, RECTANGLE, BOX, SPHERE = (
    "none: I look around", "this thing (click)", "brush (paint)", "rectangle (drag)", "box (place it)", "ball (place it)",
)  # fmt: skip
TOOLS = (NO_TOOL, THING, BRUSH, RECTANGLE, BOX, SPHERE)
DRAGS: dict[str, Drags] = {THING: "none", BRUSH: "stroke", RECTANGLE: "rectangle"}
COLOUR = (255, 120, 40)
GIZMO, SHAPE = "/gizmo", "/shape"
COMBINATIONS: dict[str, Combine] = {
    "is the selection": "new",
    "is added to it": "add",
    "is taken off it": "take off",
}
HINTS = {
    NO_TOOL: "Choose a tool, then click or drag in the picture.",
    THING: "Click a thing. If it stops too early, grow it or add clicks; if it goes too far, take clicks or strokes off.",
    BRUSH: "Drag over what you mean: what shows under the brush is selected. The keys still turn and walk.",
    RECTANGLE: "Drag a rectangle: what shows in it is selected.",
    BOX: "Drag the box by its arrows, set its size, then take it.",
    SPHERE: "Drag the ball by its arrows, set its size, then take it.",
}


class ChangePanel:
    """Tools, the selection, and changes."""

    def __init__(self, desk: Desk, stream: SplatStream, in_hand: Callable[[bool], None]) -> None:
        """Args:
        in_hand: called when a tool is taken up or laid down: what else could be clicked gives way.
        """
        self._in_hand = in_hand
        self._desk, self._stream, self._server = desk, stream, desk.server
        self._marks: viser.GaussianSplatHandle | None = None
        self._pale_marks: viser.GaussianSplatHandle | None = None
        self._gizmo: viser.TransformControlsHandle | None = None
        self._shape: viser.TransformControlsHandle | None = None
        self._outline: Any = None
        self._moved_from = np.zeros(3)
        self.picking = Picking(desk.session, self._picked, lambda: self._with_rim.value)
        self._pointer = Pointer(desk, lambda: self._width.value / 200, self._pointed)
        self._build()

    # ------------------------------------------------------------------------------------------------ the interface

    def _build(self) -> None:
        gui, desk = self._server.gui, self._desk
        self._tool = gui.add_dropdown("Tool", TOOLS, initial_value=NO_TOOL)
        self._how = gui.add_dropdown("What I choose", tuple(COMBINATIONS))
        self._hint = gui.add_markdown(HINTS[NO_TOOL])
        self._size = gui.add_slider("Size", 0.01, 1.0, 0.01, 0.1, visible=False, hint="In the scene's unit of length")
        self._width = gui.add_slider("Width of it", 1, 40, 1, 8, visible=False, hint="In percent of the picture's width")
        self._sides = gui.add_vector3("Sides", (0.5, 0.5, 0.5), min=(0.001, 0.001, 0.001), step=0.01, visible=False)
        self._take = desk.button("Take what is in it", self._take_shape, visible=False)
        self._grow = gui.add_slider("Grow or shrink", -0.1, 0.2, 0.005, 0.0)
        self._count = gui.add_markdown("*Nothing is selected.*")
        self._act = gui.add_button_group("", ("invert", "show alone", "clear"))
        self._tool.on_update(desk.answered(self._tool_chosen))
        self._size.on_update(desk.answered(lambda event: self._draw_shape()))
        self._sides.on_update(desk.answered(lambda event: self._draw_shape()))
        self._act.on_click(desk.answered(self._edit_selection))
        self._grow.on_update(desk.answered(lambda event: self.picking.grow(self._grow.value * desk.scale)))
        with gui.add_folder("Take away"):
            desk.button("Remove, and go on behind it", lambda e: self._remove(True), icon=viser.Icon.ERASER, color="red")
            desk.button("Remove, leave a hole", lambda e: self._remove(False), color="gray", hint="Exactly what glows")
            desk.button("Keep this alone", lambda e: self._crop(), color="gray")
            self._with_rim = gui.add_checkbox("With its rim", True, hint="Its outline, slivers and shadow go along: pale")
        with gui.add_folder("Move or copy", expand_by_default=False):
            self._moves = gui.add_checkbox("Arrows to drag it by", False)
            self._turn = gui.add_slider("Turn", -180, 180, 1, 0)
            self._scale = gui.add_slider("Size of it", 0.2, 3.0, 0.05, 1.0)
            desk.button("Move it there", lambda e: self._transform(False))
            desk.button("Put a copy there", lambda e: self._transform(True), color="gray")
        with gui.add_folder("Colour", expand_by_default=False):
            self._exposure = gui.add_slider("Exposure", -3.0, 3.0, 0.1, 0.0, hint="In stops")
            self._saturation = gui.add_slider("Saturation", 0.0, 2.0, 0.05, 1.0)
            self._tint = gui.add_rgb("Tint", (255, 255, 255))
            desk.button("Colour it", lambda e: self._recolour())
        self._with_rim.on_update(desk.answered(lambda event: self.picking.find_along()))
        self._moves.on_update(desk.answered(lambda event: self._show_gizmo()))

    def _tool_chosen(self, event: Any) -> None:
        tool = self._tool.value
        self._size.visible = tool == SPHERE
        self._width.visible = tool == BRUSH
        self._sides.visible = tool == BOX
        self._take.visible = tool in (BOX, SPHERE)
        if tool in DRAGS:
            self._pointer.take_up(tool != RECTANGLE, DRAGS[tool])
        else:
            self._pointer.lay_down()
        self._place_shape(event.client if tool in (BOX, SPHERE) else None)
        self._in_hand(tool != NO_TOOL)
        self._hint.content = HINTS[tool]

    # ------------------------------------------------------------------------------------------------ selecting

    def _pointed(self, client: viser.ClientHandle, camera: Cameras, pixels: Pixels, drag: Drags) -> None:
        how = COMBINATIONS[self._how.value]
        if drag == "rectangle":
            (left, top), (right, bottom) = pixels[0], pixels[-1]
            corners = [[min(left, right), min(top, bottom)], [max(left, right), max(top, bottom)]]
            self.picking.pick(lambda memory: Region(camera, corners), how)
        elif self._tool.value == THING:
            self.picking.pick(lambda memory: Thing(camera, pixels[0]), how)
        else:
            radius = 0.005 * self._width.value * self._desk.size[0]
            self.picking.pick(lambda memory: Stroke(camera, pixels, radius), how)

    def _place_shape(self, client: viser.ClientHandle | None) -> None:
        """Puts the box or ball where a browser looks; None takes it away."""
        for handle in (self._outline, self._shape):
            if handle is not None:
                handle.remove()
        self._outline = self._shape = None
        if client is None:
            return
        view = self._desk.view(client)
        middle = view.cam_to_world[:3, 3] + distance_ahead(self._desk, view) * view.cam_to_world[:3, 2]
        self._shape = self._server.scene.add_transform_controls(
            SHAPE, 0.25 * BROWSER_SCALE, disable_rotations=True, depth_test=False, position=self._desk.to_browser(middle)
        )
        self._draw_shape()

    def _draw_shape(self) -> None:
        if self._shape is None:
            return
        if self._outline is not None:
            self._outline.remove()
        scene = self._server.scene
        if self._tool.value == BOX:
            sides = BROWSER_SCALE * np.asarray(self._sides.value)
            self._outline = scene.add_box(f"{SHAPE}/outline", COLOUR, sides, wireframe=True)
        else:
            self._outline = scene.add_icosphere(f"{SHAPE}/outline", BROWSER_SCALE * self._size.value, COLOUR, wireframe=True)

    def _take_shape(self, event: Any) -> None:
        if self._shape is None:
            raise ValueError("there is no box or ball: choose the tool again")
        middle, unit = self._desk.from_browser(self._shape.position), self._desk.scale
        if self._tool.value == BOX:
            half = 0.5 * unit * np.asarray(self._sides.value)
            shape = Box((middle - half).tolist(), (middle + half).tolist())
        else:
            shape = Sphere(middle.tolist(), unit * self._size.value)
        self.picking.pick(lambda memory: shape, COMBINATIONS[self._how.value])

    def _edit_selection(self, event: Any) -> None:
        asked = event.target.value
        if asked == "clear":
            self.picking.clear()
        elif asked == "invert":
            self.picking.invert()
        elif self._stream.is_alone:
            self._stream.show_alone(None)
        else:
            self._stream.show_alone(self.picking.require().mask(self._desk.session.snapshot.memory))

    def _picked(self) -> None:
        """Another part is selected: it is marked."""
        points, picked, along = self.picking.points, self.picking.picked, self.picking.along
        for marks in (self._marks, self._pale_marks):
            if marks is not None:
                marks.remove()
        self._marks = self._pale_marks = None
        if picked is None:
            self._stream.show_alone(None)
            self._count.content = "*Nothing is selected.*"
            self._moves.value = False
        else:
            more = "" if along is None else f" {int(along.sum()):,} more, pale, go along if it is taken away."
            self._count.content = f"**{len(points):,} splats are selected.**{more}"
            self._marks = self._stream.mark(picked.mask(self._desk.session.snapshot.memory))
            if along is not None:
                self._pale_marks = self._stream.mark(along, pale=True)
        self._show_gizmo()

    def _show_gizmo(self) -> None:
        """Arrows at the middle of the selection; what marks it follows them."""
        if self._gizmo is not None:
            self._gizmo.remove()
            self._gizmo = None
        if self._marks is not None:
            self._marks.position = (0.0, 0.0, 0.0)
        if not self._moves.value or self.picking.picked is None:
            return
        middle = self._moved_from = self._desk.to_browser(self.picking.points.median(dim=0).values)
        gizmo = self._server.scene.add_transform_controls(
            GIZMO, 0.25 * BROWSER_SCALE, disable_rotations=True, depth_test=False, position=middle
        )
        self._gizmo = gizmo

        @gizmo.on_update
        def _(event: Any) -> None:
            if self._marks is not None:
                self._marks.position = np.asarray(gizmo.position) - middle

    # ------------------------------------------------------------------------------------------------ changes

    def _change(self, label: str, change: Callable[[Scene, Exactly], str]) -> None:
        """Has the session change what is selected, which then is selected no more."""
        picked = self.picking.require()

        def work(scene: Scene, announce: Announce) -> str:
            said = change(scene, picked)
            self._desk.growing.forget()
            return said

        self._desk.session.submit(label, work)

    def _remove(self, fill: bool) -> None:
        exactly = not (fill and self._with_rim.value)
        self._change("taking it away", lambda scene, part: f"{scene.remove(part, fill, exactly=exactly):,} splats taken away")

    def _crop(self) -> None:
        self._change("taking all else away", lambda scene, part: f"{scene.crop(part):,} splats taken away")

    def _transform(self, copy: bool) -> None:
        by = np.zeros(3) if self._gizmo is None else self._desk.from_browser(self._gizmo.position - self._moved_from)
        turn, scale = float(self._turn.value), float(self._scale.value)
        if not copy and not by.any() and turn == 0 and scale == 1:
            raise ValueError("nothing would change: drag the arrows, or set a turn or a size")

        def change(scene: Scene, part: Exactly) -> str:
            scene.transform(part, by.tolist(), turn, scale, copy=copy)
            return "a copy was put there" if copy else "moved"

        self._change("copying it" if copy else "moving it", change)

    def _recolour(self) -> None:
        exposure, saturation = float(self._exposure.value), float(self._saturation.value)
        tint = cast(tuple[float, float, float], tuple(channel / 255 for channel in self._tint.value))
        if exposure == 0 and saturation == 1 and tint == (1, 1, 1):
            raise ValueError("nothing would change: set an exposure, a saturation or a tint")

        def change(scene: Scene, part: Exactly) -> str:
            scene.recolour(part, exposure, saturation, tint)
            return "coloured"

        self._change("colouring it", change)

    def follow(self) -> None:
        """Brings the panel up to date after the scene has changed."""
        self.picking.follow(self._desk.session.snapshot)
