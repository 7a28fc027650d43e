"""What is changed in a scene: parts of it are taken away, moved, copied and coloured, and other scenes put into it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Unpack

import torch
from jaxtyping import Bool
from torch import Tensor

from splatmem.edit.changes import merged, require_some, with_added, with_colours
from splatmem.edit.history import COMPACTING, Timeline, after_compaction, put
from splatmem.edit.removal import Removal, fill_holes, settled, take_away, what_goes
from splatmem.edit.selection import Parts, Selection, described_part
from splatmem.explore.widening import WideningInpainter
from splatmem.gaussians.transform import transformed
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.similarity import Similarity
from splatmem.inpaint import VideoInpainter
from splatmem.inpaint.classical import CLASSICAL_NAMES
from splatmem.inpaint.migan.inpainter import FrameByFrame
from splatmem.memory.compaction import compacted
from splatmem.scene.announce import Announce, silent
from splatmem.scene.state import SceneState
from splatmem.threads import torch_alone

AROUND_HOLES = 0.4
"""How much around a hole is shown to the network that fills it, in units of the hole's size; all of the view would take half
as long again, or more."""


class SceneEdits(SceneState):
    """The edits of a scene, each a step of its history."""

    def select(self, *, camera: Cameras | None = None, save_as: str | None = None, **parts: Unpack[Parts]) -> Selection:
        """A part of the scene: all that is named, together. ``&``, ``|``, ``~`` and ``grown`` make further selections of it.

        Args:
            camera: of ``at`` and ``region``; that of the first picture if None.
            save_as: saves the selection by a name; ``scene.selections`` holds them.
            **parts: ``box``, ``sphere``, ``half_space``, ``at``, ``region``, ``through``, ``named``, ``all_of``: see
                ``splatmem.edit.selection.Parts``.

        Raises:
            ValueError: nothing is named, or there is no such selection.
        """
        view = self.memory.views[0].camera if camera is None else camera
        chosen = described_part(self.selections, view, parts)
        if save_as is not None:
            self.save_selection(save_as, chosen)
        return chosen

    def save_selection(self, name: str, selection: Selection) -> None:
        """Keeps a selection with the scene by a name."""
        self.selections = self.selections | {name: selection.to_json()}

    def remove(
        self,
        selection: Selection,
        fill: bool = True,
        *,
        exactly: bool = False,
        inpainter: VideoInpainter | None = None,
        prompt: str | None = None,
    ) -> int:
        """Takes a part of the scene away; returns how many Gaussians went.

        What was behind it is unknown then. Filled, the surfaces around go on there: their depth as planes, or smoothly, and
        their colours patch by patch; a preset with a large model paints the colours with that.

        Args:
            selection: what goes, with the pixels around it that show both it and what is behind; ``removes`` tells which.
            fill: whether what was behind is made.
            exactly: nothing goes along with the selection.
            inpainter: makes the colours instead.
            prompt: what is to be seen behind, for models that read words.

        Raises:
            ValueError: the selection is empty, or all of the scene.
        """
        details = {"selection": selection.to_json(), "fill": fill, "exactly": exactly, "prompt": prompt or self.prompt}
        with self._step("remove", details):
            removal = self._taken_away(selection.mask(self.memory), fill, inpainter, prompt, with_rim=not exactly)
        return int((~removal.kept).sum())

    def removes(self, selection: Selection, fill: bool = True) -> Bool[Tensor, " n"]:
        """Which Gaussians ``remove`` would take: the selection, and what goes along with it. That is its rim, slivers of it,
        what was guessed behind it, and, if what was behind is made, its shadow.

        Raises:
            ValueError: the selection is empty.
        """
        with torch_alone(self.memory.views[0].camera.width * self.memory.views[0].camera.height):
            return what_goes(self.memory, selection.mask(self.memory), with_shadow=fill).gone

    def _taken_away(
        self, chosen: Tensor, fill: bool, inpainter: VideoInpainter | None, prompt: str | None, with_rim: bool = True
    ) -> Removal:
        """Takes Gaussians out of the memory, and fills what was behind."""
        views, size = len(self.memory.views), self.memory.views[0].camera
        pixels = size.width * size.height
        with ThreadPoolExecutor(1, "loading") as loading:  # the first time that takes longer than what it is loaded beside
            loaded = loading.submit(self._of_holes) if fill and inpainter is None else None
            with self.clock.stage("write"), torch_alone(pixels):
                removal = take_away(self.memory, chosen, with_rim, with_shadow=fill and with_rim)
        if fill:
            inpainter = inpainter if loaded is None else loaded.result()
            fill_holes(
                removal, lambda images, **more: self.models.depth(images, **more), self.settings, self.clock,
                torch.Generator().manual_seed(self.seed), inpainter, self.prompt if prompt is None else prompt,
            )  # fmt: skip
        with self.clock.stage("read"), torch_alone(pixels):
            put(self.memory, settled(removal, views))
        self.makers = self.makers.select(removal.kept)
        return removal

    def _of_holes(self) -> VideoInpainter | None:
        """What fills the holes of what is taken away; None: their surroundings go on in them."""
        model = self.models.config.inpainter.model
        if model in CLASSICAL_NAMES:
            return None
        inpainter = self.models.inpainter
        if isinstance(inpainter, WideningInpainter) and inpainter.fill_wide is not None:
            return FrameByFrame(inpainter.fill_wide, around=AROUND_HOLES)
        return None if model == "embedded" else inpainter

    def transform(
        self,
        selection: Selection,
        by: Sequence[float] = (0.0, 0.0, 0.0),
        turn_degrees: float = 0.0,
        scale: float = 1.0,
        *,
        copy: bool = False,
        fill: bool = True,
    ) -> None:
        """Moves, turns and scales a part of the scene, or a copy of it.

        Args:
            selection: which part.
            by: how far, in the memory's world.
            turn_degrees: about the vertical through the part's middle, to the right as seen from above.
            scale: about its middle.
            copy: leave the part where it is as well.
            fill: whether what was behind a part that is moved away is made; see ``remove``.

        Raises:
            ValueError: the selection is empty, or a number is out of range.
        """
        details = {"selection": selection.to_json(), "by": list(by), "turn_degrees": turn_degrees, "scale": scale}
        with self._step("duplicate" if copy else "move", details):
            chosen = selection.mask(self.memory)
            require_some(chosen)
            part = self.memory.gaussians.select(chosen.to(self.memory.device)).to("cpu")
            makers = self.makers.select(chosen)
            middle = part.means.median(dim=0).values
            moved = transformed(part, Similarity.about(middle, by, turn_degrees, self.memory.down, scale))
            if not copy:
                self._taken_away(chosen, fill, None, None)
                self.makers = self.makers.grown(len(self.memory.gaussians), len(self.history)).joined(makers)
            put(self.memory, with_added(self.memory, moved))

    def recolour(
        self,
        selection: Selection,
        exposure: float = 0.0,
        saturation: float = 1.0,
        tint: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        """Changes the colours of a part of the scene.

        Args:
            selection: which part.
            exposure: in stops.
            saturation: 0 is grey, 1 as it is.
            tint: factors of red, green and blue light.

        Raises:
            ValueError: the selection is empty, or a number is out of range.
        """
        details = {"selection": selection.to_json(), "exposure": exposure, "saturation": saturation, "tint": list(tint)}
        with self._step("recolour", details):
            put(self.memory, with_colours(self.memory, selection.mask(self.memory), exposure, saturation, tint))

    def crop(self, selection: Selection) -> int:
        """Keeps a part of the scene and takes all else away; returns how many Gaussians went.

        Raises:
            ValueError: nothing would be left, or nothing would go.
        """
        with self._step("crop", {"selection": selection.to_json()}):
            chosen = selection.mask(self.memory)
            if not chosen.any():
                raise ValueError("the selection is empty: nothing would be left")
            if chosen.all():
                raise ValueError("the selection holds the whole scene: nothing would go")
            removal = self._taken_away(~chosen, False, None, None, with_rim=False)
        return int((~removal.kept).sum())

    def merge(
        self,
        other: SceneState,
        by: Sequence[float] = (0.0, 0.0, 0.0),
        turn_degrees: float = 0.0,
        scale: float = 1.0,
        *,
        transform: Sequence[Sequence[float]] | None = None,
    ) -> None:
        """Puts another scene into this one.

        Args:
            other: the scene; it stays as it is.
            by: where its first camera comes to stand, in this memory's world.
            turn_degrees: about the vertical through its first camera, to the right as seen from above.
            scale: its size.
            transform: instead of these, rows of the 3x4 or 4x4 matrix that takes points of the other world to this one: a
                rotation, one scale and a shift.

        Raises:
            ValueError: a number is out of range, or the matrix is none of a similarity.
        """
        if transform is None:
            similarity = Similarity.about(torch.zeros(3), by, turn_degrees, self.memory.down, scale)
        else:
            similarity = Similarity.of_matrix(torch.tensor([list(row) for row in transform], dtype=torch.float64))
        with self._step("merge", {"source": other.source, "transform": similarity.to_json()}):
            put(self.memory, merged(self.memory, other.memory, similarity))

    def compact(self, announce: Announce = silent) -> int:
        """Makes the scene small: Gaussians that no view tells apart are merged, the rest is fitted to what the scene showed,
        and numbers are rounded and held in a third of their bytes; returns how many Gaussians fewer there are. See
        docs/small.md.

        This is no step that can be undone, and steps before it cannot be undone any more: save a copy first to keep them.

        Raises:
            ValueError: the scene has no picture, or colours that change with the view.
        """
        before = len(self.memory.gaussians)
        with self._whole():
            borders = [run[0] for run in self.makers.to_json()]
            ends = [sum(borders[:index]) for index in range(1, len(borders))]
            made = compacted(
                self.memory, ends, self.film_cameras, announce=lambda share: announce("fitting fewer Gaussians", share)
            )
            put(self.memory, made.memory)
            self.makers = self.makers.select(made.first)
            self.history = [after_compaction(step, made.count_before) for step in self.history]
            self.timeline = Timeline(budget=self.timeline.budget)
            self._record(COMPACTING)
        return before - len(self.memory.gaussians)
