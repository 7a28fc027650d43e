"""Keeps the splats that browsers show up with the memory: pieces are added and removed as it changes."""

from __future__ import annotations

import threading

import numpy as np
import torch
import viser
from viser import _messages
from viser._scene_handles import GaussianSplatHandle

from splatmem.gaussians import Gaussians
from splatmem.live.framing import BROWSER_SCALE
from splatmem.live.packing import ROW, packed
from splatmem.live.pieces import Rows, cut
from splatmem.live.session import Snapshot
from splatmem.memory import SpatialMemory

SPLATS = "/splats"
ALONE = "/alone"
CHOSEN, ALONG = "/chosen", "/along"
GLOW, PALE_GLOW = (255, 120, 40), (255, 225, 130)
GLOW_OPACITY = (28, 120)  # of 255, of a mark: many lie over each other, and the thing shows through them; few must be seen too
FEW_GLOWING = 1500  # splats: of fewer each mark is more opaque
GLOW_SIZE = 1.25
MOST_GLOWING, MOST_PALE = 14_000, 6_000  # splats: a browser without a graphics card draws more in seconds, not in moments
UNIT_SHARE = 0.01  # of the memory's scale: places and sizes are told in this unit


class SplatStream:
    """The scene as viser's splats, in pieces under ``/splats``; in all browsers."""

    def __init__(self, server: viser.ViserServer, memory: SpatialMemory) -> None:
        self._server = server
        self._unit = UNIT_SHARE * memory.scale
        self._parent = server.scene.add_frame(SPLATS, show_axes=False)
        self._handles: dict[str, GaussianSplatHandle] = {}
        self._rows: Rows = np.zeros((0, ROW), np.uint32)
        self._shown: Gaussians | None = None
        self._pieces: dict[str, Rows] = {}
        self._alone: GaussianSplatHandle | None = None
        self._hidden: dict[int, list[viser.FrameHandle]] = {}
        self._lock = threading.RLock()
        self.sent_bytes = 0  # of all pieces so far

    def show(self, snapshot: Snapshot) -> None:
        """Brings the browsers up with a snapshot."""
        memory = snapshot.memory
        with self._lock:
            if memory.gaussians is self._shown:
                return
            same = self._unchanged(memory.gaussians)
            self._rows = self._packed(memory.gaussians, same)
            self._shown = memory.gaussians
            self._pieces = pieces = cut(self._rows, [view.gaussians[1] for view in memory.views], self._pieces, same)
            # What is new comes first and what is gone goes last, so that nothing flickers.
            with self._server.atomic():
                for name in pieces.keys() - self._handles.keys():
                    self._handles[name] = self._add(f"{SPLATS}/{name}", pieces[name])
                    self.sent_bytes += pieces[name].nbytes
                    for client in self._clients_without():
                        self._hidden[client.client_id].append(_shadow(client, f"{SPLATS}/{name}"))
                for name in self._handles.keys() - pieces.keys():
                    self._handles.pop(name).remove()

    def _unchanged(self, gaussians: Gaussians) -> int:
        """How many Gaussians lead that were there before, and have not changed."""
        shown = self._shown
        same = 0 if shown is None else min(len(shown), len(gaussians))
        return same if shown is not None and _begins_alike(shown, gaussians, same) else 0

    def _packed(self, gaussians: Gaussians, same: int) -> Rows:
        """The rows of all Gaussians; those of the first are not made again."""
        return np.concatenate([self._rows[:same], packed(gaussians.select(slice(same, None)), self._unit)])

    def _add(self, name: str, rows: Rows) -> GaussianSplatHandle:
        """Adds rows as they are; viser's own ``add_gaussian_splats`` would pack them once more."""
        message = _messages.GaussianSplatsMessage(name, _messages.GaussianSplatsProps(rows, UNIT_SHARE * BROWSER_SCALE))
        return GaussianSplatHandle._make(self._server.scene, message, name, (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), visible=True)

    @property
    def is_alone(self) -> bool:
        """Whether a part is shown alone."""
        return self._alone is not None

    def mark(self, chosen: torch.Tensor, pale: bool = False) -> GaussianSplatHandle:
        """Puts a glow, or a pale one, over the chosen Gaussians, ``[n]`` of the snapshot shown last."""
        with self._lock:
            rows = self._rows[: len(chosen)][chosen.numpy()[: len(self._rows)]]
        return self._add(ALONG, glowing(rows, PALE_GLOW, MOST_PALE)) if pale else self._add(CHOSEN, glowing(rows))

    def show_alone(self, chosen: torch.Tensor | None) -> None:
        """Shows the chosen Gaussians, ``[n]`` of the snapshot shown last, and hides all others; None shows all again."""
        with self._lock:
            if self._alone is not None:
                self._alone.remove()
                self._alone = None
            if chosen is not None and len(chosen) == len(self._rows):
                self._alone = self._add(ALONE, self._rows[chosen.numpy()])
            self._parent.visible = self._alone is None

    def hide_from(self, client: viser.ClientHandle, hidden: bool) -> None:
        """Takes the splats out of one browser, which keeps what it was sent, or puts them back."""
        with self._lock:
            if hidden and client.client_id not in self._hidden:
                with client.atomic():
                    self._hidden[client.client_id] = [_shadow(client, f"{SPLATS}/{name}") for name in self._handles]
            elif not hidden:
                with client.atomic():
                    for shadow in self._hidden.pop(client.client_id, []):
                        shadow.remove()

    def forget(self, client: viser.ClientHandle) -> None:
        """Forgets a browser that has gone."""
        with self._lock:
            self._hidden.pop(client.client_id, None)

    def _clients_without(self) -> list[viser.ClientHandle]:
        return [client for number, client in self._server.get_clients().items() if number in self._hidden]


def glowing(rows: Rows, colour: tuple[int, int, int] = GLOW, most: int = MOST_GLOWING) -> Rows:
    """What marks splats: their glow. Of more than ``most`` every other, third, ... is taken, and is as much larger."""
    every = -(-len(rows) // most)
    marks = rows[:: max(1, every)].copy()
    larger = np.float32(GLOW_SIZE**2 * max(1, every))
    covariances = marks[:, 4:7].copy().view(np.float16).astype(np.float32) * larger
    marks[:, 4:7] = covariances.clip(-65504, 65504).astype(np.float16).view(np.uint32)
    opacity = int(np.clip(GLOW_OPACITY[0] * FEW_GLOWING / max(1, len(marks)), *GLOW_OPACITY))
    marks[:, 7:] = np.array((*colour, opacity), np.uint8).view(np.uint32)
    return marks


def _shadow(client: viser.ClientHandle, name: str) -> viser.FrameHandle:
    """In one browser, a node of the same name takes the place of the shared one, which is kept beneath it."""
    return client.scene.add_frame(name, show_axes=False)


def _begins_alike(one: Gaussians, other: Gaussians, count: int) -> bool:
    names = ("means", "quats", "log_scales", "opacity_logits", "sh")
    if one.sh.shape[1] != other.sh.shape[1]:
        return False
    return all(torch.equal(getattr(one, name)[:count], getattr(other, name)[:count]) for name in names)
