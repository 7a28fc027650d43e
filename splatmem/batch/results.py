"""Where a batch's films lie: a folder, or a place that fsspec writes to; and what of it is whole. Needs no PyTorch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from splatmem.batch.places import is_url, opened_by_fsspec, without_file_scheme
from splatmem.io.atomic import atomic_path
from splatmem.io.home import home
from splatmem.io.ownership import is_ours, make_marked
from splatmem.jobs.options import FlyaroundOptions
from splatmem.jobs.output_folder import KIND, REPORT, is_complete, partial_folder
from splatmem.trajectory.names import PRESET_NAMES

SESSION = "memory/session.json"  # of a film
BATCH = "batch"  # for the mark of the folder
WORK = ".batch"  # what only running batches need
WORK_VARIABLE = "SPLATMEM_BATCH_WORK"  # where films are made that are brought elsewhere
FILES = ("source", "poses", "path")  # compared by name: the same manifest may lie elsewhere today


class Results:
    """A batch's output. What is made goes into ``folder``; ``keep`` brings a film to its place, if that is elsewhere."""

    def __init__(self, out: str) -> None:
        """Args:
        out: a folder, or a URL that fsspec writes to.

        Raises:
            ValueError: it cannot be written to, or holds other things.
            OSError: it cannot be made.
        """
        out = without_file_scheme(out)
        self.url = out.rstrip("/") if is_url(out) else None
        self.folder = Path(out).expanduser().resolve() if self.url is None else _work_folder(self.url)
        make_marked(self.folder, BATCH)
        (self.folder / WORK).mkdir(exist_ok=True)

    @property
    def place(self) -> str:
        """Where the results lie, as messages say it."""
        return self.url or str(self.folder)

    def film(self, name: str) -> Path:
        """Where the film of this id is made."""
        return self.folder / name

    def report(self, name: str) -> dict[str, Any] | None:
        """The report of a film that is whole; None for another."""
        if self.url is None:
            return _json(self.film(name) / REPORT) if is_complete(self.film(name)) else None
        return self._remote_json(f"{name}/{REPORT}")  # brought last

    def finished(self, name: str, options: FlyaroundOptions, overwrite: bool = False) -> tuple[dict[str, Any] | None, bool]:
        """The report of a film that is whole, or None; and whether what is there, whole or begun, is to be replaced.

        Args:
            name: its id.
            options: with which it is to be made.
            overwrite: whether a film that was made with other options is replaced.

        Raises:
            ValueError: it was made with other options, and is not to be replaced.
        """
        report, made = self.report(name), self._options(name)
        if made is None:
            return report, False
        wanted = options.fingerprint(options.config())
        changed = [f"{k} = {made.get(k)}" for k, v in wanted.items() if not _same(k, made.get(k), v)]
        if changed and not overwrite:
            raise ValueError(
                f"{self.place}/{name} was made with other options ({', '.join(changed)}): give the row another id, or "
                "--overwrite"
            )
        return (None, True) if changed else (report, False)

    def _options(self, name: str) -> dict[str, Any] | None:
        """The options with which a film, whole or begun, was made; None if they are not known."""
        if self.url is not None and self.report(name) is not None:
            index = self._remote_json(f"{name}/{SESSION}")
        else:
            indices = (_json(folder / SESSION) for folder in (partial_folder(self.film(name)), self.film(name)))
            index = next((index for index in indices if index is not None), None)
        return None if index is None else index.get("progress", {}).get("options")

    def keep(self, name: str) -> None:
        """Brings a film that is whole to its place; its report goes last, and nothing of it is left here.

        Raises:
            OSError: it cannot be brought there.
        """
        if self.url is None:
            return
        folder = self.film(name)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        files.sort(key=lambda file: file == folder / REPORT)
        for file in files:
            self._put(f"{name}/{file.relative_to(folder).as_posix()}", file)
        shutil.rmtree(folder)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file of the batch, whole or not at all."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)
        if self.url is not None:
            self._put(name, file)
            file.unlink()

    def exists(self, name: str) -> bool:
        """Whether a file of the batch is there."""
        if self.url is None:
            return (self.folder / name).is_file()
        system, root = opened_by_fsspec(self.url)
        return bool(system.exists(f"{root}/{name}"))

    def bring(self, name: str, into: Path) -> Path:
        """A film's folder: as it is, or a copy of it below ``into``."""
        if self.url is None:
            return self.film(name)
        system, root = opened_by_fsspec(self.url)
        system.get(f"{root}/{name}/", str(into / name), recursive=True)
        return into / name

    def inputs(self, name: str) -> Path:
        """A folder for what a film of this id needs from elsewhere."""
        return self.folder / WORK / "inputs" / name

    def log(self, values: dict[str, Any]) -> None:
        """Notes how a film ended, beside the films: one line of JSON, of this process."""
        file = self.folder / WORK / f"log-{os.uname().nodename}-{os.getpid()}.jsonl"
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(values) + "\n")

    def _put(self, name: str, file: Path) -> None:
        assert self.url is not None
        system, root = opened_by_fsspec(self.url)
        target = f"{root}/{name}"
        try:
            system.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
            system.put_file(str(file), target)
        except Exception as error:  # libraries of buckets have exceptions of their own
            raise OSError(f"cannot write {self.url}/{name}: {type(error).__name__}: {error}") from error

    def _remote_json(self, name: str) -> dict[str, Any] | None:
        assert self.url is not None
        system, root = opened_by_fsspec(self.url)
        try:
            return json.loads(system.cat_file(f"{root}/{name}"))
        except (FileNotFoundError, ValueError):
            return None


def begun(folder: Path) -> bool:
    """Whether a run has left an unfinished film for this folder."""
    partial = partial_folder(folder)
    return partial.is_dir() and (is_ours(partial, KIND) or not any(partial.iterdir()))


def _work_folder(url: str) -> Path:
    """Where films are made that are brought to a URL: the same for every run, so that it can go on."""
    base = os.environ.get(WORK_VARIABLE) or (home() or Path(tempfile.gettempdir())) / ".cache" / "splatmem" / "batch"
    return Path(base) / hashlib.sha256(url.encode()).hexdigest()[:16]


def _json(file: Path) -> dict[str, Any] | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _same(key: str, made: Any, wanted: Any) -> bool:
    if key in FILES and made is not None and wanted is not None and wanted not in PRESET_NAMES:
        return PurePosixPath(made).name == PurePosixPath(wanted).name
    return made == wanted
