"""The memory grows where one looks: when a view rests and much of it is unknown, it is made."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from splatmem.live.framing import View
from splatmem.live.session import Session, Snapshot
from splatmem.scene import Announce, Scene

LOOKED_AT_WIDTH = 128  # pixels of the pictures by which it is told how much is unknown
KIND = "window"
SAME_PLACE = 0.02  # of the memory's scale
SAME_DEGREES = 2.0


@dataclass
class Growing:
    """When the scene grows by itself.

    Attributes:
        on: whether it does.
        min_unknown: share of a view that must be unknown.
        prompt: what is to be seen there, for models that read words; the scene's own if empty.
    """

    session: Session
    on: bool = True
    min_unknown: float = 0.04
    prompt: str = ""
    _tried: View | None = None

    def unknown(self, snapshot: Snapshot, view: View) -> float:
        """Share of a view that the memory does not know, 0..1."""
        camera = view.film_camera(LOOKED_AT_WIDTH, max(1, round(LOOKED_AT_WIDTH / view.aspect)))
        with torch.no_grad():
            return 1 - snapshot.memory.film(camera)[1].float().mean().item()

    def rests(self, view: View) -> float | None:
        """Called when a view has come to rest. Returns the share of it that is unknown if it is going to be made."""
        snapshot = self.session.snapshot
        if not self.on or self.session.is_busy or self._was_tried(view, snapshot):
            return None
        unknown = self.unknown(snapshot, view)
        if unknown < self.min_unknown:
            first = snapshot.memory.views[0].camera
            snapshot.memory.hold(view.film_camera(first.width, first.height))  # what is looked at stays
            return None
        self._tried = view
        self.grow(view, unknown)
        return unknown

    def _was_tried(self, view: View, snapshot: Snapshot) -> bool:
        """What stays unknown where it was tried once is not tried again."""
        return self._tried is not None and self._tried.near(view, SAME_PLACE * snapshot.memory.scale, SAME_DEGREES)

    def forget(self) -> None:
        """The scene was changed by other means: what was tried may be tried again."""
        self._tried = None

    def grow(self, view: View, unknown: float | None = None) -> None:
        """Makes what a view does not know; ``unknown`` is the share of it, where nobody has asked for it by name."""
        prompt = self.prompt.strip() or None

        def work(scene: Scene, announce: Announce) -> str | None:
            first = scene.memory.views[0].camera
            camera = view.film_camera(first.width, first.height)
            if unknown is not None and not scene.memory.is_free(camera.centers).all():
                return (
                    "nothing grows from here: this is inside or behind a surface. Step back, or press G to have it all the same"
                )

            def shown() -> None:
                announce("", 0.0)  # here the user may have it stopped
                self.session.show()

            state = scene.look(camera, prompt=prompt, after_window=shown)
            return "" if state.windows or unknown is not None else "all of this view is known already"

        share = "" if unknown is None else f" ({100 * unknown:.0f} % of this view is unknown)"
        self.session.submit(f"making what is missing{share}", work, KIND)
