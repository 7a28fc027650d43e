"""Films that take no time: what stands in for ``flyaround`` where a test is about who makes which film, and when.

A stub keeps ``flyaround``'s way with folders: it fills a partial folder in two steps, goes on after the first one if it was
killed there, and publishes the folder when it is whole. What is in a film follows from the row's options alone. A row's prompt
says what happens between the steps, in a film that is begun for the first time: ``kill``, ``always kill``, ``fail``, ``full``
(of memory), ``wait``; anything else: nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from splatmem.batch.manifest import Row
from splatmem.batch.results import Results
from splatmem.io.ownership import locked
from splatmem.jobs.output_folder import claim, partial_folder, publish

STAGES = ("load", "depth", "read", "fill", "write", "refine", "render", "encode")
FILES = ("video.mp4", "scene.ply", "cameras.json", "report.html", "contact_sheet.png", "report.json")


class StubMaker:
    def __init__(self, out: str, overwrite: bool = False) -> None:
        self.results = Results(out)

    def __call__(self, row: Row) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            report = self.film(row)
        except (ValueError, MemoryError) as error:
            return {"id": row.name, "state": "failed", "error": str(error), "seconds": 0.0, "load_seconds": 0.0}
        seconds = time.perf_counter() - started
        return {"id": row.name, "state": "made", "report": report, "seconds": seconds, "load_seconds": 0.0, "pid": os.getpid()}

    def film(self, row: Row) -> dict[str, Any]:
        out, event = self.results.film(row.name), str(row.values.get("prompt", ""))
        with locked(out):
            resumed = partial_folder(out).exists()
            partial = claim(out, resume=resumed, overwrite=False)
            with (self.results.folder / "begun.txt").open("a") as begun:
                begun.write(f"{row.name} {os.getpid()}\n")
            for name in FILES[:-1]:
                (partial / name).write_bytes(hashlib.sha256(f"{name} {sorted(row.values.items())}".encode()).digest())
            if event == "always kill" or (event == "kill" and not resumed):
                os.kill(os.getpid(), signal.SIGKILL)
            if event == "fail":
                raise ValueError("this photo is broken")
            if event == "full":
                raise MemoryError("memory is full")
            if event == "wait" and not resumed:
                time.sleep(60)
            report = self.report(row)
            (partial / "report.json").write_text(json.dumps(report))
            publish(out, FILES)
        self.results.keep(row.name)
        return report

    def report(self, row: Row) -> dict[str, Any]:
        values = row.values
        return {
            "source": Path(values["source"]).name, "path": values.get("path", "turn"), "preset": "embedded",
            "seed": values.get("seed", 0), "frames": values.get("frames", 96), "size": list(values.get("size", (512, 288))),
            "seconds": {"total": 1.0, **dict.fromkeys(STAGES, 0.1)}, "photo_psnr": 40.0, "photo_worst_patch_psnr": 30.0,
            "retention_psnr": {"min": 40.0, "mean": None}, "unknown_fraction": 0.01, "border_depth_step": 0.0,
            "generated_frames": 2, "gaussians": 100, "peak_rss_bytes": 10**9, "peak_gpu_bytes": None, "notes": ["a note"],
        }  # fmt: skip


def tree(folder: Path) -> dict[str, bytes]:
    """The content of all files below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
