"""How a scene grows: what a path or a camera will show of it, and it does not know, is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from splatmem.edit.history import ADDING, counts
from splatmem.explore.live import LiveInpainter, look
from splatmem.explore.loop import ExploreState, explore
from splatmem.explore.widening import WideViewFirst
from splatmem.geometry.cameras import Cameras
from splatmem.scene.announce import MAKING_THE_UNSEEN, Announce, silent
from splatmem.scene.state import SceneState
from splatmem.trajectory.trajectory import Trajectory, trajectory_from

PathLike = str | Path | Cameras | Trajectory


class GrowingScene(SceneState):
    """The operations of a scene that make what is unseen, each a step of its history."""

    def trajectory(
        self, path: PathLike, frames: int = 96, size: tuple[int, int] | None = None, fov: float | None = None
    ) -> Trajectory:
        """The cameras that a user means by a preset's name, a path file, cameras, or a trajectory.

        Raises:
            ValueError: there is no such preset or file, or the file is malformed.
        """
        return trajectory_from(path, self, frames, size, fov)

    def explore(
        self,
        path: PathLike,
        frames: int = 96,
        *,
        state: ExploreState | None = None,
        generator: torch.Generator | None = None,
        announce: Announce = silent,
        progress: Callable[[float], None] | None = None,
        after_window: Callable[[ExploreState], None] | None = None,
    ) -> ExploreState:
        """Makes what a path will show and the memory does not know.

        Args:
            path: a preset's name, a path file, cameras, or a trajectory.
            frames: number of cameras of a preset.
            state, generator: of an exploration to go on with.
            announce: told of the progress.
            progress: told the unknown share before every window.
            after_window: called when a window has become part of the memory.

        Raises:
            ValueError: there is no such path; or an own inpainter gave back what cannot be used.
        """
        return self._explore("explore", path, frames, self.prompt, state, generator, announce, progress, after_window)

    def extend(
        self,
        path: PathLike,
        frames: int = 96,
        *,
        prompt: str | None = None,
        announce: Announce = silent,
        after_window: Callable[[ExploreState], None] | None = None,
    ) -> ExploreState:
        """Goes on with the scene: what a path will show and the memory does not know is made. If that fails or is interrupted,
        the scene is as it was.

        Args:
            path: a preset's name, a path file, cameras, or a trajectory.
            frames: number of cameras of a preset.
            prompt: what is to be seen there, for models that read words; the scene's own if None.
            announce: told of the progress.
            after_window: called when a window has become part of the memory; what it raises takes all of them back.

        Raises:
            ValueError: there is no such path; or an own inpainter gave back what cannot be used.
        """
        with self._whole():
            words = self.prompt if prompt is None else prompt
            return self._explore("extend", path, frames, words, None, None, announce, None, after_window)

    def _explore(
        self,
        operation: str,
        path: PathLike,
        frames: int,
        prompt: str,
        state: ExploreState | None,
        generator: torch.Generator | None,
        announce: Announce,
        progress: Callable[[float], None] | None,
        after_window: Callable[[ExploreState], None] | None,
    ) -> ExploreState:
        trajectory = self.trajectory(path, frames)
        if not (state is not None and self.history[-1].unfinished):
            seed = self.seed + sum(step.operation in ADDING for step in self.history)
            self._record(operation, path=trajectory.name, frames=len(trajectory), seed=seed, prompt=prompt)
            self.history[-1] = replace(self.history[-1], unfinished=True)
        if generator is None:
            generator = torch.Generator().manual_seed(self.history[-1].details["seed"])
        first: list[float] = []

        def told(unknown_share: float) -> None:
            first.append(unknown_share)
            announce(MAKING_THE_UNSEEN, 1 - unknown_share / max(first[0], 1e-6))
            if progress is not None:
                progress(unknown_share)

        def written(now: ExploreState) -> None:
            self.timeline.ahead.clear()
            self._note_windows(now)
            if after_window is not None:
                after_window(now)

        try:
            state = explore(
                self.memory,
                trajectory,
                self.models.inpainter,
                self.models.depth,
                seed=self.seed,  # the surroundings stay the same from step to step
                generator=generator,
                settings=self.settings,
                planner=self.models.planner,
                state=state,
                prompt=prompt,
                clock=self.clock,
                progress=told,
                after_window=written,
            )
        finally:
            self._note_makers()
        self.remark(*state.notes)
        return state

    def _note_windows(self, state: ExploreState) -> None:
        """Brings the step that is being done up to the windows that were written."""
        step = self.history[-1]
        windows, moments = list(step.windows), list(step.details.get("moments", []))
        if len(state.windows) > len(windows):
            windows.append(list(counts(self.memory)))
        moments += [list(window) for window in state.windows[len(moments) :]]
        details = step.details | {"generated_frames": state.generated_frames, "moments": moments}
        views, gaussians, features = counts(self.memory)
        self.history[-1] = replace(
            step, details=details, views=views, gaussians=gaussians, features=features, windows=windows,
            unfinished=not state.finished,
        )  # fmt: skip
        if state.finished:
            self._note_makers()

    def prepare_to_look(self, camera: Cameras) -> None:
        """Does what the first ``look`` at a place would do before it makes anything: loads the models, and has the inpainter
        find out what may lie around.

        Args:
            camera: one camera; what it sees need not be unknown.
        """
        depth = self.models.depth
        with self.clock.stage("fill"):
            self._looking().for_camera(self.memory, camera, depth)
        with self.clock.stage("refine"):  # the first gradient that PyTorch is asked for makes it import a great deal
            one = torch.ones(1, requires_grad=True)
            torch.autograd.grad(2 * one, one, torch.ones(1))

    def look_ahead(self, pause: Callable[[], None] = lambda: None) -> bool:
        """Makes what a ``look`` in a new direction would have to make first, the wide view around the first one; after
        ``prepare_to_look``. The scene stays as it is.

        Args:
            pause: called where this may be left off: it may raise, and nothing that was made is lost.

        Returns:
            whether there was anything left to be made.
        """
        ready = None if self._live is None else self._live.ready
        if not isinstance(ready, WideViewFirst):
            return False
        with self.clock.stage("fill"):
            return ready.make_ahead(pause)

    def _looking(self) -> LiveInpainter:
        if self._live is None:
            self._live = LiveInpainter(self.models.inpainter, self.seed)
        changed = next((step for step in reversed(self.history) if step.operation != "look"), None)
        if changed is not self._looked_after:  # what found no place may find one now
            self._live.left.clear()
            self._looked_after = changed
        return self._live

    def look(
        self, camera: Cameras, *, prompt: str | None = None, after_window: Callable[[], None] | None = None
    ) -> ExploreState:
        """Fills what a camera shows and the memory does not know, and its neighbourhood; its path need not be known.

        Nothing is made, and no step recorded, where nearly all of the view is known.

        Args:
            camera: one camera.
            prompt: what is to be seen there, for models that read words; the scene's own if None.
            after_window: called when a window has become part of the memory; what it raises takes all of them back.
        """
        with self._whole():
            words, place = self.prompt if prompt is None else prompt, len(self.history)
            seed = self.seed + sum(step.operation in ADDING for step in self.history)
            notes = len(self.notes)
            state = look(
                self.memory, camera, self._looking(), self.models.depth, generator=torch.Generator().manual_seed(seed),
                settings=self.settings, clock=self.clock, prompt=words, after_window=after_window,
            )  # fmt: skip
            self.remark(*state.notes)
            if state.windows:
                self._record("look", notes_before=notes, seed=seed, prompt=words, generated_frames=state.generated_frames)
                self.history[place] = replace(self.history[place], windows=[list(counts(self.memory))])
                self.timeline.ahead.clear()
            return state
