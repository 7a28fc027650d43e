"""What ``splatmem batch`` takes. Needs no PyTorch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from splatmem.batch.columns import parse_settings
from splatmem.jobs.option_types import one_word


def parse_part(text: str) -> tuple[int, int]:
    """``3/16`` to (3, 16): the fourth of sixteen parts.

    Raises:
        ValueError: it is no part.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not match or int(match[1]) >= int(match[2]):
        raise ValueError(f"a part is I/N with I from 0 to N-1, such as 0/16 for the first of sixteen, got {text!r}")
    return int(match[1]), int(match[2])


def _spell_part(part: tuple[int, int] | None) -> str:
    return "all" if part is None else f"{part[0]}/{part[1]}"


Part = Annotated[tuple[int, int] | None, one_word(parse_part, _spell_part, "I/N")]
Settings = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="OPTION=VALUE")]


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Films of many photos: each as 'flyaround' makes it, in a folder of its own, with a table and a page of all. Whole
    films are skipped, unfinished ones go on, and a photo that fails is a row of the table."""

    manifest: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MANIFEST|FOLDER")]
    """A .csv, .tsv, .jsonl or .parquet with a row for each film: 'source', 'id', and any option of flyaround; or a folder of
    photos. Either may lie where fsspec reads, such as s3://bucket/photos."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR|URL")]
    """Folder for the films, results.csv, results.parquet and index.html; or a URL that fsspec writes to."""
    each: Settings = ()
    """An option of flyaround for every film whose row does not give it, such as path=arc; may be given several times."""
    workers: int | None = None
    """Processes that make films; as many as cores and memory allow if not given. With --address: at most so many."""
    threads: int | None = None
    """Threads of each worker; as many as flyaround takes if not given, and one with --address. Films are the same byte for byte
    as those of flyaround with OMP_NUM_THREADS set to this."""
    memory_limit: Annotated[float | None, tyro.conf.arg(metavar="GB")] = None
    """Address space that a worker may take; a film that needs more fails."""
    tries: int = 2
    """How often a film is begun whose worker is killed; it goes on where it was. Other failures are not repeated."""
    array: Part = None
    """Make one part of the films, for job arrays on shared storage; the same command without it writes the whole table."""
    address: Annotated[str | None, tyro.conf.arg(metavar="local|auto|ray://HOST:PORT")] = None
    """Make the films on a Ray cluster; needs splatmem[cluster], and an --out that all its machines share."""
    gpus: float = 0.0
    """With --address: GPUs of each worker, which may be a fraction."""
    shards: Annotated[int | None, tyro.conf.arg(metavar="FILMS")] = None
    """Write WebDataset shards for training too, with so many films each: video, depth, cameras and splats."""
    overwrite: bool = False
    """Replace films that were made with other options than their rows give now."""
    dry_run: bool = False
    """Make nothing: check the rows, and write the table and the page of what is there."""

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        for name, value in (
            ("workers", self.workers),
            ("threads", self.threads),
            ("tries", self.tries),
            ("shards", self.shards),
        ):
            if value is not None and value < 1:
                raise ValueError(f"--{name} is 1 or more, got {value}")
        if self.memory_limit is not None and self.memory_limit <= 0:
            raise ValueError(f"--memory-limit is a number of gigabytes above 0, got {self.memory_limit:g}")
        if self.gpus < 0 or (self.gpus and self.address is None):
            raise ValueError("--gpus is a number from 0 on, and goes with --address")
        if self.address is not None and self.address not in ("local", "auto") and not self.address.startswith("ray://"):
            raise ValueError(f"--address is local, auto or ray://HOST:PORT, got {self.address!r}")
        self.defaults()

    def defaults(self) -> dict[str, Any]:
        """The options that ``--each`` gives to every row.

        Raises:
            ValueError: it names no option of flyaround, or a value that cannot be used.
        """
        return parse_settings(self.each)
