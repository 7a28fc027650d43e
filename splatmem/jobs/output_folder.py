"""An output folder that appears whole: it is filled under another name and takes its place at the end.

Unlike ``io.atomic.staged_directory``, the unfinished folder outlives an interruption, so that the run can be resumed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from splatmem.io.atomic import remove_leftovers, require_replaceable, swap_in

MARK = "report.json"  # what tells a finished output folder from any other


def partial_folder(out: Path) -> Path:
    """Where ``out`` is being made, and where an interrupted run is found."""
    return out.with_name(out.name + ".partial")


def claim(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """The folder to fill.

    Raises:
        ValueError: ``out`` holds something already or must not be replaced, or there is nothing to resume.
        OSError: the folder cannot be made or written to.
    """
    out = out.resolve()
    partial = partial_folder(out)
    if resume and partial.is_dir():
        remove_leftovers(partial)
        return partial
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not overwrite):
        hint = "it is complete already; " if resume else ""
        raise ValueError(f"{out} is not empty: {hint}choose another folder, or give --overwrite to replace it")
    if resume:
        raise ValueError(f"nothing to resume: there is no interrupted run at {partial}")
    require_replaceable(out, overwrite)
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise ValueError(f"{out} holds files that are not a finished run ({MARK} is missing): --overwrite would delete them")
    if partial.exists() and not overwrite:
        raise ValueError(f"{partial} holds an interrupted run: give --resume to continue it, or --overwrite to start anew")
    if partial.exists():
        shutil.rmtree(partial)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise OSError(f"cannot make {partial}: {error.strerror}; choose a folder that you may write to") from error
    return partial


def discard_empty(out: Path) -> None:
    """Removes what ``claim`` made if nothing was written to it: a run that failed at once leaves nothing behind."""
    partial = partial_folder(out.resolve())
    if partial.is_dir() and not any(partial.iterdir()):
        partial.rmdir()


def publish(out: Path) -> None:
    """Puts the filled folder in the place of ``out``."""
    out = out.resolve()
    swap_in(partial_folder(out), out)
