"""A memory on disk: what comes back, what a save costs, and what damage, crashes and forgeries lead to."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from splatmem.gaussians import Gaussians
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.world import World
from splatmem.memory import PlainPictures, SpatialMemory, StoredView, session_parts
from splatmem.memory.content_hash import content_hash
from splatmem.memory.session import INDEX, PREVIOUS, SessionStore, has_session, load_session, save_session
from splatmem.memory.session_index import sealed
from splatmem.memory.session_parts import Link

from disks import read_only_folder, small_disk

WIDTH, HEIGHT = 12, 8


def some_gaussians(count: int, seed: int, features: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3,), (4,), (3,), (), (1, 3)]
    values = [torch.randn(count, *shape, generator=generator) for shape in shapes]
    return Gaussians(*values, torch.randn(count, features, generator=generator).half() if features else None)


def grow(memory: SpatialMemory, count: int = 1, gaussians: int = 7) -> SpatialMemory:
    """Adds views as a write does: new tensors, of which the old are the beginning."""
    for _ in range(count):
        seed, old = len(memory.views), len(memory.gaussians)
        generator = torch.Generator().manual_seed(seed)
        depth = torch.rand(HEIGHT, WIDTH, generator=generator) + 1
        depth[0] = torch.inf
        pose = torch.eye(4)[None].clone()
        pose[0, 0, 3] = 0.1 * seed
        view = StoredView(
            Cameras.from_fov(pose, 60, WIDTH, HEIGHT),
            PlainPictures(
                torch.randint(0, 255, (HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=generator),
                depth,
                torch.rand(HEIGHT, WIDTH, generator=generator) > 0.5,
            ),
            (old, old + gaussians),
        )
        memory.gaussians = Gaussians.cat([memory.gaussians, some_gaussians(gaussians, seed)])
        memory.views = [*memory.views, view]
    return memory


def with_pictures(view: StoredView, **changes: torch.Tensor) -> StoredView:
    assert isinstance(view.pictures, PlainPictures)
    return replace(view, pictures=replace(view.pictures, **changes))


@pytest.fixture
def memory() -> SpatialMemory:
    return grow(SpatialMemory(scale=2.5, metric=True), 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def same(a: SpatialMemory, b: SpatialMemory) -> bool:
    def tensors(memory: SpatialMemory) -> list[torch.Tensor]:
        views = [t for v in memory.views for t in (v.rgb, v.depth, v.written, v.camera.world_to_cam, v.camera.intrinsics)]
        scenes = [memory.gaussians, *([memory.feature_gaussians] if memory.feature_gaussians is not None else [])]
        return views + [value for scene in scenes for f in fields(scene) if (value := getattr(scene, f.name)) is not None]

    numbers = [
        (m.scale, m.metric, m.num_given_views, m.num_feature_views, [(v.gaussians, v.camera.width) for v in m.views])
        for m in (a, b)
    ]
    x, y = tensors(a), tensors(b)
    return numbers[0] == numbers[1] and len(x) == len(y) and all(map(torch.equal, x, y))


def parts(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("part-*"))


class TestRoundTrip:
    def test_everything_comes_back(self, memory: SpatialMemory, folder: Path) -> None:
        memory.feature_gaussians, memory.num_feature_views = some_gaussians(4, 9, features=5), 2
        save_session(memory, folder, {"windows": [[1, 2.5]]})
        loaded, progress = load_session(folder)
        assert progress == {"windows": [[1, 2.5]]}
        assert same(loaded, memory)
        assert loaded.feature_gaussians is not None
        assert loaded.feature_gaussians.features.dtype == torch.float16

    def test_saves_one_after_another_give_the_same_as_one(self, folder: Path) -> None:
        store, memory = SessionStore(folder), SpatialMemory()
        for step in range(5):
            grow(memory, step % 3)
            if step > 1:
                memory.feature_gaussians = Gaussians.cat([some_gaussians(2, s, features=3) for s in range(step)])
            store.save(memory, {"step": step})
            loaded, progress = load_session(folder)
            assert same(loaded, memory)
            assert progress == {"step": step}

    def test_an_empty_memory(self, folder: Path) -> None:
        save_session(SpatialMemory(), folder)
        assert same(load_session(folder)[0], SpatialMemory())

    def test_the_world_of_given_poses_is_kept(self, memory: SpatialMemory, folder: Path) -> None:
        save_session(memory, folder)
        loaded = load_session(folder)[0]
        assert loaded.world.is_memory
        elsewhere = torch.eye(4, dtype=torch.float64)
        elsewhere[:3, 3] = torch.tensor([4_500_000.1, -1 / 3, 680_000.7], dtype=torch.float64)
        loaded.world = World(elsewhere)
        save_session(loaded, folder)
        assert torch.equal(load_session(folder)[0].world.world_from_memory, elsewhere)

    def test_what_json_does_not_know_is_refused(self, memory: SpatialMemory, folder: Path) -> None:
        for value in (float("nan"), {1}, b"x"):
            with pytest.raises(ValueError, match="JSON values of finite numbers"):
                save_session(memory, folder, {"value": value})
        assert not has_session(folder)

    def test_modes_follow_the_umask(self, memory: SpatialMemory, folder: Path) -> None:
        old = os.umask(0o027)
        try:
            save_session(memory, folder)
        finally:
            os.umask(old)
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o640}


class TestGrowing:
    def test_only_what_is_new_is_written(self, memory: SpatialMemory, folder: Path) -> None:
        store = SessionStore(folder)
        store.save(memory, fixed={"path": torch.ones(1000)})
        first = (folder / "part-00000.safetensors").stat()
        store.save(grow(memory), fixed={"path": torch.ones(1000)})
        assert (folder / "part-00000.safetensors").stat().st_mtime_ns == first.st_mtime_ns
        assert parts(folder) == ["part-00000.safetensors", "part-00001.safetensors"]
        assert (folder / "part-00001.safetensors").stat().st_size < first.st_size / 2
        store.save(memory, {"step": 3}, {"path": torch.ones(1000)})
        assert len(parts(folder)) == 2, "nothing was new but the progress"

    def test_a_loaded_session_is_gone_on_with(self, memory: SpatialMemory, folder: Path) -> None:
        save_session(memory, folder)
        store = SessionStore(folder)
        loaded, _, _ = store.load()
        store.save(grow(loaded.to("cpu")))
        assert parts(folder) == ["part-00000.safetensors", "part-00001.safetensors"]
        assert same(load_session(folder)[0], grow(memory))

    def test_gaussians_that_the_memory_only_kept_are_not_looked_at(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A save costs what is new, however much was saved before."""
        hashed: list[int] = []

        def counted(scene: Gaussians, first: int, last: int) -> int:
            hashed.append(last - first)
            return content_hash(scene, first, last)

        monkeypatch.setattr(session_parts, "content_hash", counted)
        memory, store = SpatialMemory(), SessionStore(folder)
        for _ in range(4):
            before = len(memory.gaussians)
            grow(memory, 1)
            hashed.clear()
            store.save(memory)
            assert sum(hashed) == len(memory.gaussians) - before > 0
        loaded = SessionStore(folder)
        grow(read := loaded.load()[0], 1)
        hashed.clear()
        loaded.save(read)
        assert sum(hashed) == len(read.gaussians) - len(memory.gaussians) > 0

    @pytest.mark.parametrize("name", ["means", "quats", "log_scales", "opacity_logits", "sh"])
    @pytest.mark.parametrize("view", [0, 2, 4])
    def test_a_changed_gaussian_is_noticed(self, folder: Path, name: str, view: int) -> None:
        store, memory = SessionStore(folder), SpatialMemory()
        for _ in range(5):
            store.save(grow(memory))
        memory.gaussians = copy.deepcopy(memory.gaussians)
        getattr(memory.gaussians, name)[7 * view + 3] += 1e-3
        store.save(memory)
        assert same(load_session(folder)[0], memory)
        assert parts(folder)[:view] == [f"part-{n:05d}.safetensors" for n in range(view)], "what was before it is kept"

    def test_views_that_go_or_change(self, folder: Path) -> None:
        store, memory = SessionStore(folder), SpatialMemory()
        for _ in range(4):
            store.save(grow(memory))
        memory.views[3] = with_pictures(memory.views[3], depth=memory.views[3].depth + 7.0)
        store.save(memory)
        assert same(load_session(folder)[0], memory)
        memory.views = memory.views[:2]
        memory.gaussians = memory.gaussians.select(slice(0, 14))
        store.save(memory)
        assert same(load_session(folder)[0], memory)
        memory.views = [with_pictures(view, rgb=view.rgb // 2) for view in memory.views]
        store.save(grow(memory))
        assert same(load_session(folder)[0], memory)
        store.finish()
        assert len(parts(folder)) == 1, "what nothing needs is gone"

    def test_features_that_change_their_kind(self, memory: SpatialMemory, folder: Path) -> None:
        store = SessionStore(folder)
        for features in (3, 5):
            memory.feature_gaussians = some_gaussians(4, 1, features=features)
            store.save(memory)
            assert same(load_session(folder)[0], memory)
        memory.feature_gaussians = None
        store.save(memory)
        assert same(load_session(folder)[0], memory)

    def test_fixed_tensors_come_back(self, memory: SpatialMemory, folder: Path) -> None:
        store = SessionStore(folder)
        for value in (1.0, 1.0, 2.0):
            store.save(memory, fixed={"path": torch.tensor([value])})
        assert len(parts(folder)) == 2
        assert SessionStore(folder).load()[2]["path"].item() == 2.0


class TestLists:
    def test_only_what_is_new_is_written(self, folder: Path) -> None:
        store, memory, lists = SessionStore(folder), SpatialMemory(), {"windows": [], "steps": []}
        sizes = []
        for step in range(40):
            grow(memory)
            lists["windows"].append([step, step + 0.5])
            lists["steps"] += [step / 7] * (step % 3)
            store.save(memory, {"step": step}, lists=lists)
            sizes.append((folder / INDEX).stat().st_size + (folder / parts(folder)[-1]).stat().st_size)
            assert load_session(folder)[1] == {"step": step, **lists}
        assert max(sizes[4:]) - min(sizes[4:]) < 100, "forty windows would take a kilobyte"

    def test_a_list_grows_while_the_memory_does_not(self, memory: SpatialMemory, folder: Path) -> None:
        store = SessionStore(folder)
        for values in ([], [1], [1], [1, "two", [3.0]]):
            store.save(memory, lists={"list": values})
            assert load_session(folder)[1]["list"] == values
        assert len(parts(folder)) == 3

    def test_what_is_loaded_is_gone_on_with(self, memory: SpatialMemory, folder: Path) -> None:
        SessionStore(folder).save(memory, lists={"list": [1, (2, 3)]})
        store = SessionStore(folder)
        loaded, progress, _ = store.load()
        store.save(loaded, lists={"list": [*progress["list"], 4]})
        assert len(parts(folder)) == 2
        assert load_session(folder)[1] == {"list": [1, [2, 3], 4]}

    @pytest.mark.parametrize("changed", [[1], [1, 9, 3], [7, 2, 3, 4]])
    def test_a_list_that_changed_is_written_anew(self, memory: SpatialMemory, folder: Path, changed: list[int]) -> None:
        store = SessionStore(folder)
        for values in ([1], [1, 2], [1, 2, 3], changed, [*changed, 5]):
            store.save(grow(memory), lists={"list": values})
            loaded, progress = load_session(folder)
            assert progress == {"list": values}
            assert same(loaded, memory)

    def test_a_list_that_nobody_gives_any_more_is_gone_and_costs_nothing(self, memory: SpatialMemory, folder: Path) -> None:
        store = SessionStore(folder)
        store.save(memory, lists={"list": [1, 2]})
        store.save(memory, {"step": 1})
        assert load_session(folder)[1] == {"step": 1}
        assert len(parts(folder)) == 1
        store.save(grow(memory), lists={"list": [1, 2, 3]})
        assert load_session(folder)[1] == {"list": [1, 2, 3]}
        assert len(parts(folder)) == 2

    def test_the_state_before_has_its_own(self, memory: SpatialMemory, folder: Path) -> None:
        store = SessionStore(folder)
        store.save(memory, lists={"list": [1]})
        store.save(grow(memory), lists={"list": [1, 2]})
        harm(folder / INDEX, "flipped")
        with pytest.warns(UserWarning, match="the state before"):
            assert load_session(folder)[1] == {"list": [1]}

    def test_what_json_does_not_know_is_refused(self, memory: SpatialMemory, folder: Path) -> None:
        for value in (float("nan"), {1}, b"x"):
            with pytest.raises(ValueError, match="JSON values of finite numbers"):
                SessionStore(folder).save(memory, lists={"list": [value]})
        assert not has_session(folder)


def test_hashes_of_ranges_add_up() -> None:
    gaussians = some_gaussians(50_000, 3, features=5)
    whole = content_hash(gaussians, 0, 50_000)
    for cuts in ([0, 1, 50_000], [0, 21_845, 30_001, 50_000]):
        total = sum(content_hash(gaussians, a, b) for a, b in pairwise(cuts))
        assert total % 2**32 == whole
    zeros = replace(gaussians, features=None)
    assert content_hash(zeros, 0, 9) != content_hash(replace(zeros, features=torch.zeros(50_000, 2)), 0, 9)


class TestDamage:
    @pytest.fixture
    def saved(self, folder: Path) -> Path:
        store, memory = SessionStore(folder), SpatialMemory()
        for step in (1, 2):
            store.save(grow(memory, 2), {"step": step})
        return folder

    @pytest.mark.parametrize("name", [INDEX, "part-00001.safetensors"])
    @pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "a folder"])
    def test_the_state_before_is_used(self, saved: Path, name: str, damage: str) -> None:
        harm(saved / name, damage)
        with pytest.warns(UserWarning, match=rf"damaged: .*{name}.*the state before it is used"):
            loaded, progress = load_session(saved)
        assert progress == {"step": 1}
        assert same(loaded, grow(SpatialMemory(), 2))

    @pytest.mark.parametrize("name", [INDEX, "part-00001.safetensors"])
    def test_a_run_goes_on_from_it(self, saved: Path, name: str) -> None:
        harm(saved / name, "flipped")
        store = SessionStore(saved)
        with pytest.warns(UserWarning, match="the state before"):
            loaded, _, _ = store.load()
        store.save(grow(loaded, 1), {"step": 9})
        assert load_session(saved)[1] == {"step": 9}
        assert json.loads((saved / PREVIOUS).read_text())["progress"] == {"step": 1}, "not the damaged one"

    def test_what_both_need(self, saved: Path) -> None:
        harm(saved / "part-00000.safetensors", "flipped")
        with pytest.warns(UserWarning, match="state before"), pytest.raises(ValueError, match=r"damaged: .*part-00000"):
            load_session(saved)

    def test_any_flipped_byte_of_an_index_is_noticed(self, saved: Path) -> None:
        (saved / PREVIOUS).unlink()
        whole = (saved / INDEX).read_bytes()
        for place in range(0, len(whole), 7):
            (saved / INDEX).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(ValueError, match=r"session\.json"):
                load_session(saved)

    def test_leftovers_go_with_the_next_save(self, saved: Path) -> None:
        (saved / "part-00007.safetensors").write_bytes(b"half")
        (saved / ".session.0123abcd.partial.json").write_bytes(b"half")
        store = SessionStore(saved)
        memory, _, _ = store.load()
        store.save(grow(memory))
        assert parts(saved) == [f"part-{n:05d}.safetensors" for n in range(3)]
        assert not list(saved.glob(".*partial*"))

    def test_other_versions(self, saved: Path) -> None:
        text = (saved / INDEX).read_text()
        (saved / INDEX).write_text(text.replace('"version": 2', '"version": 99'))
        with pytest.raises(ValueError, match=r"newer splatmem .session version 99"):
            load_session(saved)
        (saved / INDEX).write_text('{"format": "splatmem-session", "version": 1, "scale": 1.0}')
        with pytest.raises(ValueError, match=r"older splatmem .session version 1"):
            load_session(saved)

    def test_no_session(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="there is no session in"):
            load_session(tmp_path)


def harm(file: Path, damage: str) -> None:
    content = file.read_bytes()
    if damage == "flipped":
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "cut":
        file.write_bytes(content[:-10])
    else:
        file.unlink()
    if damage == "a folder":
        file.mkdir()


class TestForged:
    """Checksums are right, and still: what no session holds is refused, and the file named."""

    @pytest.fixture
    def saved(self, memory: SpatialMemory, folder: Path) -> Path:
        save_session(memory, folder, {})
        return folder

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *[("scale", value) for value in (0, -1.0, "1", True, None)],
            *[("num_given_views", value) for value in (-1, 1.0, 99, True)],
            *[("num_feature_views", value) for value in (-1, 4, "0")],
            *[("metric", value) for value in (1, None)],
            *[("world", value) for value in ([], [[1, 0, 0, 0]] * 3, [[1, 0, 0, "0"]] * 4, [1, 2, 3, 4])],
            *[("progress", value) for value in ([], None)],
            *[("last", value) for value in ("part", [0, 1], [0, 1, "../x"], [-1, 1, "0" * 64], [0.0, 1, "0" * 64])],
            ("more", 1),
        ],
    )
    def test_index(self, saved: Path, name: str, value: Any) -> None:
        values = json.loads((saved / INDEX).read_text())
        del values["sha256"]
        (saved / INDEX).write_text(sealed(values | {name: value}))
        with pytest.raises(ValueError, match=r"damaged: .*session\.json"):
            load_session(saved)

    def test_endless_numbers(self, saved: Path) -> None:
        text = (saved / INDEX).read_text().replace('"scale": 2.5', '"scale": 1e999')
        (saved / INDEX).write_text(text)
        with pytest.raises(ValueError, match=r"damaged: .*session\.json"):
            load_session(saved)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("gaussians.means", torch.full((21, 3), torch.nan)),
            ("gaussians.means", torch.zeros(20, 3)),
            ("gaussians.means", torch.zeros(21, 3, dtype=torch.int32)),
            ("gaussians.sh", torch.zeros(21, 2, 3)),
            ("gaussians.unheard", torch.zeros(21)),
            ("0000.depth", torch.full((HEIGHT, WIDTH), torch.nan)),
            ("0000.depth", torch.zeros(HEIGHT, WIDTH, dtype=torch.float64)),
            ("0000.rgb", torch.zeros(HEIGHT, WIDTH + 1, 3, dtype=torch.uint8)),
            ("0000.written", torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)),
            ("0000.gaussians", torch.tensor([0, 22])),
            ("0000.gaussians", torch.tensor([5, 4])),
            ("0000.intrinsics", torch.zeros(1, 3, 3)),
            ("0000.world_to_cam", torch.full((1, 4, 4), torch.inf)),
            ("0009.rgb", torch.zeros(HEIGHT, WIDTH, 3, dtype=torch.uint8)),
            ("stray", torch.zeros(1)),
        ],
    )
    def test_part(self, saved: Path, name: str, value: torch.Tensor) -> None:
        file = saved / "part-00000.safetensors"
        forge(saved, save(load(file.read_bytes()) | {name: value}, {"before": "null"}))
        with pytest.raises(ValueError, match=r"damaged: .*part-00000\.safetensors"):
            load_session(saved)

    @pytest.mark.parametrize("before", ['[0, 1, "' + "0" * 64 + '"]', '[5, 1, "' + "0" * 64 + '"]', "nonsense", "{}"])
    def test_a_chain_that_goes_round(self, saved: Path, before: str) -> None:
        forge(saved, save(load((saved / "part-00000.safetensors").read_bytes()), {"before": before}))
        with pytest.raises(ValueError, match=r"damaged: .*part-00000\.safetensors"):
            load_session(saved)

    @pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02" + bytes(7) + b"{}", b"\x05" + bytes(7) + b"[[[[["])
    def test_what_is_no_part_at_all(self, saved: Path, content: bytes) -> None:
        forge(saved, content)
        with pytest.raises(ValueError, match=r"damaged: .*part-00000\.safetensors"):
            load_session(saved)

    def test_a_link_to_another_file(self, saved: Path) -> None:
        part = saved / "part-00000.safetensors"
        part.rename(saved.parent / "elsewhere")
        part.symlink_to(saved.parent / "elsewhere")
        with pytest.raises(ValueError, match="damaged"):
            load_session(saved)


def forge(folder: Path, content: bytes) -> None:
    """Replaces the only part, and makes the index believe in it."""
    (folder / "part-00000.safetensors").write_bytes(content)
    values = json.loads((folder / INDEX).read_text())
    del values["sha256"]
    values["last"] = Link(0, len(content), hashlib.sha256(content).hexdigest()).to_json()
    (folder / INDEX).write_text(sealed(values))


class TestFolders:
    def test_a_stranger_s_folder_is_left_alone(self, memory: SpatialMemory, folder: Path) -> None:
        folder.mkdir()
        (folder / "letter.txt").write_text("dear")
        for _ in range(2):
            with pytest.raises(ValueError, match="holds files that are not a session of splatmem"):
                save_session(memory, folder)
        assert [entry.name for entry in folder.parent.iterdir()] == ["memory"]
        assert (folder / "letter.txt").read_text() == "dear"

    def test_a_stranger_s_file_in_a_session_is_left_alone(self, memory: SpatialMemory, folder: Path) -> None:
        save_session(memory, folder)
        (folder / "letter.txt").write_text("dear")
        save_session(grow(memory), folder)
        save_session(grow(memory), folder)
        assert (folder / "letter.txt").read_text() == "dear"
        assert same(load_session(folder)[0], memory)

    def test_read_only(self, memory: SpatialMemory, tmp_path: Path) -> None:
        with read_only_folder(tmp_path / "disk") as disk, pytest.raises(OSError, match=r"cannot write into the folder .*disk"):
            save_session(memory, disk / "memory")

    def test_full_disk(self, memory: SpatialMemory, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", 2**16) as disk:
            save_session(memory, disk / "memory")
            big = grow(SpatialMemory(), 40, gaussians=100)
            with pytest.raises(OSError, match=r"cannot write into the folder .*memory: No space left on device"):
                save_session(big, disk / "memory")
            assert same(load_session(disk / "memory")[0], memory)
            assert not list(disk.glob("**/.*partial*"))

    def test_few_files_may_be_open(self, tmp_path: Path) -> None:
        """Hundreds of parts, and no handle is kept."""
        code = (
            "import resource, sys, torch\n"
            "from splatmem.memory.session import SessionStore\n"
            "from memory.test_session import grow, same\n"
            "from splatmem.memory import SpatialMemory\n"
            "from pathlib import Path\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))\n"
            "store, memory = SessionStore(Path(sys.argv[1])), SpatialMemory()\n"
            "for _ in range(40): store.save(grow(memory))\n"
            "assert same(SessionStore(Path(sys.argv[1])).load()[0], memory)\n"
        )
        paths = [str(Path(__file__).parents[1]), *sys.path]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)}
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "memory"], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_camera_s_bits_come_back(folder: Path) -> None:
    memory = grow(SpatialMemory())
    memory.views = [replace(memory.views[0], camera=identity_camera(61.3, WIDTH, HEIGHT))]
    save_session(memory, folder)
    camera = load_session(folder)[0].views[0].camera
    assert torch.equal(camera.intrinsics, memory.views[0].camera.intrinsics)
    assert torch.equal(camera.world_to_cam, memory.views[0].camera.world_to_cam)


class Killed:
    """Copies a folder before each change that a save makes to it: what a process leaves that is killed there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, copies: Path) -> None:
        self.folder, self.copies, self.count, self.state = folder, copies, 0, 0
        self.states: list[int] = []
        changes = [(os, "replace"), (Path, "write_bytes"), (Path, "write_text"), (Path, "unlink"), (shutil, "copyfile")]
        for owner, name in changes:
            monkeypatch.setattr(owner, name, self.watched(getattr(owner, name), cut=name.startswith(("write", "copy"))))

    def watched(self, change: Any, cut: bool) -> Any:
        def changed(*arguments: Any, **named: Any) -> Any:
            if self.folder in Path(arguments[0]).parents:
                self.copy()
                result = change(*arguments, **named)
                if cut:  # written in part
                    target = next(Path(a) for a in reversed(arguments) if isinstance(a, Path))
                    size = target.stat().st_size
                    for length in (0, size // 2, size - 1):
                        with self.copy().joinpath(target.relative_to(self.folder)).open("r+b") as file:
                            file.truncate(max(0, length))
                return result
            return change(*arguments, **named)

        return changed

    def copy(self) -> Path:
        target = self.copies / str(self.count)
        subprocess.run(["cp", "-r", self.folder, target], check=True)
        self.count, self.states = self.count + 1, [*self.states, self.state]
        return target


def test_killed_between_any_two_changes(tmp_path: Path, folder: Path) -> None:
    """The state before a save or after it, never another; and going on gives the bytes of a save that nothing disturbed."""
    (tmp_path / "copies").mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        store, memory = SessionStore(folder), SpatialMemory()
        killed = Killed(monkeypatch, folder, tmp_path / "copies")
        for killed.state in range(1, 4):
            store.save(grow(memory), {"state": killed.state})
    store.finish()
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert killed.count > 20
    for number, state in enumerate(killed.states):
        left = killed.copies / str(number)
        store, memory, found = SessionStore(left), SpatialMemory(), 0
        if has_session(left):
            memory, progress, _ = store.load()
            found = progress["state"]
        assert found in (state - 1, state)
        for following in range(found + 1, 4):
            store.save(grow(memory), {"state": following})
        store.finish()
        assert {file.name: file.read_bytes() for file in left.iterdir()} == whole


class TestStates:
    """States beside the current one."""

    def test_they_are_kept_as_long_as_they_are_named(self, tmp_path: Path) -> None:
        store, folder = SessionStore(tmp_path / "memory"), tmp_path / "memory"
        first, second = small_memory(), small_memory(shift=0.5)
        store.save(first, {"at": 0})
        number = store.save_state(first, {"at": 0})
        assert len(list(folder.glob("part-*"))) == 1, "what both hold is written once"
        store.save(second, {"at": 1}, states=[number])
        memory, progress, _ = store.load_state(number)
        assert progress == {"at": 0}
        assert torch.equal(memory.gaussians.means, first.gaussians.means)
        again = SessionStore(folder)
        assert torch.equal(again.load()[0].gaussians.means, second.gaussians.means)
        assert torch.equal(again.load_state(number)[0].gaussians.means, first.gaussians.means)
        assert again.state_bytes([number]) > 0
        again.save(second, {"at": 2})
        again.finish()
        assert not list(folder.glob("state-*"))
        with pytest.raises(ValueError, match="cannot be read"):
            again.load_state(number)

    def test_a_state_that_no_save_named_is_removed_later(self, tmp_path: Path) -> None:
        store = SessionStore(tmp_path / "memory")
        store.save(small_memory(), {})
        store.save_state(small_memory(shift=0.5), {})
        assert list((tmp_path / "memory").glob("state-*"))
        SessionStore(tmp_path / "memory").save(small_memory(), {})
        assert not list((tmp_path / "memory").glob("state-*"))

    def test_somebody_elses_save_is_noticed(self, tmp_path: Path) -> None:
        store = SessionStore(tmp_path / "memory")
        store.save(small_memory(), {})
        assert store.is_current()
        SessionStore(tmp_path / "memory").save(small_memory(), {"other": 1})
        assert not store.is_current()


def small_memory(shift: float = 0.0) -> SpatialMemory:
    """Of one grey view."""
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    camera = identity_camera(60.0, 16, 12)
    memory.write(torch.full((12, 16, 3), 0.5), torch.full((12, 16), 2.0 + shift), camera, torch.ones(12, 16, dtype=torch.bool))
    return memory
