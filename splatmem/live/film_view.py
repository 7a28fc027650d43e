"""The view as the film will be: frames that our rasterizer draws, coarse while the camera moves and fine at rest."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import viser
from jaxtyping import Bool, UInt8
from viser import _messages

from splatmem.live.framing import View
from splatmem.live.session import Snapshot
from splatmem.threads import use_all_threads

COARSE = (1.0, 0.75, 0.5, 0.375)  # of the scene's own width, while the camera moves
FRAME_SECONDS = 1 / 32  # that a coarse frame may take
REST_SECONDS = 0.15  # without a new camera: time for a fine frame
MOST_FINE = 1920  # pixels, width of a fine frame
BARS = 18  # grey around the film's frame
QUALITY = (80, 92)  # of JPEG, coarse and fine
TINT = np.array([70, 110, 255], np.float32)  # of what is unknown


@dataclass(frozen=True)
class Picture:
    """A frame as it is sent.

    Attributes:
        jpeg: its bytes.
        unknown: share of the film's frame that is unknown.
    """

    jpeg: bytes
    unknown: float


def draw(snapshot: Snapshot, view: View, width: int, quality: int, tinted: bool) -> Picture:
    """What the canvas shows: the film's frame, ``width`` pixels wide, and bars around it."""
    camera = view.film_camera(width, max(1, round(width / view.aspect)))
    frames, known = snapshot.memory.film_bytes(camera)
    picture = np.ascontiguousarray(frames[0])
    unknown = ~known[0].numpy()
    if tinted and unknown.any():
        picture = _tinted(picture, unknown)
    columns, rows = view.canvas_size(width)
    left, top = max(0, (columns - camera.width) // 2), max(0, (rows - camera.height) // 2)
    right, bottom = max(0, columns - camera.width - left), max(0, rows - camera.height - top)
    if left or top or right or bottom:
        picture = cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(BARS,) * 3)
    _, jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return Picture(jpeg.tobytes(), float(unknown.mean()))


def _tinted(picture: UInt8[np.ndarray, "h w 3"], unknown: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Stripes over what is unknown."""
    height, width = unknown.shape
    period = max(6, width // 48)
    stripes = (np.arange(height)[:, None] + np.arange(width)[None]) % (2 * period) < period
    weight = (unknown * np.where(stripes, 0.55, 0.35))[..., None].astype(np.float32)
    return (picture * (1 - weight) + TINT * weight).astype(np.uint8)


class FilmView:
    """Draws for one browser, in a thread of its own, whenever its camera or the scene is another."""

    def __init__(self, client: viser.ClientHandle, width: int, tinted: Callable[[], bool]) -> None:
        """Args:
        width: of the scene's own pictures.
        tinted: whether what is unknown is to be marked.
        """
        self._client, self._width, self._tinted = client, width, tinted
        self._wanted: tuple[Snapshot, View] | None = None
        self._drawn: tuple[Snapshot, View] | None = None
        self._changed = threading.Condition()
        self._on = self._ended = False
        self._step = 0
        self.frames = 0  # that were sent
        self._thread = threading.Thread(target=self._run, name="film view", daemon=True)
        self._thread.start()

    @property
    def on(self) -> bool:
        return self._on

    @property
    def coarse_width(self) -> int:
        """Width in pixels of the frames while the camera moves."""
        return max(16, round(COARSE[self._step] * self._width))

    def switch(self, on: bool) -> None:
        with self._changed:
            self._on, self._drawn = on, None
            self._changed.notify()

    def want(self, snapshot: Snapshot, view: View) -> None:
        """The scene and the camera to be drawn."""
        with self._changed:
            self._wanted = (snapshot, view)
            self._changed.notify()

    def redraw(self) -> None:
        """Draws again what is drawn, since something about how is another."""
        with self._changed:
            self._drawn = None
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        use_all_threads()
        is_fine = True
        while True:
            with self._changed:
                waiting = not self._on or self._wanted is None or self._wanted is self._drawn
                if waiting and not self._ended:
                    rest = None if is_fine or not self._on else REST_SECONDS
                    self._changed.wait(rest)
                if self._ended:
                    return
                if not self._on or self._wanted is None:
                    is_fine = True
                    continue
                wanted, fine = self._wanted, self._wanted is self._drawn
                if fine and is_fine:
                    continue
            try:
                self._draw(wanted, fine)
            except Exception:  # a view that cannot be drawn is none that ends the others
                traceback.print_exc()
            self._drawn, is_fine = wanted, fine

    def _draw(self, wanted: tuple[Snapshot, View], fine: bool) -> None:
        snapshot, view = wanted
        started = time.perf_counter()
        width = int(min(max(self._width, view.frame[0]), MOST_FINE)) if fine else self.coarse_width
        with torch.no_grad():
            picture = draw(snapshot, view, width, QUALITY[fine], self._tinted())
        if not self._on:
            return
        send_picture(self._client, picture.jpeg)
        self.frames += 1
        if not fine:
            taken = time.perf_counter() - started
            if taken > 1.15 * FRAME_SECONDS and self._step < len(COARSE) - 1:
                self._step += 1
            elif taken < 0.5 * FRAME_SECONDS and self._step > 0:
                self._step -= 1


def send_picture(client: viser.ClientHandle, jpeg: bytes | None) -> None:
    """Puts a picture behind all that one browser shows, or none."""
    message = _messages.BackgroundImageMessage(format="jpeg", rgb_data=jpeg, depth_data=None)
    client._websock_connection.queue_message(message)
    client.flush()
