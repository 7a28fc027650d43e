"""The results of a batch as a table: CSV, and Parquet where pyarrow is installed. Needs no PyTorch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from splatmem.batch.manifest import Row

STAGES = ("load", "depth", "read", "fill", "write", "refine", "render", "encode")
COLUMNS: dict[str, type] = {
    "id": str, "state": str, "error": str, "source": str, "path": str, "preset": str, "seed": str, "frames": int, "width": int,
    "height": int, "tries": int, "seconds": float, **{f"seconds_{stage}": float for stage in STAGES}, "photo_psnr": float,
    "photo_worst_patch_psnr": float, "retention_psnr_min": float, "retention_psnr_mean": float, "unknown_fraction": float,
    "border_depth_step": float, "generated_frames": int, "gaussians": int, "peak_rss_bytes": int, "peak_gpu_bytes": int,
    "video": str, "splats": str, "cameras": str, "report": str, "notes": str,
}  # fmt: skip
"""Columns and their types. Seeds are text: they may be of any size. ``seconds`` is the film's time, ``seconds_load`` that of
the models and of reading the photo; files are named from the table's folder on."""


def table_row(row: Row, outcome: dict[str, Any]) -> dict[str, Any]:
    """A line of the table; None where something is not known.

    Args:
        row: of the manifest.
        outcome: ``state``, then ``report`` of the film or ``error``, and ``tries``, where they are known.
    """
    report: dict[str, Any] = outcome.get("report") or {}
    line: dict[str, Any] = dict.fromkeys(COLUMNS)
    line |= {"id": row.name, "state": outcome["state"], "error": outcome.get("error"), "tries": outcome.get("tries")}
    line["source"] = row.values.get("source") or report.get("source")
    for name in ("path", "preset", "seed", "frames"):
        value = report.get(name, row.values.get(name))
        line[name] = None if value is None else COLUMNS[name](value)
    if not report:
        return line
    line["width"], line["height"] = report["size"]
    seconds = report["seconds"]
    line["seconds"] = seconds["total"]
    line |= {f"seconds_{stage}": seconds[stage] for stage in STAGES}
    line |= {f"retention_psnr_{name}": report["retention_psnr"][name] for name in ("min", "mean")}
    same = (
        *("photo_psnr", "photo_worst_patch_psnr", "unknown_fraction", "border_depth_step", "generated_frames", "gaussians"),
        *("peak_rss_bytes", "peak_gpu_bytes"),
    )
    line |= {name: report[name] for name in same}
    files = {"video": "video.mp4", "splats": "scene.ply", "cameras": "cameras.json", "report": "report.html"}
    line |= {column: f"{row.name}/{file}" for column, file in files.items()}
    line["notes"] = "; ".join(report["notes"])
    return line


def csv_bytes(lines: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode(errors="backslashreplace")


def parquet_bytes(lines: Sequence[dict[str, Any]]) -> bytes | None:
    """The table as a Parquet file; None where pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return None
    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    columns = {name: [_storable(line[name]) for line in lines] for name in COLUMNS}
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns, schema=schema), sink)
    return sink.getvalue().to_pybytes()


def _storable(value: Any) -> Any:
    """Text as UTF-8 can hold it: bytes of file names that are none are spelled out."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
