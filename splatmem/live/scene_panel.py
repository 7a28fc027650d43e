"""The panel of the scene itself: its history, back and forth, and what is taken out of it."""

from __future__ import annotations

from typing import Any

import viser

from splatmem.io.splats.endings import FORMATS
from splatmem.jobs.export import film_of, write_splats
from splatmem.live.desk import Desk
from splatmem.live.files import free_name, inside
from splatmem.scene import Announce, Scene

EXPORTS = "exports"
MOST_STEPS = 12  # of the history that are shown
MOST_DOWNLOAD = 256 * 2**20


class ScenePanel:
    """History and export."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        gui = desk.server.gui
        self._facts = gui.add_markdown("")
        self._undo = desk.button("Undo", self._go_back, icon=viser.Icon.ARROW_BACK_UP, hint="Key: Z")
        self._redo = desk.button("Redo", self._go_forth, icon=viser.Icon.ARROW_FORWARD_UP, hint="Key: Y")
        self._steps = gui.add_markdown("")
        with gui.add_folder("Take it with you"):
            kinds = tuple(f"{ending}  ({format_.opens_in})" for ending, format_ in FORMATS.items())
            kind = gui.add_dropdown("As", kinds)
            desk.button("Write it", lambda event: self._export(kind.value.split(" ")[0]), icon=viser.Icon.PACKAGE_EXPORT)
            self._files: viser.GuiDropdownHandle[Any] = gui.add_dropdown("Files", ("none yet",))
            desk.button("Download", self._download, color="gray")
        gui.add_command("Undo", hotkey="Z").on_trigger(desk.answered(self._go_back))
        gui.add_command("Redo", hotkey="Y").on_trigger(desk.answered(self._go_forth))
        self.show()

    def show(self) -> None:
        """Brings it up with the scene."""
        snapshot = self._desk.session.snapshot
        memory = snapshot.memory
        made = len(memory.views) - memory.num_given_views
        self._facts.content = f"**{len(memory.gaussians):,} splats**, {made} frames made · `{self._desk.session.folder}`"
        first = max(0, len(snapshot.history) - MOST_STEPS)
        steps = [f"{number} · {step.operation}" for number, step in enumerate(snapshot.history[first:], start=first + 1)]
        self._steps.content = "  \n".join(reversed(steps))  # lines, and no list: Markdown would number that by itself
        self._undo.disabled, self._redo.disabled = len(snapshot.history) < 2, not snapshot.can_redo
        names = tuple(sorted(file.name for file in (self._desk.session.folder / EXPORTS).glob("scene_*"))) or ("none yet",)
        if tuple(self._files.options) != names:
            self._files.options = names
            self._files.value = names[-1]

    def _go_back(self, event: Any) -> None:
        self._desk.session.submit("undoing", self._stepped(lambda scene: scene.undo(), "undone"))

    def _go_forth(self, event: Any) -> None:
        self._desk.session.submit("redoing", self._stepped(lambda scene: scene.redo(), "done again"))

    def _stepped(self, step: Any, said: str) -> Any:
        def work(scene: Scene, announce: Announce) -> str:
            before = scene.history[-1].operation
            step(scene)
            return f"{said}: {before if said == 'undone' else scene.history[-1].operation}"

        return work

    def _export(self, ending: str) -> None:
        folder = self._desk.session.folder / EXPORTS
        if ending not in FORMATS:
            raise ValueError(f"expected one of {', '.join(FORMATS)}, got {ending!r:.40}")

        def work(scene: Scene, announce: Announce) -> str:
            file = free_name(folder, "scene", ending)
            notes = write_splats(scene.memory, file, film_of(scene), compact=True)
            self.show()
            return "; ".join([f"{EXPORTS}/{file.name}: {file.stat().st_size / 2**20:.1f} MiB", *notes])

        self._desk.session.submit("writing the splats", work)

    def _download(self, event: Any) -> None:
        if self._files.value == "none yet":
            raise ValueError("there is no file yet: write one")
        file = inside(self._desk.session.folder / EXPORTS, self._files.value)
        if file.stat().st_size > MOST_DOWNLOAD:
            raise ValueError(f"{file.name} is too large for a download through this page: it is {file}")
        event.client.send_file_download(file.name, file.read_bytes())
