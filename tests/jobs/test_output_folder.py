from pathlib import Path

import pytest
from splatmem.io.ownership import make_marked
from splatmem.jobs.output_folder import claim, discard, is_complete, partial_folder, publish


def finished(folder: Path) -> Path:
    make_marked(folder, "run")
    (folder / "report.json").write_text("{}")
    return folder


def test_new_folder_appears_when_published(tmp_path):
    out = tmp_path / "out"
    (claim(out, resume=False, overwrite=False) / "film").write_text("f")
    assert not out.exists()
    publish(out, ["film"])
    assert (out / "film").read_text() == "f"
    assert not partial_folder(out).exists()


def test_finished_run_is_replaced_only_if_asked(tmp_path):
    out = finished(tmp_path / "out")
    with pytest.raises(ValueError, match="--overwrite"):
        claim(out, resume=False, overwrite=False)
    (claim(out, resume=False, overwrite=True) / "new").write_text("n")
    assert (out / "report.json").is_file()
    publish(out, ["new"])
    assert sorted(file.name for file in out.iterdir()) == [".splatmem", "new"]


def test_other_peoples_files_are_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="not a finished run"):
        claim(tmp_path / "mine", resume=False, overwrite=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="working folder"):
        claim(Path("."), resume=False, overwrite=True)
    with pytest.raises(ValueError, match="home folder"):
        claim(Path.home(), resume=False, overwrite=True)


def test_interrupted_replacement_can_be_resumed(tmp_path):
    out = finished(tmp_path / "out")
    partial = claim(out, resume=False, overwrite=True)
    (partial / "session").write_text("s")
    assert claim(out, resume=True, overwrite=False) == partial
    assert not is_complete(out), "its replacement has begun"
    assert is_complete(finished(tmp_path / "done"))


def test_a_run_that_fails_at_once_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    (claim(out, resume=False, overwrite=False) / "half").write_text("h")
    discard(out)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".partial", ".replaced"])
def test_a_stranger_s_folder_beside_it_is_left_alone(tmp_path, suffix):
    out = finished(tmp_path / "out")
    other = tmp_path / f"out{suffix}"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=f"out{suffix} is in the way and was not made by splatmem"):
        partial = claim(out, resume=False, overwrite=True)
        (partial / "film").write_text("f")
        publish(out, ["film"])
    assert (other / "letter.txt").read_text() == "dear"
    assert (out / "report.json").exists()


def test_success_is_said_only_of_what_is_there(tmp_path):
    out = tmp_path / "out"
    partial = claim(out, resume=False, overwrite=False)
    (partial / "film").write_text("f")
    with pytest.raises(OSError, match=r"sheet cannot be found in .*another program"):
        publish(out, ["film", "sheet"])
    assert not out.exists()
    discard(out)
    with pytest.raises(OSError, match="film cannot be found"):
        publish(out, ["film"])
