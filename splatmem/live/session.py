"""The owner of the scene: a thread that carries out one operation after the other, saves what came of each, and says what it is
doing. Whoever draws reads snapshots, which do not change."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from splatmem.edit.history import Step
from splatmem.jobs.errors import explained
from splatmem.memory import SpatialMemory
from splatmem.scene import Announce, Scene

Work = Callable[[Scene, Announce], str | None]  # returns a sentence about what was done
Spare = Callable[[Scene, Callable[[], None]], str | None]  # told where it may be left off; returns what is done, or None
SPARE_SECONDS = 0.25  # between two looks whether there is time to spare
INTERRUPTED = "the program ended in the middle of a path: what it had made is kept, and filming the path again makes the rest"
SMOOTHING = 0.5  # of the durations by which the time left is told


class StoppedError(Exception):
    """Raised within an operation that the user stops; the scene is as it was before it."""


@dataclass(frozen=True)
class Snapshot:
    """A scene between two operations.

    Attributes:
        memory: shares its tensors with the scene's, which are never changed in place.
        history: the steps that led there.
        can_redo: whether a step was undone.
        version: grows with every change.
    """

    memory: SpatialMemory
    history: tuple[Step, ...]
    can_redo: bool
    version: int


@dataclass(frozen=True)
class Activity:
    """What is being done.

    Attributes:
        label: a few words.
        kind: of what it is one.
        share: of it that is done, 0..1; 0 where that is not known.
        seconds: that it took when it was done last, or None.
        started: by ``time.monotonic``.
        waiting: operations that come after it.
    """

    label: str
    kind: str
    share: float
    seconds: float | None
    started: float
    waiting: int

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it ends, as far as can be told."""
        gone = time.monotonic() - self.started
        if self.share > 0.05:
            return gone * (1 - self.share) / self.share
        return None if self.seconds is None else max(0.0, self.seconds - gone)


@dataclass(frozen=True)
class Told:
    """A sentence for the users: about what was done, or what went wrong."""

    text: str
    is_error: bool
    number: int


@dataclass
class _Job:
    label: str
    work: Work
    kind: str
    done: Callable[[bool], None] | None = None
    stopped: bool = field(default=False)


class Session:
    """Carries out operations on a scene in one thread."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        """Args:
        scene: saved in ``folder``. From here on nobody else may touch it.
        folder: where further files go.
        """
        self.folder = folder
        self._scene = scene
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._current: _Job | None = None
        self._seconds: dict[str, float] = {}
        self._listeners: list[Callable[[], None]] = []
        self._unsaved = False
        self.snapshot = self._snapshot(0)
        self.activity: Activity | None = None
        self.told = Told(INTERRUPTED if scene.history and scene.history[-1].unfinished else "", False, 0)
        self.ahead = ""  # what was done ahead in spare time
        self._spare: Spare | None = None
        self._has_time: Callable[[], bool] = lambda: True
        self._thread = threading.Thread(target=self._run, name="scene", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends when the operation that is under way has ended; it is asked to stop."""
        self.stop_current()
        self._jobs.put(None)
        self._thread.join()

    def listen(self, listener: Callable[[], None]) -> None:
        """``listener`` is called, in the session's thread, whenever the snapshot, the activity or what is told is another."""
        self._listeners.append(listener)

    @property
    def is_busy(self) -> bool:
        return self._current is not None or not self._jobs.empty()

    def submit(self, label: str, work: Work, kind: str = "", done: Callable[[bool], None] | None = None) -> None:
        """Has an operation carried out after those that wait.

        Args:
            label: a few words for the users.
            work: the operation. It is whole or not at all: if it raises, the scene is as it was.
            kind: under which its duration is remembered; the label if empty.
            done: called in the session's thread at its end, with whether it was carried out.
        """
        self._jobs.put(_Job(label, work, kind or label, done))

    def in_spare_time(self, spare: Spare, has_time: Callable[[], bool]) -> None:
        """Has something done piece by piece while no operation waits; it must not change the scene.

        Args:
            spare: does one piece. What it is given raises where an operation waits or there is no time any more; it then goes
                on later. It returns a few words about what is done, or None when there is nothing to do until the scene is
                another.
            has_time: whether there is time for it.
        """
        self._spare, self._has_time = spare, has_time

    def stop_current(self) -> None:
        """Asks the operation that is under way to stop; it does so when it next tells its progress."""
        job = self._current
        if job is not None:
            job.stopped = True

    def tell(self, text: str, is_error: bool = False) -> None:
        """A sentence for all users."""
        self.told = Told(text, is_error, self.told.number + 1)
        self._notify()

    def show(self) -> None:
        """Shows the scene as it is in the middle of an operation, in whose thread this is called."""
        self.snapshot = self._snapshot(self.snapshot.version + 1)
        self._notify()

    def keep(self) -> None:
        """Shows and saves the scene as it is in the middle of an operation, in whose thread this is called: if the program is
        killed later, what was made so far stays. An operation that is stopped, or fails, is taken back from the disk too."""
        self.show()
        with suppress(OSError, ValueError):  # told at its end
            self._save()

    def _snapshot(self, version: int) -> Snapshot:
        scene = self._scene
        return Snapshot(replace(scene.memory), tuple(scene.history), bool(scene.timeline.ahead), version)

    def _notify(self) -> None:
        for listener in self._listeners:
            try:
                listener()
            except Exception:  # one browser that cannot be told anything must not end the session
                traceback.print_exc()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._current = job
            carried_out = False
            try:
                carried_out = self._carry_out(job)
            finally:
                self._current = self.activity = None
                if job.done is not None:
                    job.done(carried_out)
                self._notify()

    def _next(self) -> _Job | None:
        """The next operation. Until it comes, spare time is used."""
        more = self._spare is not None
        while more:
            try:
                return self._jobs.get(timeout=SPARE_SECONDS)
            except queue.Empty:
                more = not self._has_time() or self._use_spare_time()
        return self._jobs.get()

    def _use_spare_time(self) -> bool:
        """Whether there is more to do."""

        def pause() -> None:
            if not self._jobs.empty() or not self._has_time():
                raise StoppedError

        assert self._spare is not None
        try:
            done = self._spare(self._scene, pause)
        except StoppedError:
            return True
        except Exception:  # nobody has asked for it: whoever does is told
            traceback.print_exc()
            return False
        if done is not None:
            self.ahead = done
            self._notify()
        return done is not None

    def _carry_out(self, job: _Job) -> bool:
        started, shown = time.monotonic(), 0.0

        def announce(stage: str, share: float) -> None:
            nonlocal shown
            if job.stopped:
                raise StoppedError
            if time.monotonic() - shown > 0.1:
                shown = time.monotonic()
                label = job.label if stage in ("", job.label) else f"{job.label}: {stage}"
                self.activity = Activity(label, job.kind, share, self._seconds.get(job.kind), started, self._jobs.qsize())
                self._notify()

        try:
            announce("", 0.0)
            before = self._state()
            sentence = job.work(self._scene, announce)
            if self._unsaved or _differs(before, self._state()):
                self.show()
                self._save()
            if sentence:
                self.tell(sentence)
        except StoppedError:
            self._take_back()
            self.tell(f"stopped: {job.label}")
            return False
        except Exception as error:
            self._take_back()
            sentence = explained(error)
            if sentence is None:  # a fault of this program: the terminal gets all of it
                traceback.print_exc()
                sentence = f"{type(error).__name__}: {error}"
            self.tell(sentence, is_error=True)
            return False
        taken = time.monotonic() - started
        known = self._seconds.get(job.kind, taken)
        self._seconds[job.kind] = known + SMOOTHING * (taken - known)
        return True

    def _take_back(self) -> None:
        """Shows the scene as it was before an operation that did not come to its end, if parts of that were shown."""
        if self.snapshot.memory.gaussians is not self._scene.memory.gaussians:
            self.keep()

    def _state(self) -> list[object]:
        """What is another object whenever the scene has changed."""
        scene = self._scene
        return [scene.memory.gaussians, scene.selections, *scene.history, *scene.timeline.ahead]

    def _save(self) -> None:
        self._unsaved = True
        try:
            self._scene.save()
        except (OSError, ValueError) as error:
            raise OSError(f"not saved, but kept here: {explained(error)}; it is saved with the next step") from error
        self._unsaved = False


def _differs(before: list[object], after: list[object]) -> bool:
    return len(before) != len(after) or any(a is not b for a, b in zip(before, after, strict=True))
