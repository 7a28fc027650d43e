"""An output folder that appears whole: it is filled under another name and takes its place at the end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def partial_folder(out: Path) -> Path:
    """Where ``out`` is being made, and where an interrupted run is found."""
    return out.with_name(out.name + ".partial")


def claim(out: Path, *, resume: bool, overwrite: bool) -> Path:
    """The folder to fill.

    Raises:
        ValueError: ``out`` holds something already, or there is nothing to resume.
        OSError: the folder cannot be made or written to.
    """
    out = out.absolute()
    partial = partial_folder(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not overwrite):
        hint = "it is complete already; " if resume else ""
        raise ValueError(f"{out} is not empty: {hint}choose another folder, or give --overwrite to replace it")
    if resume:
        if not partial.is_dir():
            raise ValueError(f"nothing to resume: there is no interrupted run at {partial}")
        return partial
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
    partial = partial_folder(out.absolute())
    if partial.is_dir() and not any(partial.iterdir()):
        partial.rmdir()


def publish(out: Path) -> None:
    """Puts the filled folder in the place of ``out``; an older one disappears only once the new one is there."""
    out = out.absolute()
    replaced = out.with_name(out.name + ".replaced")
    if out.exists():
        if replaced.exists():
            shutil.rmtree(replaced)
        os.replace(out, replaced)
    os.replace(partial_folder(out), out)
    if replaced.exists():
        shutil.rmtree(replaced)
