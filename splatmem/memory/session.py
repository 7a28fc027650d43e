"""A memory on disk, in files that are written once, and an index that is replaced whole.

memory/.splatmem               the mark: only a folder that has it is ever written to again
memory/session.json            the last state: scale, counts, progress, the newest part, and a checksum of all this
memory/session.previous.json   the state before it
memory/part-00000.safetensors  the views of one save and their Gaussians; see ``splatmem.memory.session_parts``

A save writes what the folder does not hold yet as one new part, then the index. Each part names the one before it and its
checksum, so that the index stays small, and a save costs what is new, however much was saved before. What was written and
has changed since (by refinement, or because views were taken away) is found and written anew.
"""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

from splatmem.geometry.world import World
from splatmem.io.atomic import atomic_path, remove_leftovers
from splatmem.io.ownership import locked, make_marked
from splatmem.memory import SpatialMemory
from splatmem.memory.session_index import SessionIndex, index_text, read_index
from splatmem.memory.session_parts import (
    DamagedSessionError,
    Link,
    Part,
    chain,
    part_file,
    part_numbers,
    read_parts,
    unchanged_parts,
    write_part,
)

KIND = "session"  # for the mark of the folder
INDEX, PREVIOUS = "session.json", "session.previous.json"


def has_session(folder: Path) -> bool:
    """Whether ``load_session`` finds a state, whole or not."""
    return any((folder / name).is_file() for name in (INDEX, PREVIOUS))


def save_session(memory: SpatialMemory, folder: str | Path, progress: dict[str, Any] | None = None) -> None:
    """Writes a memory into a folder; an older session in it stays whole until the new one is.

    For many saves of a memory that grows, keep a ``SessionStore``: it writes only what is new.

    Args:
        folder: new, empty, or one that was written by this function.
        progress: JSON values to be kept with the memory.

    Raises:
        ValueError: the folder holds something else, another process writes to it, or a value is none that JSON knows.
        OSError: it cannot be written to.
    """
    with locked(Path(folder)):
        SessionStore(Path(folder)).save(memory, progress)


def load_session(folder: str | Path) -> tuple[SpatialMemory, dict[str, Any]]:
    """The memory and the progress kept with it; the state before, with a warning, if the last one is damaged.

    Raises:
        ValueError: there is no session, it is damaged (the message names the file), or from another version.
    """
    memory, progress, _ = SessionStore(Path(folder)).load()
    return memory, progress


class SessionStore:
    """A session's folder, and what of a memory it is known to hold. One process at a time may save into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts: list[Part] = []  # what the folder holds of the memory that was saved or loaded last
        self._holding: str | None = None  # the index of the last whole state
        self._used: dict[str, set[int]] | None = None  # numbers of the parts of each index, once the folder was opened

    def save(
        self,
        memory: SpatialMemory,
        progress: dict[str, Any] | None = None,
        fixed: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """Brings the folder to the memory's state. A process that is killed at any moment leaves the last whole state.

        Args:
            memory: what it adds to the state that was saved or loaded last is written; all of it, if it shares nothing with it.
            progress: JSON values to be kept with the memory, written at every save.
            fixed: further tensors, written again only when they change.

        Raises:
            ValueError: the folder holds something else, or a value is none that JSON knows.
            OSError: it cannot be written to; the message names the folder.
        """
        if self._used is None:
            self._used = self._open()
        kept = self._parts[: unchanged_parts(self._parts, memory)]
        number = 1 + max((n for used in self._used.values() for n in used), default=-1)
        new = write_part(self.folder, number, kept, memory, fixed or {})
        parts = kept if new is None else [*kept, new]
        text = index_text(_index(memory, parts[-1].link if parts else None, progress or {}))
        before = self._used.get(self._holding, set()) if self._holding else set()
        if self._holding == INDEX:
            with atomic_path(self.folder / PREVIOUS) as temporary:
                shutil.copyfile(self.folder / INDEX, temporary)
        with atomic_path(self.folder / INDEX) as temporary:
            temporary.write_text(text, encoding="utf-8")
        now = {INDEX: {part.link.number for part in parts}, PREVIOUS: before}
        for unused in set().union(*self._used.values()) - now[INDEX] - now[PREVIOUS]:
            part_file(self.folder, unused).unlink(missing_ok=True)
        self._parts, self._holding, self._used = parts, INDEX, now

    def load(self) -> tuple[SpatialMemory, dict[str, Any], dict[str, torch.Tensor]]:
        """Memory, progress and fixed tensors; what ``save`` is given next is compared with them.

        Raises:
            ValueError: as of ``load_session``.
        """
        if not has_session(self.folder):
            raise ValueError(
                f"there is no session in {self.folder}: expected the memory/ folder that 'splatmem flyaround' writes"
            )
        try:
            return self._load(INDEX)
        except DamagedSessionError as damage:
            if not (self.folder / PREVIOUS).is_file():
                raise
            warnings.warn(f"{damage}; the state before it is used", stacklevel=2)
            return self._load(PREVIOUS)

    def finish(self) -> None:
        """Forgets the state before the last one."""
        if self._used is None:
            self._used = self._open()
        if self._holding == INDEX:
            (self.folder / PREVIOUS).unlink(missing_ok=True)
            for unused in self._used.pop(PREVIOUS, set()) - self._used[INDEX]:
                part_file(self.folder, unused).unlink(missing_ok=True)

    def _load(self, name: str) -> tuple[SpatialMemory, dict[str, Any], dict[str, torch.Tensor]]:
        file = self.folder / name
        index = read_index(file)
        loaded = read_parts(self.folder, index.last)
        if not (index.num_given_views <= max(1, len(loaded.views)) and index.num_feature_views <= len(loaded.views)):
            raise DamagedSessionError(f"the session is damaged: {file} counts more views than there are")
        memory = SpatialMemory(
            loaded.gaussians, loaded.views, index.scale, index.num_given_views,
            loaded.feature_gaussians, index.num_feature_views, index.metric,
            World(torch.tensor(index.world, dtype=torch.float64)),
        )  # fmt: skip
        self._parts, self._holding = loaded.parts, name
        return memory, index.progress, loaded.fixed

    def _open(self) -> dict[str, set[int]]:
        """Marks the folder, and removes what a killed process left; which parts the states use."""
        make_marked(self.folder, KIND)
        remove_leftovers(self.folder)
        used: dict[str, set[int]] = {}
        for name in (INDEX, PREVIOUS):
            try:
                used[name] = {link.number for link in chain(self.folder, read_index(self.folder / name).last)}
            except DamagedSessionError:
                continue
            self._holding = self._holding or name
        for number in part_numbers(self.folder) - set().union(*used.values()):
            part_file(self.folder, number).unlink()
        return used


def _index(memory: SpatialMemory, last: Link | None, progress: dict[str, Any]) -> SessionIndex:
    return SessionIndex(
        scale=memory.scale,
        num_given_views=memory.num_given_views,
        metric=memory.metric,
        num_feature_views=memory.num_feature_views,
        world=memory.world.world_from_memory.tolist(),
        last=last,
        progress=progress,
    )
