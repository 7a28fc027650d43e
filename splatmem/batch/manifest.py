"""Manifests: a row for each film, from CSV, JSON lines, Parquet or a folder of photos. Needs no PyTorch."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from splatmem.batch.columns import ID, column_name, parse_cells
from splatmem.batch.places import is_url, joined, opened_by_fsspec, without_file_scheme
from splatmem.io.picture_files import PICTURE_SUFFIXES
from splatmem.jobs.options import FlyaroundOptions
from splatmem.trajectory.names import PRESET_NAMES

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
LONGEST_ID = 200  # bytes
OURS = ("index.html", "results.csv", "results.parquet", "shards", "thumbnails")  # what the batch itself writes into its folder
PLACES = ("source", "poses", "path")  # options that name files


@dataclass(frozen=True)
class Row:
    """A film to be made, or why a row is none.

    Attributes:
        name: its id; of a row without a usable one, where the row stands, such as ``row 7``.
        values: options of ``flyaround``, as ``parse_cells`` gives them; places are whole paths or URLs.
        problem: a sentence, if the row cannot be used.
        where: it stands in the manifest.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    where: str = ""

    def options(self, out: Path, places: dict[str, str] | None = None) -> FlyaroundOptions:
        """The options with which the film is made.

        Args:
            out: its folder.
            places: files that take the place of those that the row names.
        """
        values = {**self.values, **(places or {})}
        values |= {name: Path(values[name]) for name in ("source", "poses") if name in values}
        return FlyaroundOptions(out=out, **values)


def read_manifest(manifest: str, defaults: dict[str, Any]) -> list[Row]:
    """The rows of a manifest, in its order.

    Args:
        manifest: a file, or a folder of photos, here or where fsspec reads.
        defaults: options for rows that do not give them.

    Raises:
        ValueError: it is no manifest, has no rows, or a column that is no option.
        FileNotFoundError: there is none.
    """
    manifest = without_file_scheme(manifest)
    if not is_url(manifest):
        manifest = os.path.abspath(Path(manifest).expanduser())
    system, path = opened_by_fsspec(manifest)
    if system.isdir(path):
        folder, cells = manifest, _photos(system, path, manifest)
    elif system.isfile(path):
        folder, cells = manifest.rstrip("/").rpartition("/")[0], _cells(system, path, manifest)
    else:
        raise FileNotFoundError(f"there is no manifest {manifest}")
    rows = _named([_parsed(number, row, folder, defaults) for number, row in cells])
    if not rows:
        raise ValueError(f"{manifest} has no rows: expected one for each film")
    return rows


def id_problem(name: str) -> str | None:
    """Why an id cannot be the name of a folder, on any system; None if it can."""
    if re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', name) or name.startswith(".") or name.endswith((".", " ")):
        return f'the id {name!r} cannot be the name of a folder: leave out / \\ : * ? " < > | and a point or space at its ends'
    if len(os.fsencode(name)) > LONGEST_ID:
        return f"the id {name[:30]!r}... is {len(os.fsencode(name))} bytes long, and at most {LONGEST_ID} can be used"
    if name.lower() in OURS:
        return f"the id {name!r} is the name of a file that the batch writes: choose another"
    return None


def _photos(system: Any, path: str, manifest: str) -> Iterator[tuple[str, dict[str, Any] | ValueError]]:
    """A row for each picture in a folder, by name."""
    names = sorted(PurePosixPath(entry).name for entry in system.ls(path, detail=False))
    pictures = [name for name in names if name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".")]
    if not pictures:
        raise ValueError(f"the folder {manifest} holds no photos: expected files that end in {', '.join(PICTURE_SUFFIXES)}")
    for number, name in enumerate(pictures, start=1):
        yield f"photo {number}", {"source": name}


def _cells(system: Any, path: str, manifest: str) -> Iterator[tuple[str, dict[str, Any] | ValueError]]:
    """Where each row stands, and its cells or why it has none."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"{manifest}: expected a manifest that ends in {', '.join(FORMATS)}, or a folder of photos")
    content = system.cat_file(path)
    if suffix == ".parquet":
        return _parquet(content, manifest)
    text = content.decode("utf-8-sig", errors="surrogateescape")  # names of files need not be UTF-8
    return _delimited(text, suffix, manifest) if suffix in (".csv", ".tsv") else _json(text, suffix, manifest)


def _delimited(text: str, suffix: str, manifest: str) -> Iterator[tuple[str, dict[str, Any] | ValueError]]:
    first = text.partition("\n")[0]
    delimiter = "\t" if suffix == ".tsv" else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = _header(next(reader, []), manifest)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield f"line {reader.line_num}", ValueError(f"this line is no row of a CSV file: {error}")
            continue
        if row is None:
            return
        if any(cell.strip() for cell in row):
            where = f"line {reader.line_num}"
            if len(row) > len(header):
                yield (
                    where,
                    ValueError(f"the row has {len(row)} cells, the header {len(header)}: quote cells with commas"),
                )
            else:
                yield where, dict(zip(header, row, strict=False))


def _header(names: Sequence[str], manifest: str) -> list[str]:
    """The columns' names, checked once for all rows."""
    try:
        known = [name for name in map(column_name, names) if name is not None]
    except ValueError as error:
        raise ValueError(f"{manifest}: {error}") from error
    twice = {name for name in known if known.count(name) > 1}
    if twice:
        raise ValueError(f"{manifest}: the column {min(twice)!r} is there twice")
    if not {"source", "prompt"} & set(known):
        raise ValueError(f"{manifest}: expected a column 'source' or 'prompt', got {', '.join(names)[:200]!r}")
    return list(names)


def _json(text: str, suffix: str, manifest: str) -> Iterator[tuple[str, dict[str, Any] | ValueError]]:
    if suffix == ".json":
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{manifest} is no JSON: {error}; of lines of JSON the name ends in .jsonl") from error
        if not isinstance(values, list):
            raise ValueError(f"{manifest}: expected a list with an object for each film")
        found = [(f"row {number}", value) for number, value in enumerate(values, start=1)]
    else:
        found = [(f"line {number}", line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for where, value in found:
        if suffix != ".json":
            try:
                value = json.loads(value)
            except ValueError as error:
                yield where, ValueError(f"this line is no JSON: {error}")
                continue
        yield where, value if isinstance(value, dict) else ValueError(f"expected an object, got {str(value)[:80]!r}")


def _parquet(content: bytes, manifest: str) -> Iterator[tuple[str, dict[str, Any] | ValueError]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError(f"{manifest}: Parquet needs pyarrow: pip install pyarrow, or write the manifest as CSV") from error
    try:
        table = parquet.read_table(pyarrow.BufferReader(content))
    except pyarrow.ArrowException as error:
        raise ValueError(f"{manifest} is no Parquet file: {error}") from error
    _header(table.column_names, manifest)
    for number, row in enumerate(table.to_pylist(), start=1):
        yield f"row {number}", row


def _parsed(where: str, cells: dict[str, Any] | ValueError, folder: str, defaults: dict[str, Any]) -> Row:
    if isinstance(cells, ValueError):
        return Row(where, problem=str(cells), where=where)
    name = where
    try:
        values = parse_cells(cells)
        if ID in values:
            name = values.pop(ID)
            if problem := id_problem(name):
                return Row(where, problem=problem, where=where)
        values = {**defaults, **values}
        for place in PLACES:
            if place in values and values[place] not in PRESET_NAMES:
                values[place] = joined(folder, str(values[place]))
        if not {"source", "prompt"} & values.keys():
            raise ValueError("the row gives no source: a photo, a folder with posed pictures, a video, or a prompt")
    except ValueError as error:
        return Row(name, problem=str(error), where=where)
    return Row("" if name == where else name, values, where=where)


def _named(rows: list[Row]) -> list[Row]:
    """Gives rows without an id one of their own: the name of their source. An id that is taken makes a row unusable."""
    taken = {_folded(row.name) for row in rows if row.name and row.problem is None}
    seen: set[str] = set()
    named = []
    for number, row in enumerate(rows, start=1):
        if row.problem is not None:
            named.append(row)
            continue
        name, problem = row.name, None
        if not name:
            name = _free_name(row, number, taken)
            taken.add(_folded(name))
            problem = id_problem(name)
        elif _folded(name) in seen:
            problem = f"the id {name!r} is that of another row (capital and small letters count as the same)"
        seen.add(_folded(name))
        named.append(Row(row.where if problem else name, row.values, problem, row.where))
    return named


def _free_name(row: Row, number: int, taken: set[str]) -> str:
    """The name of a row's source without its ending, else with it, else with the row's number."""
    source = PurePosixPath(str(row.values.get("source", f"film_{number}")).replace("\\", "/"))
    choices = (source.stem.strip(" ."), source.name, f"{source.stem}_{number}")
    return next((choice for choice in choices if choice and _folded(choice) not in taken), f"film_{number}")


def _folded(name: str) -> str:
    """A text that is the same for names that are one folder on some systems."""
    return unicodedata.normalize("NFC", name).casefold()
