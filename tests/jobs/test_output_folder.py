from pathlib import Path

import pytest
from splatmem.jobs.output_folder import claim, discard_empty, partial_folder, publish


def finished(folder: Path) -> Path:
    folder.mkdir()
    (folder / "report.json").write_text("{}")
    return folder


def test_new_folder_appears_when_published(tmp_path):
    out = tmp_path / "out"
    (claim(out, resume=False, overwrite=False) / "film").write_text("f")
    assert not out.exists()
    publish(out)
    assert (out / "film").read_text() == "f"
    assert not partial_folder(out).exists()


def test_finished_run_is_replaced_only_if_asked(tmp_path):
    out = finished(tmp_path / "out")
    with pytest.raises(ValueError, match="--overwrite"):
        claim(out, resume=False, overwrite=False)
    (claim(out, resume=False, overwrite=True) / "new").write_text("n")
    assert (out / "report.json").is_file()
    publish(out)
    assert [file.name for file in out.iterdir()] == ["new"]


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
    with pytest.raises(ValueError, match="complete already"):
        claim(finished(tmp_path / "done"), resume=True, overwrite=False)


def test_a_run_that_fails_at_once_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    claim(out, resume=False, overwrite=False)
    discard_empty(out)
    assert not any(tmp_path.iterdir())
