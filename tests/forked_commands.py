"""The command line in real processes, without the seconds that imports take.

A server imports the package once and forks for every command: each is a process of its own, with its own exit status, output
and death, but it starts in milliseconds. Nothing is replaced in it by a stand-in.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from splatmem import assets

import remembered_depths

PHOTO = assets.path("photos/interior_table.jpg")
SMALL_RUN = ("--size", "96x64", "--frames", 12)
"""Options of a run of the main job that takes a few seconds and makes two windows."""

TIME_LIMIT = 120.0  # seconds that a command of these tests may take at most


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit status (negative: the signal that killed it), what it printed, what it wrote to stderr."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error's line, which must be the last one and the only one of its kind."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert lines, "nothing was said"
        assert lines[-1].startswith("error: "), self.err
        assert sum(line.startswith(("error:", "Traceback")) for line in lines) == 1, self.err
        return lines[-1]


class Running:
    """A command that was started; ``wait`` must be called once."""

    def __init__(self, server: ForkedCommands, pid: int, folder: Path) -> None:
        self.server, self.pid, self.folder = server, pid, folder

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, unless the command has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait_for(self, words: str) -> bool:
        """Until ``words`` stand on stderr; False if the command's output stays without them for too long."""
        deadline = time.monotonic() + TIME_LIMIT
        while words not in (self.folder / "err").read_text():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    @property
    def changes(self) -> int:
        """How often the command changed the file system below the folder that was watched."""
        return int((self.folder / "changes").read_text() or 0)

    def wait(self) -> Ended:
        status = int(self.server.answer())
        return Ended(status, (self.folder / "out").read_text(), (self.folder / "err").read_text())


class ForkedCommands:
    """Runs ``splatmem`` command lines, one at a time."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.folder, self.count = process, folder, 0

    def start(
        self,
        *arguments: object,
        die_at: int | None = None,
        watch: Path | None = None,
        installation: Path | None = None,
    ) -> Running:
        """Starts a command.

        Args:
            die_at: the command kills itself with SIGKILL just before its ``die_at``-th change to the file system below
                ``watch``; 0: never. How many changes there were is told by ``Running.changes``.
            installation: where the package looks for its models and presets.
        """
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        for name in ("out", "err"):
            (folder / name).touch()
        request = {
            "arguments": [str(a) for a in arguments],
            "folder": str(folder),
            "die_at": die_at,
            "watch": str(watch),
            "installation": installation and str(installation),
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return Running(self, int(self.answer()), folder)

    def __call__(self, *arguments: object, installation: Path | None = None) -> Ended:
        """Runs a command to its end."""
        return self.start(*arguments, installation=installation).wait()

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the server of commands has ended")
        return line


@contextmanager
def forked_commands() -> Iterator[ForkedCommands]:
    """A server of commands for the duration of the block."""
    with tempfile.TemporaryDirectory(prefix="splatmem-commands-") as folder:
        process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield ForkedCommands(process, Path(folder))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


# What a run imports on its way.
IMPORTED_BEFOREHAND = (
    *(
        "splatmem.cli.main",
        "splatmem.jobs.flyaround",
        "splatmem.inpaint.migan.inpainter",
        "splatmem.depth.embedded.network",
        "splatmem.viewer.inspect",
    ),
    *("matplotlib.backends.backend_svg", "matplotlib.figure", "diffusers", "kornia", "plyfile", "transformers", "typeguard"),
    *("scipy.sparse.linalg", "gaussforge", "PIL.JpegImagePlugin", "tyro._backends._tyro_backend", "splatmem.depth.prompted"),
)


def _serve() -> None:
    os.environ["OMP_WAIT_POLICY"] = "passive"
    for name in IMPORTED_BEFOREHAND:
        importlib.import_module(name)
    remembered_depths.remember()
    for line in sys.stdin:
        request = json.loads(line)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _become(request)
        print(pid, flush=True)
        deadline = time.monotonic() + TIME_LIMIT
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
        print(os.waitstatus_to_exitcode(status), flush=True)
    os._exit(0)  # taking so many modules down in order takes seconds


def _become(request: dict) -> None:
    """Turns the forked child into the command; does not return."""
    from splatmem import assets
    from splatmem.cli import main as cli

    status = 1
    try:
        os.chdir(request["folder"])
        nothing = os.open(os.devnull, os.O_RDONLY)
        files = [os.open(Path(request["folder"]) / name, os.O_WRONLY | os.O_APPEND) for name in ("out", "err")]
        for target, source in enumerate([nothing, *files]):
            os.dup2(source, target)
        if request["die_at"] is not None:
            _die_at_change(request["die_at"], request["watch"], Path(request["folder"]) / "changes")
        if request["installation"] is not None:
            assets.PACKAGE = Path(request["installation"]) / "splatmem"
        cli.main(request["arguments"])
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def _die_at_change(number: int, watch: str, counter: Path) -> None:
    """Counts changes below ``watch`` (Python announces them before they happen), and dies before one of them."""
    seen: list[str] = []
    log = os.open(counter, os.O_WRONLY | os.O_CREAT)

    def hook(event: str, arguments: tuple) -> None:
        changing = bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)) if event == "open" else event in CHANGES
        if changing and any(
            isinstance(a, str | bytes | os.PathLike) and os.fsdecode(a).startswith(watch) for a in arguments[:2]
        ):
            seen.append(event)
            os.pwrite(log, f"{len(seen)}".encode(), 0)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
