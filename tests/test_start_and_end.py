"""How the command begins and ends in odd surroundings: signals in its first moments, closed pipes and streams, no home folder,
an output that knows ASCII only. Real processes, from the interpreter's start on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from splatmem import assets

PHOTO = str(assets.path("photos/interior_table.jpg"))
SLOW = pytest.mark.slow
COMMAND = (sys.executable, "-m", "splatmem")
NO_USER = """
import os, pwd, runpy, sys
os.environ.pop("HOME", None)
def nobody(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = nobody
sys.argv = ["splatmem", *sys.argv[1:]]
runpy.run_module("splatmem", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("tyro", signal.SIGINT),
        ("torch", signal.SIGTERM),
        ("splatmem.scene", signal.SIGINT),
        *(
            pytest.param(module, number, marks=SLOW)
            for module, number in (
                *(("tyro", signal.SIGTERM), ("torch", signal.SIGINT), ("splatmem.scene", signal.SIGTERM)),
                *((module, number) for module in ("rich.markup", "scipy") for number in (signal.SIGINT, signal.SIGTERM)),
            )
        ),
    ],
)
def test_a_signal_while_modules_are_imported(number: signal.Signals, module: str, tmp_path: Path) -> None:
    """The signal comes when a module is looked for, in the middle of the imports of the first seconds."""
    code = f"""
import os, sys
class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Sender())
from splatmem.cli.entry import main
sys.argv = ["splatmem", "flyaround", {PHOTO!r}, "--out", "out", "--size", "96x64"]
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + number, ended.stderr
    assert ended.stderr == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_background_jobs_keep_ignoring_what_their_shell_ignores(tmp_path: Path) -> None:
    code = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from splatmem.cli import interruption
interruption.ends_at_once()
os.kill(os.getpid(), signal.SIGINT)
print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "went on\n"), ended.stderr


@pytest.mark.parametrize("arguments", [["models", "list"], ["flyaround", "--help"]])
def test_a_reader_that_goes_away(arguments: list[str]) -> None:
    """``splatmem models list | head -1``: no traceback, and no error."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        ended = subprocess.run([*COMMAND, *arguments], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_closed_streams_do_not_become_files(tmp_path: Path) -> None:
    """With stdout and stderr closed, what is opened first must not get their numbers."""
    code = """
import os
from splatmem.cli.entry import open_missing_streams
os.close(1), os.close(2)
open_missing_streams()
file = open("file", "w")
assert file.fileno() > 2
os.write(1, b"lost")
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert ended.returncode == 0
    assert (tmp_path / "file").read_text() == ""


def without_a_user(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", NO_USER, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_no_home_folder_and_no_user(tmp_path: Path) -> None:
    """A container that was started with a user of which its system knows nothing."""
    (tmp_path / "out").mkdir()
    small = ("--size", "96x64", "--frames", "2", "--path", "dolly")
    ended = without_a_user("flyaround", PHOTO, "--out", "out", *small, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "video.mp4").is_file()
    ended = without_a_user("flyaround", PHOTO, "--out", "other", *small[:-1], "~/path.json", cwd=tmp_path)
    assert ended.returncode == 2
    assert "~/path.json: it is not known which folder ~ stands for: set HOME, or write the path out" in ended.stderr
    assert without_a_user("models", "list", cwd=tmp_path).returncode == 0


def test_an_output_that_knows_ascii_only(tmp_path: Path) -> None:
    surroundings = os.environ | {"PYTHONIOENCODING": "ascii"}
    for arguments in (["models", "list"], ["models", "info", "embedded"], ["flyaround", "--help"], ["flyaround", "schön.jpg"]):
        ended = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, env=surroundings, capture_output=True, check=False)
        assert ended.returncode == (2 if "schön.jpg" in arguments else 0), ended.stderr
        assert (ended.stdout + ended.stderr).decode("ascii")
        assert b"Traceback" not in ended.stderr
