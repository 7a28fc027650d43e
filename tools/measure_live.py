"""Measures the director's chair: frames a second that a client receives of the film's view, seconds from rest to new splats and
bytes for a window; and what a random walk of many windows keeps.

    python tools/measure_live.py view out/demo                       # a scene's folder; it is not changed
    python tools/measure_live.py walk photo.jpg --size 192x108       # through Scene.look, without a browser
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import splatmem as sm
import torch
import tyro
from splatmem.jobs.option_types import Size
from splatmem.metrics import psnr

CANVAS = (1024, 576)
CAMERAS_A_SECOND = 50  # that a browser sends


@dataclass
class View:
    """Of the film's view and of a window, as a client receives them."""

    scene: Annotated[Path, tyro.conf.Positional]
    """A scene's folder."""
    seconds: float = 10.0
    """How long the camera moves."""


@dataclass
class Walk:
    """Of a random walk."""

    photo: Annotated[Path, tyro.conf.Positional]
    """Where it begins."""
    size: Size = (192, 108)
    """Of the pictures."""
    windows: int = 30
    """To be made on the way."""
    seed: int = 0
    """Of the scene and of the walk."""
    preset: str = "embedded"
    """Whose models make them."""


def client(address: str, orders: Any, answers: Any) -> None:
    """In a process of its own: sends cameras as a browser does, and says what it receives."""
    import msgspec
    import viser
    import zstandard
    from splatmem.geometry.rotations import rotations_to_quats
    from viser import _messages
    from websockets.sync.client import connect

    unpack = zstandard.ZstdDecompressor()
    counts: dict[str, list[float]] = {}
    with connect(address, subprotocols=[f"viser-v{viser.__version__}"], max_size=None) as socket:  # type: ignore[list-item]

        def send(degrees: float) -> None:
            turned = sm.Cameras.from_fov(torch.eye(4)[None], 60.0, 64, 36).turned(degrees).cam_to_world[0]
            quaternion = tuple(rotations_to_quats(turned[None, :3, :3])[0].tolist())
            ahead, up = tuple(turned[:3, 2].tolist()), (0.0, -1.0, 0.0)
            message = _messages.ViewerCameraMessage(
                quaternion, (0.0, 0.0, 0.0), fov, 0.01, 1000.0, CANVAS[1], CANVAS[0], ahead, up
            )  # fmt: skip
            socket.send(msgspec.msgpack.encode(message.as_serializable_dict()))

        def receive(seconds: float) -> None:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                try:
                    data = socket.recv(left)
                except TimeoutError:
                    return
                assert isinstance(data, bytes)
                size = int.from_bytes(data[8:16], "little")
                for message in msgspec.msgpack.decode(unpack.decompress(data[16 : 16 + size]))["messages"]:
                    kept = counts.setdefault(message["type"], [0, 0, 0.0])
                    kept[0] += 1
                    kept[1] += len(message.get("rgb_data") or b"") + 32 * (message["type"] == "GaussianSplatsMessage")
                    kept[2] = time.monotonic()
                counts.setdefault("bytes", [0, 0, 0.0])[1] += len(data)

        fov = float(2 * np.arctan(np.tan(np.deg2rad(30)) * CANVAS[1] / CANVAS[0]))
        send(0.0)
        while (order := orders.get()) is not None:
            counts.clear()
            kind, seconds, degrees = order
            started = time.monotonic()
            while kind == "move" and (gone := time.monotonic() - started) < seconds:
                send(degrees * np.sin(gone))
                receive(1 / CAMERAS_A_SECOND)
            if kind == "rest":
                send(degrees)
                started = time.monotonic()
            receive(0.2 if kind == "move" else seconds)
            answers.put((started, {name: list(values) for name, values in counts.items()}))


def measure_view(options: View) -> dict[str, Any]:
    from splatmem.live.application import Application

    with tempfile.TemporaryDirectory() as folder:
        scene = sm.Scene.open(options.scene, device="cpu")
        _ = scene.models.inpainter, scene.models.depth
        scene.save(Path(folder) / "scene")
        first = scene.memory.views[0].camera
        application = Application(scene, Path(folder) / "scene", port=0)
        context = multiprocessing.get_context("spawn")
        orders, answers = context.Queue(), context.Queue()
        process = context.Process(target=client, args=(application.address.replace("http", "ws"), orders, answers), daemon=True)
        process.start()

        def ask(kind: str, seconds: float, degrees: float) -> tuple[float, dict[str, list[float]]]:
            orders.put((kind, seconds, degrees))
            return answers.get()

        application.desk.growing.on = False
        ask("wait", 3.0, 0.0)
        guest = next(iter(application.desk.guests.values()))
        application.stream.hide_from(guest.client, True)
        guest.film.switch(True)
        ask("move", 2.0, 20.0)
        _, seen = ask("move", options.seconds, 20.0)
        frames = seen["BackgroundImageMessage"]
        result = {
            "scene": f"{len(scene.memory.gaussians):,} splats, {first.width}x{first.height}",
            "frames a second": round(frames[0] / options.seconds, 1),
            "KB a frame": round(frames[1] / max(frames[0], 1) / 1000, 1),
            "width of the frames": guest.film.coarse_width,
        }
        guest.film.switch(False)
        application.stream.hide_from(guest.client, False)
        ask("wait", 1.0, 0.0)
        application.desk.growing.on = True
        sent, before = application.stream.sent_bytes, len(scene.memory.gaussians)
        started, seen = ask("rest", 30.0, 150.0)
        splats = seen.get("GaussianSplatsMessage")
        if splats is not None:
            result |= {
                "seconds from rest to new splats": round(splats[2] - started, 2),
                "bytes of a window": application.stream.sent_bytes - sent,
                "splats of a window": len(scene.memory.gaussians) - before,
            }
        orders.put(None)
        process.join(5)
        application.stop()
        return result


def measure_walk(options: Walk) -> dict[str, Any]:
    scene = sm.Scene.from_photo(options.photo, options.size, options.preset, options.seed)
    memory, start = scene.memory, scene.memory.views[0].camera
    generator = torch.Generator().manual_seed(options.seed)
    cameras, shown, gaussians, seconds = [start], [memory.film(start)[0][0]], [len(memory.gaussians)], []
    windows = 0
    while windows < options.windows and len(cameras) < 40 * options.windows:
        turn, ahead = (torch.rand(2, generator=generator) * 2 - 0.8).tolist()
        following = cameras[-1].turned(35.0 * turn).moved(ahead=0.15 * ahead * memory.scale)
        if not memory.is_free(following.centers).all():
            continue
        began = time.process_time()
        made = scene.look(following)
        if made.windows:
            windows += 1
            seconds.append(time.process_time() - began)
            gaussians.append(len(memory.gaussians))
        cameras.append(following)
        shown.append(memory.film(following)[0][0])
    loops = [psnr(memory.film(camera)[0][0], before) for camera, before in zip(cameras, shown, strict=True)]
    away = torch.cat([camera.centers for camera in cameras]).norm(dim=-1).max().item() / memory.scale
    return {
        "windows": windows,
        "cameras": len(cameras),
        "farthest from the photo's camera, in its median depth": round(away, 2),
        "retention, dB, least": round(min(scene.memory.retention_psnr(), default=99.0), 1),
        "loop, dB, least": round(min(loops), 1),
        "loop, dB, median": round(float(np.median(loops)), 1),
        "CPU seconds a window, median": round(float(np.median(seconds)), 2),
        "splats": gaussians,
    }


def main(options: View | Walk) -> None:
    result = measure_view(options) if isinstance(options, View) else measure_walk(options)
    print(json.dumps({"options": {k: str(v) for k, v in asdict(options).items()}} | result, indent=1))


if __name__ == "__main__":
    try:
        main(tyro.cli(View | Walk, description=__doc__))  # type: ignore[arg-type]
    except (ValueError, OSError) as error:
        sys.exit(f"measure_live: {error}")
