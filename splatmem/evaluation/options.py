"""What ``splatmem evaluate`` takes. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from splatmem.config import load_preset
from splatmem.evaluation.names import ALL, parse_methods
from splatmem.io.atomic import require_replaceable
from splatmem.jobs.option_types import Device, OutputFolder, Overrides, SceneSize, one_word

KIND = "evaluation"  # for the mark of the folder
RESULT = "evaluate.json"
Methods = Annotated[
    tuple[str, ...],
    one_word(parse_methods, lambda value: "all" if value == ALL else ",".join(value), "NAMES"),
]


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Makes films of scenes from their first frame alone, by several methods, and measures them against the truth."""

    scenes: tyro.conf.Positional[tuple[Path, ...]]
    """Folders with transforms.json (nerfstudio's convention), images and, where known, 16-bit depth PNGs in millimetres; or
    stereo pairs (*_left.png, *_right.png, stereodemo_calibration.json): their folder, or the left pictures."""
    out: OutputFolder
    """Folder for evaluate.json, report.html and sheets; it appears when all of it is there."""
    preset: str = "embedded"
    """Whose models are evaluated: the name of a file in configs/."""
    overrides: Overrides = ()
    """Change what the preset says; may be given several times."""
    methods: Methods = ALL
    """all, or some of ours, telea, navier_stokes, push_pull, smear, patchmatch, no_memory, separated by commas; or
    photo_alone, which makes nothing and tells of depth in a fraction of the time."""
    frames: int | None = None
    """How many of a scene's frames to take, evenly spread; all by default."""
    size: SceneSize = None
    """Width x height of the films; that of each scene's pictures by default."""
    seed: int = 0
    """Any whole number; the same seed gives the same films on the same machine."""
    colmap: bool = False
    """Have COLMAP find the cameras of each film too; needs splatmem[colmap], and minutes for each film."""
    device: Device = "auto"
    """Where the models run."""
    overwrite: bool = False
    """Replace an earlier evaluation in the folder."""

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        if not self.scenes:
            raise ValueError("no scenes: give the folders of one or more")
        if self.frames is not None and self.frames < 2:
            raise ValueError(f"a film has at least 2 frames, got {self.frames}")
        load_preset(self.preset, self.overrides)
        out = self.out.resolve()
        require_replaceable(out, KIND, self.overwrite)
