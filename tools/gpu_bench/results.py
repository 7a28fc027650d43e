"""Figures of stages, in one JSON file that is complete after every row, and the tables made of it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splatmem.bench import Row

DONE = "done"
WINDOW_COLUMNS = ("preset", "setting", "frames", "size", "step, s", "window, s (computed)", "peak, GiB", "card, GB")


@dataclass
class Results:
    """The figures of a run on one machine, which later runs of other stages add to."""

    file: Path
    content: dict[str, Any]

    @staticmethod
    def load(file: Path) -> Results:
        """What the file holds; nothing, if there is none."""
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return Results(file, {"machine": {}, "stages": {}} | content)

    def save(self) -> None:
        """Replaces the file, so that it is whole even if the run is stopped meanwhile."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        beside = self.file.with_suffix(".writing")
        beside.write_text(json.dumps(self.content, indent=1), encoding="utf-8")
        os.replace(beside, self.file)

    def begin(self, stage: str) -> None:
        self.content["stages"][stage] = {
            "status": "running", "seconds": 0.0, "error": "", "rows": [], "began": time.time(), "load": os.getloadavg()[0],
        }  # fmt: skip
        self.save()

    def add(self, stage: str, row: Row) -> None:
        self.content["stages"][stage]["rows"].append(row)
        self.save()

    def end(self, stage: str, status: str, error: str = "") -> None:
        entry = self.content["stages"].setdefault(stage, {"rows": [], "began": time.time()})
        entry |= {"status": status, "error": error, "seconds": round(time.time() - entry["began"], 2)}
        self.save()

    def status(self, stage: str) -> str:
        return self.content["stages"].get(stage, {}).get("status", "not run")

    def windows(self) -> list[Row]:
        """What each preset takes in each setting, of all stages together."""
        rows = [row for stage in self.content["stages"].values() for row in stage["rows"] if "window, s (computed)" in row]
        return [{column: row.get(column) for column in WINDOW_COLUMNS} for row in rows]

    def table(self) -> str:
        """All stages as Markdown: a line on each, and a table of its rows."""
        lines = ["# Measured on a GPU", ""]
        lines += [f"- {key}: {value}" for key, value in self.content["machine"].items()]
        if windows := self.windows():
            lines += ["", "## Windows of all presets", "", *_rows_as_table(windows)]
        for name, stage in self.content["stages"].items():
            lines += ["", f"## {name}: {stage['status']}, {stage.get('seconds', 0)} s"]
            lines += [f"\nLoad of the machine before: {stage['load']:.1f} processes."] if "load" in stage else []
            if stage.get("error"):
                lines += ["", "```", stage["error"].strip()[-1500:], "```"]
            lines += ["", *_rows_as_table(stage["rows"])] if stage["rows"] else []
        return "\n".join(lines) + "\n"


def _rows_as_table(rows: list[Row]) -> list[str]:
    """Rows of different columns go into tables of their own."""
    lines: list[str] = []
    columns: list[str] = []
    for row in rows:
        if list(row) != columns:
            columns = list(row)
            lines += ["", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
        lines.append(f"| {' | '.join(_cell(row[name]) for name in columns)} |")
    return lines[1:]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(entry)}" for name, entry in value.items())
    return "" if value is None else str(value)
