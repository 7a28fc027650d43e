"""A scene: its memory, the models that make it, and how it came to be. The command line, jobs and Python all hold one."""

from splatmem.scene.announce import Announce, silent
from splatmem.scene.folders import MEMORY_FOLDER, session_folder
from splatmem.scene.scene import DEFAULT_SIZE, PathLike, Scene

__all__ = ["DEFAULT_SIZE", "MEMORY_FOLDER", "Announce", "PathLike", "Scene", "session_folder", "silent"]
