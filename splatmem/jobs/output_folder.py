"""An output folder that appears whole: it is filled under another name and takes its place at the end.

Unlike ``io.atomic.staged_directory``, the unfinished folder outlives an interruption, so that the run can be resumed. From
``claim`` to ``publish`` the lock of the output folder (``io.ownership.locked``) must be held.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from splatmem.io.atomic import remove_leftovers, require_replaceable, swap_in
from splatmem.io.names import beside
from splatmem.io.ownership import is_ours, make_marked, may_be_removed, remove

KIND = "run"  # for the mark of the folder
REPORT = "report.json"  # what is written last


def partial_folder(out: Path) -> Path:
    """Where ``out`` is being made, and where an interrupted run is found."""
    return beside(out, "", ".partial")


def is_complete(out: Path) -> bool:
    """Whether ``out`` is a finished run, which nobody has begun to replace."""
    out = out.resolve()
    return is_ours(out, KIND) and (out / REPORT).is_file() and not partial_folder(out).exists()


def claim(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """Claims the folder that a run fills, and returns it.

    Raises:
        ValueError: ``out`` holds something already or must not be replaced, or there is nothing to resume.
        OSError: the folder cannot be made or written to.
    """
    out = out.resolve()
    partial = partial_folder(out)
    if resume and partial.is_dir() and not partial.is_symlink() and may_be_removed(partial, KIND):
        # Bare, if the run was killed before it could mark its folder.
        make_marked(partial, KIND)
        remove_leftovers(partial)
        return partial
    if out.is_file():
        raise ValueError(f"{out} is a file: --out names the folder that is to be made")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise ValueError(f"{out} is not empty: choose another folder, or give --overwrite to replace it")
    if resume:
        raise ValueError(f"nothing to resume: there is no interrupted run at {partial}")
    require_replaceable(out, KIND, overwrite)
    if partial.is_symlink() or (partial.exists() and not may_be_removed(partial, KIND)):
        raise ValueError(f"{partial} is in the way and was not made by splatmem: move it or choose another folder")
    if is_ours(partial, KIND) and not overwrite:
        raise ValueError(f"{partial} holds an interrupted run: give --resume to continue it, or --overwrite to start anew")
    try:
        if partial.exists():
            remove(partial, KIND)
        make_marked(partial, KIND)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot make {partial}: {error.strerror}; free space there or choose a folder that you may write to"
        ) from error
    return partial


def discard(out: Path) -> None:
    """Removes what ``claim`` made: a run that failed before it had anything to go on from leaves nothing behind."""
    partial = partial_folder(out.resolve())
    if partial.is_dir():
        remove(partial, KIND)


def publish(out: Path, promised: Sequence[str]) -> None:
    """Puts the filled folder in the place of ``out``.

    Args:
        promised: files that must be in it, before and afterwards.

    Raises:
        OSError: one is not: something else has changed the folder.
        ValueError: what stands at ``out`` by now was not made by splatmem.
    """
    out = out.resolve()
    _require_files(partial_folder(out), promised)
    swap_in(partial_folder(out), out, KIND)
    _require_files(out, promised)


def _require_files(folder: Path, promised: Sequence[str]) -> None:
    missing = [name for name in promised if not (folder / name).is_file()]
    if missing:
        raise OSError(
            f"the run has ended, but {', '.join(missing)} cannot be found in {folder}: another program has moved or removed "
            "what was made there"
        )
