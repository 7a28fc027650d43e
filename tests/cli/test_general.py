"""Options that every command takes: what is said, to whom, and on how many threads."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from splatmem import assets
from splatmem.cli.general import HELP, GeneralOptions, take_general, use_threads
from splatmem.cli.main import main
from splatmem.jobs.option_types import OptionError

PHOTO = str(assets.path("photos/interior_table.jpg"))
SMALL = ("flyaround", PHOTO, "--size", "96x64", "--seconds", "0.25", "--path", "dolly")
PAGE = Path(__file__).parents[2] / "docs" / "services.md"


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    return int(stop.value.code or 0)


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_they_are_taken_wherever_they_stand():
    words = ["remove", "--quiet", "room", "--box", "-1,0,2", "--threads", "3", "--at", "5,6", "--log-file=a b", "-x"]
    options, rest = take_general(words)
    assert options == GeneralOptions(quiet=True, threads=3, log_file=Path("a b"))
    assert rest == ["remove", "room", "--box", "-1,0,2", "--at", "5,6", "-x"]
    assert take_general(["--js", "--thread", "2"])[1] == ["--js", "--thread", "2"], "no abbreviations"


@pytest.mark.parametrize("words", [["--threads", "0"], ["--threads", "many"], ["--threads"], ["--log-file"]])
def test_what_cannot_be_used(words):
    with pytest.raises(OptionError, match=words[0]):
        take_general(words)


def test_every_help_tells_them(capsys):
    assert run("export", "--help") == 0
    assert HELP in capsys.readouterr().out
    assert set(re.findall(r"--[a-z-]+", HELP)) <= set(re.findall(r"--[a-z-]+", PAGE.read_text()))


def test_a_run_in_json(tmp_path, capsys):
    assert run(*SMALL, "--out", tmp_path / "out", "--json", "--log-file", tmp_path / "log") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    events = lines(printed.out)
    assert [events[0]["event"], events[-1]["event"], events[-1]["status"]] == ["start", "end", 0]
    documented = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE.read_text(), re.M))
    for event in events:
        told = documented[event.pop("event")]
        keys = {"folder", "report"} if told == "see below" else set(re.findall(r"`(\w+)`", told))
        assert set(event) == keys | {"seconds"}
    (result,) = [event for event in lines(printed.out) if event["event"] == "result"]
    assert Path(result["folder"]) == tmp_path / "out"
    assert result["report"]["frames"] == 6
    kinds = [event["event"] for event in lines(printed.out)]
    assert kinds.index("preview") < kinds.index("result")
    log = (tmp_path / "log").read_text()
    assert "INFO filming" in log
    assert "INFO end: status 0" in log


def test_an_error_in_json(tmp_path, capsys):
    assert run("flyaround", "nothere.jpg", "--out", tmp_path / "out", "--json", "--log-file", tmp_path / "log") == 2
    printed = capsys.readouterr()
    assert [(e["event"], e.get("text") or e.get("status")) for e in lines(printed.out)[1:]] == [
        ("error", "there is no photo nothere.jpg"),
        ("end", 2),
    ]
    assert printed.err == ""
    log = (tmp_path / "log").read_text()
    assert "ERROR there is no photo nothere.jpg" in log
    assert "Traceback" in log


def test_a_quiet_run_says_nothing_but_errors(tmp_path, capsys):
    assert run(*SMALL, "--out", tmp_path / "out", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run(*SMALL, "--out", tmp_path / "out", "--quiet") == 2
    assert "is not empty" in capsys.readouterr().err


def test_of_a_quiet_doctor_the_status_tells(capsys):
    assert run("doctor", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_log_file_that_cannot_be_written(tmp_path, capsys):
    assert run("doctor", "--log-file", tmp_path / "nowhere" / "log") == 2
    assert "nowhere" in capsys.readouterr().err


def test_threads():
    code = "from splatmem.cli.general import use_threads; use_threads(1); import torch; print(torch.get_num_threads())"
    surroundings = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    ended = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=True)
    assert ended.stdout == "1\n"


def test_threads_after_pytorch_was_imported(monkeypatch):
    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    try:
        use_threads(None)
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (before, "7")
        use_threads(before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seconds", "2", "--frames", "50"], "are 48 frames, not 50"),
        (["--seconds", "-2"], "a number of seconds above 0"),
        (["--seconds", "1e9"], "a film has 2 to 10000 frames"),
    ],
)
def test_seconds_that_cannot_be_used(words, said, tmp_path, capsys):
    assert run("flyaround", PHOTO, "--out", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err
