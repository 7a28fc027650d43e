"""The batch: from a manifest to folders of films, a table and a page of all. The films themselves are made by workers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from splatmem.batch.index_page import write_index
from splatmem.batch.machine import plan_workers
from splatmem.batch.manifest import PLACES, Row, read_manifest
from splatmem.batch.options import BatchOptions
from splatmem.batch.places import is_url
from splatmem.batch.results import WORK, Results
from splatmem.batch.table import csv_bytes, parquet_bytes, table_row
from splatmem.batch.workers import WorkerSettings, run_workers

KEPT, FAILED, WAITING, MADE = "kept", "failed", "waiting", "made"
SPOKEN_EVERY = 2.0  # seconds between two lines about films that went well
GB = 10**9


class Teller(Protocol):
    """What is told of the progress; see ``RunProgress``."""

    def __call__(self, stage: str, share: float) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass
class BatchSummary:
    """What a batch has come to.

    Attributes:
        lines: of the table, one for each row of the manifest, or of the part of it that was to be made.
        seconds: that it took.
        load_seconds: that its workers spent in loading models, added up.
        film_seconds: that they spent on films, the loading included.
        notes: sentences for a reader.
    """

    lines: list[dict[str, Any]]
    seconds: float
    load_seconds: float
    film_seconds: float
    notes: list[str] = field(default_factory=list)

    def count(self, state: str) -> int:
        """How many films ended so: made, kept, failed or waiting."""
        return sum(line["state"] == state for line in self.lines)


def batch(options: BatchOptions, tell: Teller) -> BatchSummary:
    """Makes the films of a manifest. What is whole is kept, what is begun goes on; a film that fails is a line of the table.

    Raises:
        ValueError: the options or the manifest cannot be used.
        OSError: the manifest cannot be read, or nothing can be written.
    """
    options.check()
    started = time.perf_counter()
    rows = read_manifest(options.manifest, options.defaults())
    if options.array is not None:
        rows = rows[options.array[0] :: options.array[1]]
    results = Results(options.out)
    outcomes = [_known(row, results, options) for row in rows]
    state = _State(rows, outcomes, tell, started)
    try:
        todo = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome["state"] == WAITING]
        if todo and not options.dry_run:
            tell("films", (len(rows) - len(todo)) / len(rows))
            for outcome in _made(todo, results, options, tell):
                state.take(outcome)
                results.log({key: value for key, value in outcome.items() if key != "report"})
        if options.shards is not None and not options.dry_run:
            from splatmem.batch.shards import write_shards

            names = [line["id"] for line in state.lines() if line["state"] in (MADE, KEPT)]
            write_shards(results, names, options.shards, options.array, tell)
    finally:  # after Ctrl-C too
        notes = _write_tables(results, state.lines(), options.array)
    return BatchSummary(state.lines(), time.perf_counter() - started, state.load_seconds, state.film_seconds, notes)


def _known(row: Row, results: Results, options: BatchOptions) -> dict[str, Any]:
    """How a film stands before any work: it cannot be made, is whole, or waits."""
    if row.problem is not None:
        return {"id": row.name, "state": FAILED, "error": row.problem}
    try:
        film = row.options(results.film(row.name))
        if not any(is_url(row.values.get(place, "")) for place in PLACES):
            film.check()
        report, _ = results.finished(row.name, film, options.overwrite)
    except (ValueError, OSError) as error:
        return {"id": row.name, "state": FAILED, "error": str(error)}
    return {"id": row.name, "state": WAITING if report is None else KEPT, "report": report}


def _made(rows: Sequence[Row], results: Results, options: BatchOptions, tell: Teller) -> Iterator[dict[str, Any]]:
    """Has the films made, here or on a cluster; yields how each ended."""
    limit = None if options.memory_limit is None else round(options.memory_limit * GB)
    if options.address is not None:
        from splatmem.batch.cluster import connect, run_on_ray

        connect(options.address)
        return run_on_ray(
            rows, film_maker, (results.place, options.overwrite), workers=options.workers, threads=options.threads or 1,
            gpus=options.gpus, memory_limit=limit, tries=options.tries, work=results.folder / WORK, tell=tell,
        )  # fmt: skip
    plan = plan_workers(rows, options.threads, limit)
    count = min(options.workers or plan.workers, len(rows))
    tell.say(f"{count} worker{'s' if count > 1 else ''} for {len(rows)} films ({plan.reason})")
    threads = {} if options.threads is None else {name: str(options.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    settings = []
    for number in range(count):
        environment = {"OMP_WAIT_POLICY": "passive", **threads}
        if plan.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = plan.gpus[number % len(plan.gpus)]
        log = results.folder / WORK / f"worker-{number + 1}.log"
        settings.append(WorkerSettings(film_maker, (results.place, options.overwrite), log, limit, tuple(environment.items())))
    return run_workers(rows, settings, options.tries)


def film_maker(out: str, overwrite: bool) -> Any:
    """What a worker starts with; here so that the parent need not import PyTorch."""
    from splatmem.batch.films import FilmMaker

    return FilmMaker(Results(out), overwrite)


class _State:
    """How each film stands, and how fast it goes."""

    def __init__(self, rows: Sequence[Row], outcomes: list[dict[str, Any]], tell: Teller, started: float) -> None:
        self.rows, self.outcomes, self.tell, self.started = rows, outcomes, tell, started
        self.numbers = {row.name: number for number, row in enumerate(rows)}
        self.ended = sum(outcome["state"] != WAITING for outcome in outcomes)
        self.made, self.failed, self.load_seconds, self.film_seconds, self.spoken = 0, 0, 0.0, 0.0, 0.0
        for outcome in outcomes:
            if outcome["state"] == FAILED:
                tell.say(f"{outcome['id']}: {outcome['error']}")
        kept = sum(outcome["state"] == KEPT for outcome in outcomes)
        if kept:
            tell.say(f"{kept} of {len(rows)} films are there already")

    def take(self, outcome: dict[str, Any]) -> None:
        """Notes how a film ended, and says so."""
        self.outcomes[self.numbers[outcome["id"]]] = outcome
        self.ended, self.made = self.ended + 1, self.made + 1
        self.load_seconds += outcome.get("load_seconds", 0.0)
        self.film_seconds += outcome.get("seconds", 0.0)
        passed = time.perf_counter() - self.started
        left = len(self.rows) - self.ended
        rate = f"{self.made / passed * 3600:.0f} films/hour" + (f", {_spoken(left * passed / self.made)} left" if left else "")
        if outcome["state"] == FAILED:
            self.tell.say(f"{outcome['id']}: {outcome['error']}")
        elif passed - self.spoken >= SPOKEN_EVERY or not left:
            self.spoken = passed
            self.tell.say(f"{self.ended} of {len(self.rows)}: {outcome['id']}, {outcome['seconds']:.0f} s; {rate}")
        self.tell("films", self.ended / len(self.rows))

    def lines(self) -> list[dict[str, Any]]:
        """The table, as it stands."""
        return [table_row(row, outcome) for row, outcome in zip(self.rows, self.outcomes, strict=True)]


def _spoken(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _write_tables(results: Results, lines: list[dict[str, Any]], part: tuple[int, int] | None) -> list[str]:
    """The table in its formats and, of a whole manifest, the page; returns notes."""
    notes, ending = [], "" if part is None else f".{part[0]}-of-{part[1]}"
    results.write(f"results{ending}.csv", csv_bytes(lines))
    table = parquet_bytes(lines)
    if table is None:
        notes.append("the table is there as results.csv alone: for results.parquet, pip install pyarrow")
    else:
        results.write(f"results{ending}.parquet", table)
    if part is None:
        ended = {state: sum(line["state"] == state for line in lines) for state in (MADE, KEPT, FAILED, WAITING)}
        whole = ended[MADE] + ended[KEPT]
        counts = [f"{whole} films", *(f"{ended[state]} {state}" for state in (FAILED, WAITING) if ended[state])]
        write_index(results, lines, counts)
    return notes
