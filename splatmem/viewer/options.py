"""What ``splatmem inspect`` takes. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from splatmem.jobs.option_types import check_target


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """Shows a scene's memory in Open3D as points, with the cameras that wrote it."""

    scene: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR|FILE.ply")]
    """A folder made by flyaround, or a Gaussian splat .ply."""
    screenshot: Annotated[Path | None, tyro.conf.arg(metavar="FILE.png")] = None
    """Write a picture instead of opening a window; needs no display."""

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        if self.screenshot is not None:
            check_target(self.screenshot, ".png", overwrite=True)
        if not self.scene.exists():
            raise ValueError(f"{self.scene} is not there: give a folder made by 'splatmem flyaround', or a .ply file")
