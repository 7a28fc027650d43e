"""Writes a finished scene for other programs."""

from __future__ import annotations

from splatmem.io.ply import save_ply
from splatmem.jobs.options import ExportOptions
from splatmem.memory.session import load_session
from splatmem.scene import session_folder


def export(options: ExportOptions) -> int:
    """Writes ``options.file`` and returns how many Gaussians it holds.

    Raises:
        ValueError: options or a scene that cannot be used.
        OSError: the file cannot be written.
    """
    options.check()
    memory = load_session(session_folder(options.scene))[0]
    save_ply(memory.gaussians, options.file, compact=options.compact, world=memory.world)
    return len(memory.gaussians)
