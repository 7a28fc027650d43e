"""Puts the parts together: a scene's folder, the server, the panels, and one thread that sees when views come to rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import viser

from splatmem.geometry.gravity import down_in_world
from splatmem.io.ownership import locked
from splatmem.io.splats.endings import is_splat_file
from splatmem.live.access import Access, new_token
from splatmem.live.change_panel import ChangePanel
from splatmem.live.desk import Desk, Guest
from splatmem.live.film_view import FilmView, send_picture
from splatmem.live.framing import BROWSER_SCALE, fov_y_of_canvas
from splatmem.live.growing import KIND as GROWING
from splatmem.live.growing import Growing
from splatmem.live.look_panel import HEAD_DISTANCE, LookPanel
from splatmem.live.options import LiveOptions
from splatmem.live.scene_panel import ScenePanel
from splatmem.live.server import GuardedServer
from splatmem.live.session import Session
from splatmem.live.shoot_panel import ShootPanel
from splatmem.live.splat_stream import SplatStream
from splatmem.live.status import Status
from splatmem.live.unknown import backdrop
from splatmem.scene import Announce, Scene, silent

LABEL = "splatmem"
BRAND = (56, 128, 255)
REST_SECONDS = 0.2  # without a movement: the view rests
QUIET_SECONDS = 1.0  # without a movement of any view: there is time to make ahead what lies around
PREPARED = "what lies beside the first picture is prepared"
TICK_SECONDS = 0.05
STATUS_SECONDS = 0.5
CANVAS = (1600, 900)  # that a browser is taken to have until it says so
LOCK = "explore"  # a name in the scene's folder whose lock says that it is being explored


def opened(options: LiveOptions, announce: Announce = silent) -> Scene:
    """The scene that is to be looked around, saved in its folder.

    Raises:
        ValueError: it cannot be opened or begun; or another one is in the folder.
        OSError: files cannot be read or written.
    """
    options.check()
    folder = options.folder
    if options.source.is_dir() or has_scene(folder):
        announce("opening the scene", 0.0)
        scene = Scene.open(folder, device=options.device)
        if options.source.is_file() and scene.source != options.source.name:
            raise ValueError(
                f"{folder} holds a scene made from {scene.source or 'something else'}: name another folder with --out"
            )
        return scene
    given: dict[str, Any] = {
        "preset": options.preset, "seed": options.seed, "fov": options.fov, "prompt": options.prompt,
        "overrides": options.overrides, "device": options.device,
    }  # fmt: skip
    if is_splat_file(options.source):
        announce("reading the splats", 0.0)
        scene = Scene.from_splats(options.source, options.size, poses=options.poses, **given)
    else:
        scene = Scene.from_photo(options.source, options.size, announce=announce, **given)
    announce("saving the scene", 0.0)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scene.save(folder)
    return scene


def has_scene(folder: Path) -> bool:
    """Whether a scene is kept in a folder."""
    from splatmem.memory.session import has_session
    from splatmem.scene import MEMORY_FOLDER

    return has_session(folder / MEMORY_FOLDER) or has_session(folder)


class Application:
    """A scene in the browser."""

    def __init__(
        self, scene: Scene, folder: Path, host: str = "localhost", port: int = 8080, begin_as_film: bool = False
    ) -> None:
        """Args:
        scene: saved in ``folder``.
        host, port: see ``LiveOptions``.
        begin_as_film: whether browsers show the film's view at first.
        """
        local = LiveOptions(source=folder, host=host).is_local
        self.access = Access(None if local else new_token())
        memory, self.notes = scene.memory, tuple(scene.notes)
        self.session = Session(scene, folder)
        self.server = GuardedServer(self.access, host, port, LABEL)
        self._host, self._begin_as_film = host, begin_as_film
        first = memory.views[0].camera
        self.desk = Desk(self.server, self.session, Growing(self.session), (first.width, first.height))
        self.stream = SplatStream(self.server, memory)
        self._dress(scene)
        self._build()
        self._ended = threading.Event()
        self._shown = -1
        self._status_at = 0.0
        self._lock = threading.Lock()
        self._update()
        self.session.listen(self._update)
        self.session.in_spare_time(look_ahead, self._is_quiet)
        self.session.start()
        self.server.on_client_connect(self._welcome)
        self.server.on_client_disconnect(self._farewell)
        self._ticker = threading.Thread(target=self._tick, name="rest", daemon=True)
        self._ticker.start()

    @property
    def address(self) -> str:
        """The address that is to be opened in a browser."""
        port = self.server.get_port()
        host = "localhost" if self.access.token is None else _reachable(self._host)
        return f"http://{host}:{port}" + ("" if self.access.token is None else f"/?token={self.access.token}")

    def stop(self) -> None:
        """Ends what is under way, and the server."""
        self._ended.set()
        self._ticker.join()
        for guest in list(self.desk.guests.values()):
            guest.playing.clear()
            guest.film.end()
        self.session.stop()
        self.server.stop()

    def _dress(self, scene: Scene) -> None:
        """Colours, what is up, and where a browser begins."""
        server, memory = self.server, scene.memory
        server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=BRAND)
        first = memory.views[0].camera
        down = memory.down if memory.down is not None else down_in_world(memory.first_photo, first)
        server.scene.set_up_direction(-down.double().numpy())
        pose = first.cam_to_world[0].double().numpy()
        camera = server.initial_camera
        camera.position = self.desk.to_browser(pose[:3, 3])
        camera.look_at = self.desk.to_browser(pose[:3, 3] + HEAD_DISTANCE * memory.scale * pose[:3, 2])
        camera.up = -down.double().numpy()
        camera.fov = fov_y_of_canvas(CANVAS, self.desk.aspect, first.fov_x_degrees)
        camera.near, camera.far = 0.002 * BROWSER_SCALE, 1000 * BROWSER_SCALE

    def _build(self) -> None:
        gui, desk = self.server.gui, self.desk
        self.status = Status(desk)
        tabs = gui.add_tab_group()  # without icons, so that all four fit into one row
        with tabs.add_tab("Look"):
            self.look = LookPanel(desk, self.stream)
        with tabs.add_tab("Change"):
            self.change = ChangePanel(desk, self.stream, lambda in_hand: self.shoot.give_way(in_hand))
        with tabs.add_tab("Shoot"):
            self.shoot = ShootPanel(desk)
        with tabs.add_tab("Scene"):
            self.scene = ScenePanel(desk)
        gui.main_panel.dock_right()

    # ------------------------------------------------------------------------------------------------ browsers

    def _welcome(self, client: viser.ClientHandle) -> None:
        desk, first = self.desk, self.session.snapshot.memory.views[0].camera
        guest = Guest(client, FilmView(client, desk.size[0], self.look.is_marked), first.fov_x_degrees)
        desk.guests[client.client_id] = guest
        self.look.welcome(guest, self._begin_as_film)
        self._put_backdrop(guest)

        @client.camera.on_update
        def _(camera: viser.CameraHandle) -> None:
            guest.moved, guest.rested = time.monotonic(), False
            view = desk.view(client)
            if view.canvas != guest.canvas:  # the film's frame keeps its field of view
                guest.canvas = view.canvas
                camera.fov = fov_y_of_canvas(view.canvas, desk.aspect, guest.fov_x_degrees)
            else:
                guest.fov_x_degrees = view.fov_x_degrees
            guest.moves(view, desk.scale)
            if guest.film.on:
                guest.film.want(self.session.snapshot, view)

    def _put_backdrop(self, guest: Guest) -> None:
        """Behind the splats: what is unknown, and whether it is being made."""
        activity = self.session.activity
        wanted = None if guest.film.on else backdrop(announced=activity is not None and activity.kind == GROWING)
        if wanted is not None and wanted is not guest.backdrop:
            send_picture(guest.client, wanted)
        guest.backdrop = wanted

    def _farewell(self, client: viser.ClientHandle) -> None:
        guest = self.desk.guests.pop(client.client_id, None)
        if guest is not None:
            guest.playing.clear()
            guest.film.end()
            self.look.farewell(guest)

    def _update(self) -> None:
        """Called in the session's thread: brings all browsers up with it."""
        snapshot = self.session.snapshot
        with self._lock:
            if snapshot.version != self._shown:
                self._shown = snapshot.version
                self.stream.show(snapshot)
                self.change.follow()
                self.scene.show()
                for guest in list(self.desk.guests.values()):
                    if guest.film.on:
                        guest.film.want(snapshot, self.desk.view(guest.client))
            for guest in list(self.desk.guests.values()):
                self._put_backdrop(guest)
            self.status.show()

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            now = time.monotonic()
            for guest in list(self.desk.guests.values()):
                self._put_backdrop(guest)
                waits = guest.led and not guest.rested and not guest.playing.is_set() and not self.session.is_busy
                if waits and now - guest.moved >= REST_SECONDS:
                    guest.rested = True
                    self._rest(guest)
            if self.session.activity is not None and now - self._status_at > STATUS_SECONDS:
                self._status_at = now
                with self._lock:
                    self.status.show()

    def _is_quiet(self) -> bool:
        """Whether no view moves, so that frames of the film's view are not held up."""
        return not self._ended.is_set() and all(
            time.monotonic() - guest.moved > QUIET_SECONDS and not guest.playing.is_set()
            for guest in list(self.desk.guests.values())
        )

    def _rest(self, guest: Guest) -> None:
        try:
            self.desk.growing.rests(self.desk.view(guest.client))
        except ValueError:  # a camera that is none of ours, such as one of a window without height
            return


def _reachable(host: str) -> str:
    """An address for a browser of a host to listen on."""
    import socket

    if host not in ("0.0.0.0", "::"):
        return f"[{host}]" if ":" in host else host
    return socket.gethostname()


def get_ready(scene: Scene, announce: Announce) -> None:
    """Does beforehand what can be done for the first window."""
    scene.prepare_to_look(scene.memory.views[0].camera)


def look_ahead(scene: Scene, pause: Callable[[], None]) -> str | None:
    """Makes what first looks in new directions want."""
    return PREPARED if scene.look_ahead(pause) else None


@contextmanager
def exploring(options: LiveOptions, announce: Announce = silent) -> Iterator[Application]:
    """An application as long as the block lasts. Nobody else explores the same folder meanwhile.

    Raises:
        ValueError, OSError: see ``opened``; or somebody else explores it.
    """
    scene = opened(options, announce)
    folder = options.folder.resolve()
    with locked(folder / LOCK):
        application = Application(scene, folder, options.host, options.port, options.view == "film")
        application.session.submit("getting ready to grow", get_ready)
        try:
            yield application
        finally:
            application.stop()
