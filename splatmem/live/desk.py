"""What the panels share: the server, the session, the browsers that are there, and how errors are answered."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import viser
from torch import Tensor

from splatmem.geometry.cameras import Cameras
from splatmem.jobs.errors import explained
from splatmem.live.film_view import FilmView
from splatmem.live.framing import BROWSER_SCALE, View
from splatmem.live.growing import Growing
from splatmem.live.session import Session

NOTICE_SECONDS = 8.0
SAME_PLACE, SAME_DEGREES = 1e-4, 0.02  # a camera that moves less, in shares of the memory's scale, does not move
LONGEST_STEP, LARGEST_TURN = 0.25, 30.0  # a camera that moves more at once is not led by somebody, but put there


@dataclass
class Guest:
    """One browser.

    Attributes:
        client: viser's handle.
        film: draws the view as the film will be.
        fov_x_degrees: of the film's frame.
        canvas: width and height of its picture, in its pixels.
        backdrop: the picture that lies behind its splats, or None.
        moved: when its camera moved last, by ``time.monotonic``.
        led: whether somebody has led it about: a browser that is only opened changes nothing in the scene.
        rested: whether its rest has been dealt with.
        playing: set while a shot is played there; cleared to stop it.
    """

    client: viser.ClientHandle
    film: FilmView
    fov_x_degrees: float
    canvas: tuple[int, int] = (0, 0)
    backdrop: bytes | None = None
    moved: float = field(default_factory=time.monotonic)
    led: bool = False
    rested: bool = False
    playing: threading.Event = field(default_factory=threading.Event)
    _view: View | None = None

    def moves(self, view: View, scale: float) -> None:
        """Its camera is another.

        Somebody who turns or walks does so in small steps. A browser that is opened, or finds its server again, jumps: to a
        place of its own, and to the scene's beginning bit by bit; on a busy machine it rests in between.

        Args:
            view: what it shows now.
            scale: the memory's unit of length.
        """
        before, self._view = self._view, view
        if before is not None and not view.same_pose(before, SAME_PLACE * scale, SAME_DEGREES):
            self.led = self.led or view.same_pose(before, LONGEST_STEP * scale, LARGEST_TURN)


@dataclass
class Desk:
    """Attributes:
    server: with the interface that all browsers share.
    session: owns the scene.
    growing: has it grow where one looks.
    size: width and height of the scene's pictures.
    guests: the browsers by their numbers.
    """

    server: viser.ViserServer
    session: Session
    growing: Growing
    size: tuple[int, int]
    guests: dict[int, Guest] = field(default_factory=dict)

    @property
    def aspect(self) -> float:
        """Width over height of the film's frame."""
        return self.size[0] / self.size[1]

    @property
    def scale(self) -> float:
        """The memory's unit of length."""
        return self.session.snapshot.memory.scale

    @property
    def browser_unit(self) -> float:
        """A browser's unit of length in the world's."""
        return self.scale / BROWSER_SCALE

    def to_browser(self, places: Tensor | np.ndarray) -> np.ndarray:
        """Places of the world, ``[..., 3]``, as a browser is told them."""
        return np.asarray(places, np.float64) / self.browser_unit

    def from_browser(self, place: Any) -> np.ndarray:
        """A place in the world that a browser tells."""
        return np.asarray(place, np.float64) * self.browser_unit

    def view(self, client: viser.ClientHandle) -> View:
        """What a browser shows."""
        return View.of_browser(client.camera, self.aspect, self.browser_unit)

    def canvas_camera(self, client: viser.ClientHandle) -> Cameras:
        """The camera of a browser's whole canvas, as fine as the scene's pictures."""
        return self.view(client).canvas_camera(self.size[0])

    def refuse(self, client: viser.ClientHandle | None, sentence: str) -> None:
        """Says in a browser, or in all, why something was not done."""
        self._notice(client, "That did not work", sentence, "red")

    def say(self, client: viser.ClientHandle | None, sentence: str) -> None:
        self._notice(client, "Done", sentence, "teal")

    def _notice(self, client: viser.ClientHandle | None, title: str, sentence: str, colour: Any) -> None:
        for one in [client] if client is not None else [guest.client for guest in list(self.guests.values())]:
            one.add_notification(title, sentence, auto_close_seconds=NOTICE_SECONDS, color=colour)

    def answered(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        """A callback whose errors are shown in the browser that caused them."""

        def callback(event: Any) -> None:
            try:
                act(event)
            except Exception as error:
                sentence = explained(error)
                if sentence is None:
                    traceback.print_exc()
                    sentence = f"{type(error).__name__}: {error}"
                self.refuse(getattr(event, "client", None), sentence)

        return callback

    def button(self, label: str, act: Callable[[Any], None], **options: Any) -> viser.GuiButtonHandle:
        """A button of the shared interface."""
        handle = self.server.gui.add_button(label, **options)
        handle.on_click(self.answered(act))
        return handle
