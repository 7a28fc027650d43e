"""The panel for shooting: keyframes from the view, shots and cuts, playing, filming, files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import viser

from splatmem.geometry.cameras import Cameras
from splatmem.geometry.poses import rigid_inverse
from splatmem.jobs.edit import fill_for
from splatmem.jobs.option_types import check_film, parse_size
from splatmem.live.desk import Desk, Guest
from splatmem.live.files import FILMS, PATH_KINDS, PATHS, SHOTS, free_name, inside, path_files, read_path, save_path, uploaded
from splatmem.live.framing import View
from splatmem.live.look_panel import distance_ahead, go_to
from splatmem.live.path_nodes import PathNodes
from splatmem.live.storyboard import Key, Shot, Storyboard
from splatmem.memory.film import film_memory
from splatmem.scene import Announce, Scene
from splatmem.trajectory.names import PRESET_NAMES
from splatmem.trajectory.presets import make_path
from splatmem.trajectory.trajectory import Trajectory

PRESET_KEYS = {"turn": 12, "orbit": 12, "arc": 12, "spiral": 24, "dolly": 5}
PRESET_SECONDS = 4.0
THIS_SHOT, WHOLE_FILM = "this shot", "all shots"


class ShootPanel:
    """Edits the storyboard, plays and films it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._board = Storyboard.load(desk.session.folder)
        self._place, self._key = 0, None if not self._board.shots[0].keys else 0
        self._lock = threading.RLock()
        self._hidden = False
        self._quiet = False  # while the interface is brought up with the storyboard
        self._nodes = PathNodes(desk, self._choose_key, self._dragged)
        self._build()
        self._show()

    # ------------------------------------------------------------------------------------------------ the interface

    def _build(self) -> None:
        gui, desk = self._desk.server.gui, self._desk
        self._shots = gui.add_dropdown("Shot", ("shot 1",))
        self._edits = gui.add_button_group("", ("new", "copy", "delete"))
        self._order = gui.add_button_group("", ("earlier", "later"), visible=len(self._board.shots) > 1)
        self._facts = gui.add_markdown("")
        desk.button("Set a keyframe here", self._set_key, icon=viser.Icon.CAMERA_PLUS, color="blue", hint="Key: K")
        with gui.add_folder("Keyframes", expand_by_default=False):
            self._keys = gui.add_dropdown("Keyframe", ("none",))
            self._key_acts = gui.add_button_group("", ("go to", "set to this view"))
            self._key_order = gui.add_button_group("", ("earlier", "later", "delete"))
            self._seconds = gui.add_number("Seconds before it", 2.0, min=0.01, max=600.0, step=0.1)
            self._arrows = gui.add_checkbox("Arrows to drag it by", False)
            self._closed = gui.add_checkbox("Back to the first", False)
            self._length = gui.add_number("Seconds in all", 0.0, min=0.0, max=600.0, step=0.1)
            self._prompt = gui.add_text("Words", "", hint="What is to be seen in this shot; read by large models alone")
        with gui.add_folder("A move from here", expand_by_default=False):
            self._preset = gui.add_dropdown("Move", PRESET_NAMES, initial_value="spiral")
            desk.button("Lay it from this view", self._lay, color="gray")
        self._moment = gui.add_slider("Moment", 0.0, 1.0, 0.001, 0.0)
        self._play_button = desk.button("Play", self._play, icon=viser.Icon.PLAYER_PLAY, hint="Key: P")
        with gui.add_folder("Film"):
            self._what = gui.add_dropdown("Film", (THIS_SHOT, WHOLE_FILM))
            width, height = desk.size
            self._film_size = gui.add_text("Size", f"{width}x{height}")
            self._fps = gui.add_number("Frames a second", self._board.fps, min=1.0, max=240.0, step=1.0)
            self._fill = gui.add_checkbox("First make what is missing", True)
            desk.button("Film it", self._film, icon=viser.Icon.MOVIE, color="red")
            self._films = gui.add_dropdown("Films", ("none yet",))
            desk.button("Download", self._download, color="gray")
        with gui.add_folder("Files", expand_by_default=False):
            self._kind = gui.add_dropdown("Kind", PATH_KINDS, initial_value=SHOTS)
            desk.button("Save the shots", self._save_path, color="gray")
            self._saved = gui.add_dropdown("Saved", ("none yet",))
            desk.button("Load", self._load, color="gray")
            upload = gui.add_upload_button("Load from this computer", hint="Shots, keyframes, camera_path.json, TUM, ...")
        self._seen = gui.add_checkbox("Show the path", True)
        for handle, act in (
            (self._shots, self._choose_shot), (self._keys, self._key_chosen), (self._seconds, self._timed),
            (self._closed, self._close), (self._length, self._stretch), (self._prompt, self._worded),
            (self._moment, self._scrub), (self._fps, self._paced),
        ):  # fmt: skip
            handle.on_update(desk.answered(self._unless_quiet(act)))
        for handle in (self._seen, self._arrows):
            handle.on_update(desk.answered(lambda event: self._show()))
        for group in (self._edits, self._order):
            group.on_click(desk.answered(self._edit_shots))
        self._key_acts.on_click(desk.answered(self._use_key))
        self._key_order.on_click(desk.answered(self._edit_keys))
        upload.on_upload(desk.answered(self._uploaded))
        desk.server.gui.add_command("Set a keyframe here", hotkey="K").on_trigger(desk.answered(self._set_key))
        desk.server.gui.add_command("Play the shot", hotkey="P").on_trigger(desk.answered(self._play))

    def _unless_quiet(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda event: None if self._quiet or event.client is None else act(event)

    @property
    def shot(self) -> Shot:
        """The shot that is edited."""
        return self._board.shots[self._place]

    def _put(self, board: Storyboard, place: int | None = None, key: int | None = None) -> None:
        """Takes a storyboard over, keeps it on disk and shows it. One that cannot be kept is not taken over."""
        with self._lock:
            try:
                board.save(self._desk.session.folder)
            except (OSError, ValueError):
                self._show()
                raise
            self._board = board
            self._place = min(self._place if place is None else place, len(board.shots) - 1)
            keys = len(self.shot.keys)
            self._key = None if not keys else min(key if key is not None else self._key or 0, keys - 1)
        self._show()

    def _put_shot(self, shot: Shot, key: int | None = None) -> None:
        self._put(self._board.with_shot(self._place, shot), key=key)

    def _show(self) -> None:
        with self._lock:
            self._quiet = True
            try:
                self._show_values()
            finally:
                self._quiet = False
            seen = self._seen.value and not self._hidden
            self._nodes.show(self.shot if seen else None, self._key, self._arrows.value)

    def give_way(self, hidden: bool) -> None:
        """Takes the path out of the scene as long as something else is clicked there."""
        self._hidden = hidden
        self._show()

    def _show_values(self) -> None:
        shot, board = self.shot, self._board
        labels = tuple(f"{place}: {one.name}" for place, one in enumerate(board.shots, start=1))
        _options(self._shots, labels, labels[self._place])
        self._order.visible = len(board.shots) > 1
        total = sum(one.seconds for one in board.shots)
        whole = f" · the film has {len(board.shots)} shots, {total:.1f} s" if len(board.shots) > 1 else ""
        keyframes = "1 keyframe" if len(shot.keys) == 1 else f"{len(shot.keys)} keyframes"
        self._facts.content = f"**{keyframes}, {shot.seconds:.1f} s**{whole}"
        keys = tuple(str(place) for place in range(1, len(shot.keys) + 1)) or ("none",)
        _options(self._keys, keys, "none" if self._key is None else str(self._key + 1))
        self._seconds.value = 2.0 if self._key is None else round(shot.keys[self._key].seconds, 4)
        self._closed.value, self._prompt.value = shot.closed, shot.prompt
        self._length.value = round(shot.seconds, 4)
        self._fps.value = board.fps
        folder = self._desk.session.folder
        films = tuple(sorted(file.name for file in (folder / FILMS).glob("*.mp4"))) or ("none yet",)
        _options(self._films, films, films[-1])
        saved = tuple(path_files(folder)) or ("none yet",)
        _options(self._saved, saved, saved[-1])

    # ------------------------------------------------------------------------------------------------ shots and keys

    def _choose_shot(self, event: Any) -> None:
        self._put(self._board, place=int(self._shots.value.split(":")[0]) - 1)

    def _edit_shots(self, event: Any) -> None:
        asked, shots, place = event.target.value, list(self._board.shots), self._place
        if asked in ("new", "copy"):
            name = f"shot {len(shots) + 1}"
            shots.insert(place + 1, Shot(name) if asked == "new" else replace(self.shot, name=f"{self.shot.name} (copy)"))
            place += 1
        elif asked == "delete":
            del shots[place]
            shots = shots or [Shot("shot 1")]
            place = max(0, place - 1)
        else:
            other = place + (1 if asked == "later" else -1)
            if 0 <= other < len(shots):
                shots[place], shots[other] = shots[other], shots[place]
                place = other
        self._put(replace(self._board, shots=tuple(shots)), place=place)

    def _set_key(self, event: Any) -> None:
        view = self._desk.view(event.client)
        self._put_shot(self.shot.with_key(Key.of(view.cam_to_world, view.fov_x_degrees)), key=len(self.shot.keys))

    def _choose_key(self, place: int) -> None:
        with self._lock:
            self._key = place
        self._show()

    def _key_chosen(self, event: Any) -> None:
        if self._keys.value != "none":
            self._choose_key(int(self._keys.value) - 1)

    def _chosen_key(self) -> int:
        if self._key is None:
            raise ValueError("there is no keyframe yet: set one")
        return self._key

    def _use_key(self, event: Any) -> None:
        place = self._chosen_key()
        key = self.shot.keys[place]
        if event.target.value == "go to":
            go_to(self._desk, event.client, key.cam_to_world, key.fov)
        else:
            view = self._desk.view(event.client)
            self._put_shot(self.shot.with_key(Key.of(view.cam_to_world, view.fov_x_degrees, key.seconds), place), place)

    def _edit_keys(self, event: Any) -> None:
        place = self._chosen_key()
        if event.target.value == "delete":
            self._put_shot(self.shot.without_key(place), max(0, place - 1))
        else:
            by = 1 if event.target.value == "later" else -1
            self._put_shot(self.shot.moved_key(place, by), min(max(place + by, 0), len(self.shot.keys) - 1))

    def _dragged(self, place: int, key: Key) -> None:
        self._put_shot(self.shot.with_key(key, place), place)

    def _timed(self, event: Any) -> None:
        place = self._chosen_key()
        key = replace(self.shot.keys[place], seconds=float(self._seconds.value))
        self._put_shot(self.shot.with_key(key, place), place)

    def _close(self, event: Any) -> None:
        self._put_shot(replace(self.shot, closed=self._closed.value))

    def _stretch(self, event: Any) -> None:
        seconds = float(self._length.value)
        if seconds <= 0:
            raise ValueError("a shot lasts longer than 0 seconds")
        self._put_shot(self.shot.lasting(seconds))

    def _worded(self, event: Any) -> None:
        self._put_shot(replace(self.shot, prompt=self._prompt.value))

    def _paced(self, event: Any) -> None:
        self._put(replace(self._board, fps=float(self._fps.value)))

    def _lay(self, event: Any) -> None:
        """A preset from the view that a browser has."""
        desk, name, view = self._desk, self._preset.value, self._desk.view(event.client)
        ahead = distance_ahead(desk, view)

        def work(scene: Scene, announce: Announce) -> str:
            shot, note = laid(name, view, ahead, desk.size, scene)
            used = self.shot.keys
            shots = self._board.shots
            if used:
                self._put(replace(self._board, shots=(*shots, shot)), place=len(shots))
            else:
                self._put(self._board.with_shot(self._place, shot), key=0)
            return note or f"{name}: {len(shot.keys)} keyframes"

        desk.session.submit("laying the path", work)

    # ------------------------------------------------------------------------------------------------ playing and filming

    def _scrub(self, event: Any) -> None:
        shot = self.shot
        camera = shot.at(float(self._moment.value) * shot.seconds, *self._desk.size)
        go_to(self._desk, event.client, rigid_inverse(camera.world_to_cam[0].double()), camera.fov_x_degrees)

    def _play(self, event: Any) -> None:
        """Takes a browser along the path, in the film's own time; asked again, it stops."""
        guest = self._desk.guests[event.client.client_id]
        if guest.playing.is_set():
            guest.playing.clear()
            return
        self.shot.require_path()
        guest.playing.set()
        threading.Thread(target=self._run_along, args=(guest, self.shot), name="playing", daemon=True).start()

    def _run_along(self, guest: Guest, shot: Shot) -> None:
        started, fps = time.monotonic(), min(self._board.fps, 30.0)
        try:
            while guest.playing.is_set() and guest.client.client_id in self._desk.guests:
                now = time.monotonic() - started
                camera = shot.at(now, *self._desk.size)
                go_to(self._desk, guest.client, rigid_inverse(camera.world_to_cam[0].double()), camera.fov_x_degrees)
                if now >= shot.seconds:
                    break
                time.sleep(max(0.0, 1 / fps - (time.monotonic() - started - now)))
        finally:
            guest.playing.clear()

    def _film(self, event: Any) -> None:
        size, board = parse_size(self._film_size.value), self._board
        check_film(2, size, board.fps)
        shots = board.shots if self._what.value == WHOLE_FILM else (self.shot,)
        desk, session, client = self._desk, self._desk.session, event.client
        parts = [shot.cameras(board.fps, *size) for shot in shots]
        given_up = threading.Event()

        def end(carried_out: bool) -> None:
            if not carried_out:
                given_up.set()

        def fill(scene: Scene, announce: Announce, shot: Shot, cameras: Cameras) -> None:
            if not given_up.is_set():
                path = Trajectory(cameras, name=shot.name)
                fill_for(scene, path, shot.prompt or None, announce, lambda state: session.keep())

        def film(scene: Scene, announce: Announce) -> str | None:
            if given_up.is_set():
                return None
            file = free_name(session.folder / FILMS, "film", ".mp4")
            figures = film_memory(scene.memory, Cameras.cat(parts), file, board.fps, scene.clock, announce)
            self._show()
            desk.say(client, f"{FILMS}/{file.name} is in the scene's folder; Download brings it here")
            return f"{file.name}: {sum(map(len, parts))} frames, {100 * figures.unknown_fraction:.1f} % of it unknown"

        if self._fill.value:
            for shot, cameras in zip(shots, parts, strict=True):
                label = f"making what {shot.name} shows"
                session.submit(label, partial(fill, shot=shot, cameras=cameras), "filling a shot", end)
        session.submit("filming", film)

    def _download(self, event: Any) -> None:
        if self._films.value == "none yet":
            raise ValueError("there is no film yet: press Film it")
        file = inside(self._desk.session.folder / FILMS, self._films.value)
        event.client.send_file_download(file.name, file.read_bytes())

    # ------------------------------------------------------------------------------------------------ files

    def _save_path(self, event: Any) -> None:
        memory = self._desk.session.snapshot.memory
        file = save_path(self._board, self._kind.value, self._desk.session.folder, self._desk.size, memory.world)
        self._show()
        self._desk.say(event.client, f"saved as {file.parent.name}/{file.name} in the scene's folder")

    def _load(self, event: Any) -> None:
        if self._saved.value == "none yet":
            raise ValueError("nothing was saved yet in the scene's folder, under paths/")
        file = inside(self._desk.session.folder / PATHS, self._saved.value)
        self._desk.session.submit(
            "reading the path", lambda scene, announce: self._take(read_path(file, scene, self._board, file.stem))
        )

    def _uploaded(self, event: Any) -> None:
        name, content = event.target.value.name, event.target.value.content

        def work(scene: Scene, announce: Announce) -> str:
            with uploaded(name, content) as file:
                return self._take(read_path(file, scene, self._board, name[:40]))

        self._desk.session.submit("reading the path", work)

    def _take(self, shots: tuple[Shot, ...]) -> str:
        """Puts shots that were read behind those that are there; an empty shot gives way to them."""
        kept = tuple(shot for shot in self._board.shots if shot.keys)
        self._put(replace(self._board, shots=(*kept, *shots)), place=len(kept), key=0)
        return f"{len(shots)} shot{'s' if len(shots) > 1 else ''} read: {sum(shot.seconds for shot in shots):.1f} s"


def laid(name: str, view: View, ahead: float, size: tuple[int, int], scene: Scene) -> tuple[Shot, str]:
    """A preset as a shot that begins at a view, drawn in until it is free; and a note, if it was.

    Args:
        ahead: distance of what stands in the middle of the view.
    """
    memory = scene.memory
    here = view.cam_to_world
    down = torch.tensor([0.0, 1.0, 0.0]) if memory.down is None else memory.down
    made = make_path(
        name, PRESET_KEYS[name], scale=memory.scale, subject_distance=ahead, fov_x_degrees=view.fov_x_degrees,
        width=size[0], height=size[1], down=(here[:3, :3].T @ down.double()).float(),
        is_free=lambda points: memory.is_free((points.double() @ here[:3, :3].T + here[:3, 3]).float()),
    )  # fmt: skip
    world_to_cam = made.cameras.world_to_cam.double() @ rigid_inverse(here)
    cameras = Cameras(world_to_cam.float(), made.cameras.intrinsics, *size)
    gaps = len(cameras) if made.closed else len(cameras) - 1
    return Shot.of_cameras(name, cameras, PRESET_SECONDS / gaps, made.closed), made.note


def _options(dropdown: Any, options: tuple[str, ...], value: str) -> None:
    """Sets what a dropdown offers, and what is chosen."""
    if tuple(dropdown.options) != options:
        dropdown.options = options
    if dropdown.value != value:
        dropdown.value = value
