"""Damaged files of every kind: read right, or refused in a sentence, in time and within memory; never anything else."""

from __future__ import annotations

import faulthandler
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import pytest
import torch
from mutations import mutated
from parsers import PARSERS, Parser

ORDINARY, MANY = 40, 1600  # inputs for each of the parsers
SECONDS, BYTES = 5, 2**30  # that one input may take
TABLE = Path("out/fuzz.md")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: limits a process as Linux does")


@dataclass
class Outcome:
    """What came of a parser's inputs; faults are told with the number of the input, from which it can be made again."""

    tried: int = 0
    accepted: int = 0
    faults: list[str] = field(default_factory=list)


def try_all(parser: Parser, folder: Path, count: int, seed: int) -> Iterator[Outcome]:
    """Reads ``count`` damaged inputs, and yields what came of them so far before each and at the end."""
    outcome = Outcome()
    names = parser.prepare(folder)
    sound = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        parser.read(folder, name)
    for number in range(count):
        rng = random.Random(f"{parser.name} {seed} {number}")
        name = names[number % len(names)]
        (folder / name).write_bytes(mutated(sound[name], rng, parser.text))
        yield outcome
        outcome.tried += 1
        try:
            parser.read(folder, name)
            outcome.accepted += 1
        except (ValueError, OSError) as error:
            # Subclasses of ValueError (of Unicode, of JSON) come from below, and do not say what to do.
            foreign = isinstance(error, UnicodeError | json.JSONDecodeError) or type(error).__module__ not in OWN
            if foreign or len(str(error).split()) < 4 or str(folder) not in str(error):
                outcome.faults.append(f"{number} of {name}: no sentence: {type(error).__name__}: {str(error)[:200]}")
        except BaseException as error:
            told = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(told.filename).name}:{told.lineno}"
            outcome.faults.append(f"{number} of {name}: {type(error).__name__} at {place}: {str(error)[:200]}")
        finally:
            (folder / name).write_bytes(sound[name])
    yield outcome


OWN = ("builtins", "splatmem.io.pictures")


def in_a_limited_process(parser: Parser, folder: Path, count: int, seed: int = 0) -> Outcome:
    """``try_all`` in a process of its own, which an alarm ends if one input takes too long."""
    report = folder / "outcome.json"
    inputs = folder / "inputs"
    inputs.mkdir()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            import resource

            faulthandler.disable()
            torch.set_num_threads(1)
            cv2.setNumThreads(0)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders complain there
            with open("/proc/self/statm") as file:
                used = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
            for outcome in try_all(parser, inputs, count, seed):
                report.write_text(json.dumps(asdict(outcome)))
                signal.alarm(SECONDS)
            status = 0
        except BaseException:
            (folder / "error").write_text(traceback.format_exc())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert report.is_file(), (folder / "error").read_text()
    outcome = Outcome(**json.loads(report.read_text()))
    if status != 0:
        why = f"more than {SECONDS} s" if status == -signal.SIGALRM else f"the process ended with {status}"
        told = (folder / "error").read_text()[-500:] if (folder / "error").is_file() else ""
        outcome.faults.append(f"{outcome.tried} of {parser.name}: {why} {told}")
    return outcome


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_some_damaged_files(parser: Parser, tmp_path: Path) -> None:
    outcome = in_a_limited_process(parser, tmp_path, ORDINARY)
    assert outcome.faults == []
    assert outcome.tried == ORDINARY


@pytest.mark.slow
def test_twenty_thousand_damaged_files(tmp_path: Path) -> None:
    """Writes a table of what came of them to ``out/fuzz.md``."""
    rows, faults = [], []
    for parser in PARSERS:
        folder = tmp_path / parser.name.replace(" ", "_")
        folder.mkdir()
        outcome = in_a_limited_process(parser, folder, MANY, seed=1)
        rows.append((parser.name, outcome.tried, outcome.accepted, len(outcome.faults)))
        faults += [f"{parser.name}: {fault}" for fault in outcome.faults]
        shutil.rmtree(folder)
    totals = ("all", *(sum(row[column] for row in rows) for column in (1, 2, 3)))
    lines = ["| parser | tried | accepted | faults |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in [*rows, totals]]
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text("\n".join(lines) + "\n" + "".join(f"\n- {fault}" for fault in faults))
    print("\n" + TABLE.read_text())
    assert faults == []
    assert totals[1] >= 20_000
