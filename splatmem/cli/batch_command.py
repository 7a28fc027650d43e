"""What ``splatmem batch`` does and prints."""

from __future__ import annotations

from pathlib import Path

from splatmem.batch.options import BatchOptions
from splatmem.report.progress import RunProgress

SOME_FAILED = 1  # exit status


def has_begun(out: str) -> bool:
    """Whether a batch has begun there."""
    from splatmem.batch.results import BATCH
    from splatmem.io.ownership import is_ours

    return is_ours(Path(out), BATCH)


def batch(options: BatchOptions, progress: RunProgress) -> int:
    """Carries it out; returns the exit status."""
    from splatmem.batch.run import FAILED, KEPT, MADE, WAITING
    from splatmem.batch.run import batch as make

    summary = make(options, progress)
    said = {MADE: "made", KEPT: "there already", FAILED: "failed", WAITING: "to be made"}
    counts = [f"{summary.count(state)} {word}" for state, word in said.items() if summary.count(state)]
    progress.say(f"{len(summary.lines)} films: {', '.join(counts)}; {summary.seconds:.0f} s")
    if summary.count(MADE) and summary.film_seconds:
        share = 100 * summary.load_seconds / summary.film_seconds
        rate = 3600 * summary.count(MADE) / summary.seconds
        progress.say(f"{rate:.0f} films/hour; {share:.1f} % of the workers' time went into loading models")
    for note in summary.notes:
        progress.say(f"note: {note}")
    progress.say(f"see {options.out}/{'results*.csv' if options.array else 'index.html'}")
    progress.result(folder=options.out, **{state: summary.count(state) for state in said})
    return SOME_FAILED if summary.count(FAILED) else 0
