"""Measures the director's chair: frames a second that a client receives of the film's view, seconds from rest to new splats and
bytes for a window; and what a random walk of many windows keeps.

    python tools/measure_live.py view out/demo                       # a scene's folder; it is not changed
    python tools/measure_live.py walk photo.jpg --size 192x108       # through Scene.look, without a browser
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it

import numpy as np
import splatmem as sm
import torch
import tyro
from splatmem.geometry.rotations import rotations_to_quats
from splatmem.jobs.option_types import Size
from splatmem.live.application import PREPARED, Application, get_ready
from splatmem.live.framing import fov_y_of_canvas
from splatmem.metrics import psnr

CANVAS = (1024, 576)
CAMERAS_A_SECOND = 50  # that a browser sends
SPLATS, FRAME = "GaussianSplatsMessage", "BackgroundImageMessage"
MOST_AHEAD = 120.0  # seconds for what is made ahead
PATIENCE = 30.0  # seconds for a window at most


@dataclass
class View:
    """Of the film's view and of windows, as a client receives them."""

    scene: Annotated[Path, tyro.conf.Positional]
    """A scene's folder."""
    seconds: float = 10.0
    """How long the camera moves."""
    turns: tuple[float, ...] = (30.0, -40.0, 75.0, -85.0, 120.0)
    """Degrees from the first camera at which it comes to rest, one after the other."""
    ahead: bool = True
    """Whether what first looks in new directions want has been made ahead by then."""


@dataclass
class Walk:
    """Of a random walk."""

    photo: Annotated[Path, tyro.conf.Positional]
    """Where it begins."""
    size: Size = (192, 108)
    """Of the pictures."""
    windows: int = 30
    """Places on the way at which something is made."""
    seed: int = 0
    """Of the scene and of the walk."""
    preset: str = "embedded"
    """Whose models make them."""


@dataclass(frozen=True)
class Received:
    """One message: its type, the seconds from the order to its arrival, and the bytes of the picture or the splats in it."""

    kind: str
    seconds: float
    size: int


def client(address: str, fov_y: float, orders: Any, answers: Any) -> None:
    """In a process of its own: sends cameras as a browser does, and says what it receives.

    Orders are ``(kind, degrees, seconds)``: "move" turns to and fro by as many degrees for so long; "wait" does nothing for so
    long; "rest" turns once, and waits until new splats have come and for so long no further ones. None ends it. Answers are
    lists of ``Received``.
    """
    import msgspec
    import viser
    import zstandard
    from viser import _messages
    from websockets.sync.client import connect

    unpack = zstandard.ZstdDecompressor()
    with connect(address, subprotocols=[f"viser-v{viser.__version__}"], max_size=None) as socket:  # type: ignore[list-item]

        def send(degrees: float) -> None:
            turned = sm.Cameras.from_fov(torch.eye(4)[None], 60.0, 64, 36).turned(degrees).cam_to_world[0]
            quaternion = tuple(rotations_to_quats(turned[None, :3, :3])[0].tolist())
            ahead, up = tuple(turned[:3, 2].tolist()), (0.0, -1.0, 0.0)
            message = _messages.ViewerCameraMessage(
                quaternion, (0.0, 0.0, 0.0), fov_y, 0.01, 1000.0, CANVAS[1], CANVAS[0], ahead, up
            )  # fmt: skip
            socket.send(msgspec.msgpack.encode(message.as_serializable_dict()))

        def receive(started: float, seconds: float) -> Iterator[Received]:
            """What comes within so many seconds."""
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                try:
                    data = socket.recv(left)
                except TimeoutError:
                    return
                assert isinstance(data, bytes)
                now, length = time.monotonic() - started, int.from_bytes(data[8:16], "little")
                rest = len(data) - 16 - length  # what is not packed: splats
                for message in msgspec.msgpack.decode(unpack.decompress(data[16 : 16 + length]))["messages"]:
                    kind = message["type"]
                    yield Received(kind, now, rest if kind == SPLATS else len(message.get("rgb_data") or b""))
                    rest = 0 if kind == SPLATS else rest

        send(0.0)
        while (order := orders.get()) is not None:
            kind, degrees, seconds = order
            started, got = time.monotonic(), []
            if kind == "move":
                while (gone := time.monotonic() - started) < seconds:
                    send(degrees * np.sin(gone))
                    got += receive(started, 1 / CAMERAS_A_SECOND)
            elif kind == "wait":
                got += receive(started, seconds)
            else:
                send(degrees)
                last = None
                while time.monotonic() - started < PATIENCE and (last is None or time.monotonic() - started - last < seconds):
                    new = list(receive(started, 0.05))
                    got += new
                    last = max((one.seconds for one in new if one.kind == SPLATS), default=last)
            answers.put(got)


@contextmanager
def watched(application: Application, fov_y: float) -> Iterator[Any]:
    """A client, as a function from orders to what it received."""
    context = multiprocessing.get_context("spawn")
    orders, answers = context.Queue(), context.Queue()
    address = application.address.replace("http", "ws")
    process = context.Process(target=client, args=(address, fov_y, orders, answers), daemon=True)
    process.start()

    def ask(kind: str, degrees: float, seconds: float) -> list[Received]:
        orders.put((kind, degrees, seconds))
        return answers.get(timeout=10 * PATIENCE)

    try:
        yield ask
    finally:
        orders.put(None)
        process.join(5)
        process.terminate()


def measure_view(options: View) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        scene = sm.Scene.open(options.scene, device="cpu")
        first = scene.memory.views[0].camera
        scene.save(Path(folder) / "scene")
        application = Application(scene, Path(folder) / "scene", port=0)
        application.session.submit("getting ready", get_ready)
        application.desk.growing.on = False
        if not options.ahead:
            application.session.in_spare_time(lambda scene, pause: None, lambda: True)
        try:
            with watched(application, fov_y_of_canvas(CANVAS, application.desk.aspect, first.fov_x_degrees)) as ask:
                ask("move", 0.0, 3.0)
                while application.session.is_busy:
                    time.sleep(0.1)
                result: dict[str, Any] = {"scene": f"{len(scene.memory.gaussians):,} splats, {first.width}x{first.height}"}
                result |= measure_frames(application, ask, options.seconds)
                if options.ahead:
                    result |= {"seconds until all around was prepared": measure_ahead(application)}
                result["windows"] = [measure_window(application, scene, ask, degrees) for degrees in options.turns]
        finally:
            application.stop()
    return result


def measure_frames(application: Application, ask: Any, seconds: float) -> dict[str, Any]:
    guest = next(iter(application.desk.guests.values()))
    application.stream.hide_from(guest.client, True)
    guest.film.switch(True)
    ask("move", 20.0, 2.0)
    began = time.process_time()
    frames = [one for one in ask("move", 20.0, seconds) if one.kind == FRAME and one.size]
    used = time.process_time() - began
    moments = [one.seconds for one in frames]
    guest.film.switch(False)
    application.stream.hide_from(guest.client, False)
    if len(frames) < 2:
        return {"frames a second": len(frames) / seconds}
    return {
        "frames a second": round((len(frames) - 1) / (moments[-1] - moments[0]), 1),
        "longest time between frames, s": round(max(np.diff(moments)), 3),
        "KB a frame": round(sum(one.size for one in frames) / len(frames) / 1000, 1),
        "width of the frames at the end": guest.film.coarse_width,
        "CPU ms a frame, server": round(1000 * used / len(frames), 1),
        "load of the machine": round(os.getloadavg()[0], 1),
    }


def measure_ahead(application: Application) -> float:
    started = time.monotonic()
    while application.session.ahead != PREPARED and time.monotonic() - started < MOST_AHEAD:
        time.sleep(0.1)
    return round(time.monotonic() - started, 1)


def measure_window(application: Application, scene: sm.Scene, ask: Any, degrees: float) -> dict[str, Any]:
    """From the moment at which a camera comes to rest."""
    while application.session.is_busy:
        time.sleep(0.05)
    ask("wait", degrees, 1.0)  # what was on its way has come
    application.desk.growing.on = True
    before, began = len(scene.memory.gaussians), time.process_time()
    splats = [one for one in ask("rest", degrees, 3.0) if one.kind == SPLATS]
    while application.session.is_busy:
        time.sleep(0.05)
    application.desk.growing.on = False
    result: dict[str, Any] = {"degrees": degrees, "load of the machine": round(os.getloadavg()[0], 1)}
    if not splats:
        return result | {"nothing came": True}
    return result | {
        "seconds from rest to new splats": round(splats[0].seconds, 2),
        "seconds to the last of them": round(splats[-1].seconds, 2),
        "windows": scene.history[-1].details.get("generated_frames"),
        "splats": len(scene.memory.gaussians) - before,
        "bytes": sum(one.size for one in splats),
        "CPU seconds": round(time.process_time() - began, 2),
    }


def measure_walk(options: Walk) -> dict[str, Any]:
    scene = sm.Scene.from_photo(options.photo, options.size, options.preset, options.seed)
    start = scene.memory.views[0].camera
    scene.prepare_to_look(start)
    generator = torch.Generator().manual_seed(options.seed)
    cameras, shown, gaussians, seconds = [start], [scene.memory.film(start)], [len(scene.memory.gaussians)], []
    windows = frames = tries = 0
    while windows < options.windows and tries < 100 * options.windows:
        tries += 1
        turn, ahead = (torch.rand(2, generator=generator) * 2 - 0.8).tolist()
        following = cameras[-1].turned(35.0 * turn).moved(ahead=0.15 * ahead * scene.memory.scale)
        if not scene.memory.is_free(following.centers).all():
            continue
        began = time.process_time()
        made = scene.look(following)
        if made.windows:
            windows += 1
            frames += made.generated_frames
            seconds.append((time.process_time() - began) / made.generated_frames)
            gaussians.append(len(scene.memory.gaussians))
        cameras.append(following)
        shown.append(scene.memory.film(following))
    again = [scene.memory.film(camera)[0][0] for camera in cameras]
    loops = [psnr(now, before[0]) for now, (before, _) in zip(again, shown, strict=True)]
    known = [psnr(now, before[0], known[0]) for now, (before, known) in zip(again, shown, strict=True)]
    away = torch.cat([camera.centers for camera in cameras]).norm(dim=-1).max().item() / scene.memory.scale
    return {
        "windows": windows,
        "frames made": frames,
        "cameras": len(cameras),
        "farthest from the photo's camera, in its median depth": round(away, 2),
        "retention, dB, least": round(min(scene.memory.retention_psnr(), default=99.0), 1),
        "loop, dB, least": round(min(loops), 1),
        "loop of what was known, dB, least": round(min(known), 1),
        "loop, dB, median": round(float(np.median(loops)), 1),
        "CPU seconds a frame, median": round(float(np.median(seconds)), 2) if seconds else None,
        "splats": gaussians,
        "MB of the memory": round(scene.memory.nbytes / 1e6, 1),
    }


def main(options: View | Walk) -> None:
    result = measure_view(options) if isinstance(options, View) else measure_walk(options)
    print(json.dumps({"options": {k: str(v) for k, v in asdict(options).items()}} | result, indent=1))


if __name__ == "__main__":
    try:
        main(tyro.cli(View | Walk, description=__doc__))  # type: ignore[arg-type]
    except (ValueError, OSError) as error:
        sys.exit(f"measure_live: {error}")
