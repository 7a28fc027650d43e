"""``splatmem judge``: finished films before a judge from outside."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from splatmem.jobs.option_types import check_target
from splatmem.jobs.options import check_scene


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """Has COLMAP find the cameras of films from their frames alone, and says how far they are from those asked for."""

    scenes: tyro.conf.Positional[tuple[Path, ...]]
    """Folders made by flyaround or batch, each with video.mp4 and cameras.json."""
    frames: int = 24
    """How many frames of each film to take, evenly spread."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.json")] = None
    """Write the figures there too, after each film."""
    resume: bool = False
    """Go on with that file: films that it holds, judged by as many frames, are not judged again."""
    overwrite: bool = False
    """Replace an existing file."""

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        if not self.scenes:
            raise ValueError("no films: give the folders of one or more")
        for scene in self.scenes:
            check_scene(scene)
            missing = [name for name in ("video.mp4", "cameras.json") if not (scene / name).is_file()]
            if missing:
                raise ValueError(f"{scene} holds no film: there is no {' and no '.join(missing)}")
        if self.frames < 3:
            raise ValueError(f"--frames is 3 or more, got {self.frames}")
        if self.out is not None:
            check_target(self.out, ".json", self.overwrite or self.resume)
        elif self.resume:
            raise ValueError("--resume goes on with the file of an earlier run: name it by --out")


def judge(options: JudgeOptions, announce: Any) -> list[dict[str, Any]]:
    """Judges films; returns the figures of each as JSON values, those of an earlier run first where one is gone on with.

    Args:
        options: which films, and how much of them.
        announce: told of the progress.

    Raises:
        ValueError: pycolmap is missing, or a film or the earlier run's file cannot be read.
    """
    import numpy as np

    from splatmem.evaluation.colmap import imported, judge_frames
    from splatmem.geometry.sampling import evenly_spread
    from splatmem.io.path_files import load_path
    from splatmem.io.video_frames import survey_video
    from splatmem.report.figures import write_json

    options.check()
    version = imported().__version__
    found = _earlier(options.out) if options.resume and options.out is not None and options.out.exists() else []
    judged = {(film["film"], film["of"]) for film in found}
    for number, scene in enumerate(options.scenes):
        if (str(scene), options.frames) in judged:
            continue
        announce("judging", number / len(options.scenes))
        video = survey_video(scene / "video.mp4")
        width, height = video.upright
        cameras = load_path(scene / "cameras.json", width=width, height=height, fov_x_degrees=60.0)  # the file tells its own
        chosen = evenly_spread(len(cameras), min(options.frames, len(cameras)))
        started = time.process_time()
        verdict = judge_frames(np.stack(list(video.read(chosen))), cameras[chosen])
        head = {"film": str(scene), "of": options.frames, "size": [width, height], "colmap": version}
        values = {**head, **asdict(verdict), "cpu_seconds": time.process_time() - started}
        found.append({key: _plain(value) for key, value in values.items()})
        if options.out is not None:
            write_json({"films": found}, options.out)
    return found


def _earlier(file: Path) -> list[dict[str, Any]]:
    """The films of an earlier run's file."""
    try:
        films = json.loads(file.read_text(encoding="utf-8"))["films"]
        _ = [(film["film"], film["of"]) for film in films]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} holds no figures of splatmem judge: choose another file, or --overwrite it") from error
    return films


def _plain(value: Any) -> Any:
    """A value that JSON can hold."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
