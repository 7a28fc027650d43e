"""How far straight lines of photos bend when the camera goes round the subject by up to 30 degrees: `splatmem.report.bend`.

    python tools/measure_bend.py PHOTOS...
    python tools/measure_bend.py PHOTOS... --size 768x432 --model FOLDER

Each photo is lifted as `splatmem flyaround` lifts it; nothing is made. Files that are no photos are refused.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from splatmem.depth import DepthEstimator, load_depth_estimator
from splatmem.explore.beginnings import begin_memory
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.cameras import identity_camera
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES, load_photo
from splatmem.memory import SpatialMemory
from splatmem.report.bend import Bend, memory_bend
from splatmem.timing import StageClock

from render_rooms import parse_size


@dataclass
class Options:
    """Which photos."""

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    size: str = "512x288"
    """Width x height of the film."""
    model: str = "embedded"
    """The depth model: embedded, or a folder as transformers saves one."""
    json: Path | None = None
    """Also write the figures to this file."""


def lift(photo: Path, size: tuple[int, int], estimate: DepthEstimator) -> SpatialMemory:
    picture = load_photo(photo, width=size[0], height=size[1])
    camera = identity_camera(picture.fov_x_degrees or DEFAULT_FOV_X_DEGREES, *size)
    return begin_memory(picture.rgb, camera, estimate, ExploreSettings(), StageClock())


def table_of(bends: dict[str, Bend]) -> Table:
    """One row for each photo, and the mean over photos that have segments."""
    table = Table("photo", "segments", "mean, %", "share above 3 %, %")
    for name, bend in bends.items():
        table.add_row(name, str(bend.segments), *(f"{100 * value:.1f}" for value in (bend.mean, bend.share_bent)))
    told = [bend for bend in bends.values() if bend.segments]
    if told:
        means = [100 * float(np.mean([getattr(bend, name) for bend in told])) for name in ("mean", "share_bent")]
        table.add_row(f"mean of {len(told)}", str(sum(bend.segments for bend in told)), *(f"{mean:.1f}" for mean in means))
    return table


def main(options: Options) -> None:
    if not options.photos:
        raise ValueError("no photos: give one or more")
    size, estimate = parse_size(options.size), load_depth_estimator(options.model)
    bends, seconds = {}, []
    for photo in options.photos:
        memory = lift(photo, size, estimate)
        started = time.perf_counter()
        bends[photo.stem] = memory_bend(memory)
        seconds.append(time.perf_counter() - started)
    Console().print(table_of(bends), f"{np.median(seconds):.2f} s for a photo (median), after lifting")
    if options.json is not None:
        options.json.write_text(json.dumps({name: bend.report() for name, bend in bends.items()}, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"measure_bend: {error}")
