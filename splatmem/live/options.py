"""What ``splatmem explore`` takes. Needs no PyTorch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from splatmem.config import load_preset
from splatmem.jobs.option_types import Device, FieldOfView, Overrides, Size, check_film
from splatmem.jobs.options import check_scene, paths_from_text

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """Looks around a scene in the browser. It grows where one looks; things are taken away, moved and coloured, shots are set
    and filmed. All that is made is kept in the scene's folder at once."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO|DIR|SPLATS")]
    """A photo; a scene's folder, which is then changed in place; or a file of Gaussian splats from elsewhere."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The scene's folder for a photo or a file of splats, out/NAME by default. One that is there is gone on with."""
    port: int = 8080
    """Of the address that is printed; the next free one if it is taken."""
    host: str = "localhost"
    """Where to listen. Beyond localhost (0.0.0.0: on all networks) the printed address carries a token, without which nothing
    is shown or done; what is sent is not encrypted."""
    view: Literal["splats", "film"] = "splats"
    """How browsers show the scene at first. film: frames that are drawn here; for browsers without a graphics card."""
    preset: str = "embedded"
    """Which models: the name of a file in configs/, without its ending."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    prompt: str = ""
    """What the scene shows, for models that read it."""
    size: Size = (512, 288)
    """Of the scene's pictures, and of its films if nothing else is asked for."""
    fov: FieldOfView = None
    """Horizontal field of view of the photo in degrees; auto finds it out."""
    seed: int = 0
    """Of all that is made."""
    poses: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Of a file of splats: the cameras that saw it (transforms.json, COLMAP), in its own world."""
    device: Device = "auto"
    """Where the models and the rasterizer run."""

    def __post_init__(self) -> None:
        paths_from_text(self, "source", "out", "poses")

    @property
    def folder(self) -> Path:
        """Where the scene is kept."""
        if self.out is not None:
            return self.out
        return self.source if self.source.is_dir() else Path("out") / self.source.stem

    def check(self) -> None:
        """Raises ``ValueError`` or ``FileNotFoundError`` for what can be known to be wrong before any work."""
        if not self.source.exists():
            raise FileNotFoundError(f"there is no photo, scene or file of splats {self.source}")
        if self.source.is_dir():
            check_scene(self.source)
            if self.out is not None and self.out.resolve() != self.source.resolve():
                raise ValueError(f"{self.source} is a folder and is changed in place: copy it first, and leave out --out")
        check_film(2, self.size, 24.0)
        load_preset(self.preset, self.overrides)
        if not 0 <= self.port <= 65535:
            raise ValueError(f"--port is 0 to 65535, got {self.port}")
        if not re.fullmatch(r"[A-Za-z0-9.:-]+", self.host):
            raise ValueError(f"--host is a name or an address such as 0.0.0.0, got {self.host!r}")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the address."""
        return self.host in LOCAL_HOSTS
