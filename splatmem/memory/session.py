"""A memory on disk, in files that are written once, and an index that is replaced whole.

memory/.splatmem               the mark: only a folder that has it is ever written to again
memory/session.json            the last state: scale, counts, progress, the newest part, and a checksum of all this
memory/session.previous.json   the state before it, in case that the last one is damaged
memory/state-00000.json        an index like these, of a state that is kept to go back or forth to
memory/part-00000.safetensors  the views of one save and their Gaussians; see ``splatmem.memory.session_parts``

A save writes what the folder does not hold yet as one new part, then the index. Each part names the one before it and its
checksum, so that the index stays small, and a save costs what is new, however much was saved before. What was written and
has changed since (by refinement, or because views were taken away) is found and written anew. Which states are kept says the
index alone: replacing it is the one moment at which a save takes effect.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch

from splatmem.geometry.world import World
from splatmem.io.atomic import atomic_path, remove_leftovers
from splatmem.io.ownership import locked, make_marked
from splatmem.memory import SpatialMemory
from splatmem.memory.session_index import SessionIndex, index_text, read_index
from splatmem.memory.session_parts import (
    Chain,
    DamagedSessionError,
    Link,
    Lists,
    Part,
    links_up_to,
    part_file,
    part_numbers,
    read_parts,
    write_part,
)

KIND = "session"  # for the mark of the folder
INDEX, PREVIOUS = "session.json", "session.previous.json"
CHAINS = 8  # memories whose parts are remembered, so that what they share with the next one is not written again
_LINK = attrgetter("link")
_STATE = re.compile(r"state-(\d{5,9})\.json")


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
    """A session's folder, and what of memories it is known to hold. One process at a time may save into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._chains: list[Chain] = []  # what the folder holds of memories, the last one first
        self._holding: str | None = None  # the index of the last whole state
        self._used: dict[str, list[Link]] | None = None  # parts of each index, once the folder was opened
        self._growing = False  # whether the last save only added to what the index before it names
        self._next = 0  # number of the next part
        self._stamp = 0  # when the folder was changed here last
        self._text: str | None = None  # of the index, as it was loaded or saved last

    def save(
        self,
        memory: SpatialMemory,
        progress: dict[str, Any] | None = None,
        fixed: dict[str, torch.Tensor] | None = None,
        states: Sequence[int] = (),
        packing: bool = False,
        lists: Lists | None = None,
    ) -> None:
        """Brings the folder to the memory's state. A process that is killed at any moment leaves the last whole state.

        Args:
            memory: what it adds to a state that was saved or loaded is written; all of it, if it shares nothing with any.
            progress: JSON values to be kept with the memory, written at every save.
            fixed: further tensors, written again only when they change.
            states: numbers of the states (``save_state``) that stay; all others are removed.
            packing: whether what is written is packed, without loss: it takes less room and more time.
            lists: lists of JSON values that grow at their ends, of which only what is new is written. ``load`` gives them back
                as part of the progress.

        Raises:
            ValueError: the folder holds something else, or a value is none that JSON knows.
            OSError: it cannot be written to; the message names the folder.
        """
        used = self._opened()
        parts = self._written(memory, fixed or {}, packing, lists or {})
        text = index_text(_index(memory, parts[-1].link if parts else None, progress or {}, states, lists or {}))
        before = used.get(self._holding, []) if self._holding else []
        if self._holding == INDEX:
            with atomic_path(self.folder / PREVIOUS) as temporary:
                shutil.copyfile(self.folder / INDEX, temporary)
        with atomic_path(self.folder / INDEX) as temporary:
            temporary.write_text(text, encoding="utf-8")
        names = {state_name(number) for number in states}
        kept = {name: value for name, value in used.items() if name in names}
        links = list(map(_LINK, parts))
        grown = self._holding == INDEX and links[: len(before)] == before and len(kept) == len(used.keys() - {INDEX, PREVIOUS})
        nothing_unused, self._growing = grown and self._growing, grown
        self._used = {INDEX: links, PREVIOUS: before, **kept}
        self._holding, self._text = INDEX, text
        if not nothing_unused:
            self._clean()
        self._stamp = self.folder.stat().st_mtime_ns

    def save_state(
        self,
        memory: SpatialMemory,
        progress: dict[str, Any] | None = None,
        fixed: dict[str, torch.Tensor] | None = None,
    ) -> int:
        """Writes another state beside the current one, which stays what it is; its number, for ``save`` and ``load_state``.

        It stays if the next ``save`` names it. For the arguments and errors see there.
        """
        used = self._opened()
        parts = self._written(memory, fixed or {})
        number = 1 + max(_state_numbers(self.folder), default=-1)
        with atomic_path(self.folder / state_name(number)) as temporary:
            last = parts[-1].link if parts else None
            temporary.write_text(index_text(_index(memory, last, progress or {}, (), {})), encoding="utf-8")
        used[state_name(number)] = list(map(_LINK, parts))
        self._growing = False
        return number

    def load_state(self, number: int) -> tuple[SpatialMemory, dict[str, Any], dict[str, torch.Tensor]]:
        """A state that ``save_state`` wrote, as ``load`` gives the current one.

        Raises:
            ValueError: it is not there, or it is damaged; the message names the file.
        """
        return self._read(state_name(number))

    def state_bytes(self, states: Sequence[int]) -> int:
        """Bytes on disk of what these states need and the current one does not."""
        used = self._opened()
        parts = {link for number in states for link in used.get(state_name(number), [])}
        return sum(link.bytes for link in parts - set(used.get(INDEX, [])))

    def is_current(self) -> bool:
        """Whether the folder's index is still the one that was loaded or saved here last."""
        try:
            return (self.folder / INDEX).read_text(encoding="utf-8") == self._text
        except (OSError, UnicodeError):
            return False

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
        used = self._opened()
        if self._holding == INDEX:
            used.pop(PREVIOUS, None)
            (self.folder / PREVIOUS).unlink(missing_ok=True)
            self._growing = False
            self._clean()

    def _load(self, name: str) -> tuple[SpatialMemory, dict[str, Any], dict[str, torch.Tensor]]:
        loaded = self._read(name)
        self._holding = name
        self._text = (self.folder / name).read_text(encoding="utf-8")
        return loaded

    def _read(self, name: str) -> tuple[SpatialMemory, dict[str, Any], dict[str, torch.Tensor]]:
        file = self.folder / name
        index = read_index(file)
        loaded = read_parts(self.folder, index.last)
        if not (index.num_given_views <= max(1, len(loaded.views)) and index.num_feature_views <= len(loaded.views)):
            raise DamagedSessionError(f"the session is damaged: {file} counts more views than there are")
        if any(length > len(loaded.lists.get(name, ())) for name, length in index.lists.items()):
            raise DamagedSessionError(f"the session is damaged: {file} names longer lists than there are")
        lists = {name: loaded.lists.get(name, [])[:length] for name, length in index.lists.items()}
        memory = SpatialMemory(
            loaded.gaussians, loaded.views, index.scale, index.num_given_views,
            loaded.feature_gaussians, index.num_feature_views, index.metric,
            World(torch.tensor(index.world, dtype=torch.float64)),
        )  # fmt: skip
        self._remember(Chain.of(loaded.parts, memory, loaded.lists))
        return memory, index.progress | lists, loaded.fixed

    def _written(
        self, memory: SpatialMemory, fixed: dict[str, torch.Tensor], packing: bool = False, lists: Lists | None = None
    ) -> list[Part]:
        """The chain of parts that holds a memory, after what no part holds yet was written as a new one."""
        kept: list[Part] = []
        for known in self._chains:
            if len(known.parts) > len(kept):
                same = known.unchanged(memory, lists or {})
                kept = same if len(same) > len(kept) else kept
        if self.folder.stat().st_mtime_ns != self._stamp:  # there may be files of a save that failed, or of somebody else
            self._next, self._growing = 1 + max(part_numbers(self.folder), default=-1), False
        new = write_part(self.folder, self._next, kept, memory, fixed, packing, lists)
        self._next += new is not None
        parts = kept if new is None else [*kept, new]
        self._remember(Chain.of(parts, memory, lists or {}))
        return parts

    def _remember(self, chain: Chain) -> None:
        last = [part.link for part in chain.parts[-1:]]
        others = [known for known in self._chains if [part.link for part in known.parts[-1:]] != last]
        self._chains = [chain, *others][:CHAINS]

    def _opened(self) -> dict[str, list[Link]]:
        """Which parts the states use; marks the folder at first, and removes what a killed process left."""
        if self._used is None:
            make_marked(self.folder, KIND)
            remove_leftovers(self.folder)
            self._used, states = {}, set()
            for name in (INDEX, PREVIOUS):
                try:
                    index = read_index(self.folder / name)
                    self._used[name] = links_up_to(self.folder, index.last)
                except DamagedSessionError:
                    continue
                states |= set(index.states)
                self._holding = self._holding or name
            for name in map(state_name, states):
                try:
                    last = read_index(self.folder / name).last
                    self._used[name] = links_up_to(self.folder, last)
                except DamagedSessionError:
                    continue  # whoever goes there is told
            self._clean()
        return self._used

    def _clean(self) -> None:
        """Removes parts and states that nothing uses."""
        assert self._used is not None
        for number in _state_numbers(self.folder):
            if state_name(number) not in self._used:
                (self.folder / state_name(number)).unlink(missing_ok=True)
        used = {link.number for links in self._used.values() for link in links}
        for number in part_numbers(self.folder) - used:
            part_file(self.folder, number).unlink(missing_ok=True)
        self._chains = [known for known in self._chains if all(part.link.number in used for part in known.parts)]


def state_name(number: int) -> str:
    """The file of a state that is kept."""
    return f"state-{number:05d}.json"


def _state_numbers(folder: Path) -> set[int]:
    return {int(match[1]) for entry in folder.iterdir() if (match := _STATE.fullmatch(entry.name))}


def _index(
    memory: SpatialMemory, last: Link | None, progress: dict[str, Any], states: Sequence[int], lists: Lists
) -> SessionIndex:
    return SessionIndex(
        scale=memory.scale,
        num_given_views=memory.num_given_views,
        metric=memory.metric,
        num_feature_views=memory.num_feature_views,
        world=memory.world.world_from_memory.tolist(),
        last=last,
        progress=progress,
        states=tuple(states),
        lists={name: len(values) for name, values in lists.items()},
    )
