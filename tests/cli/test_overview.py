"""What the command says when it is asked nothing, and whether it names every command."""

import re
import subprocess
import sys

import pytest
from splatmem.cli.main import COMMANDS, main
from splatmem.cli.overview import TASKS, overview


def test_it_names_the_commands_that_there_are():
    named = {word for forms in TASKS.values() for form in forms for word in re.findall(r"^[a-z]+|(?<=, )[a-z]+", form)}
    said = named | {"redo"}  # in the line of undo
    assert "redo" in overview()
    assert said == set(COMMANDS)


def test_it_fits_a_terminal():
    assert max(map(len, overview().splitlines())) <= 120


def test_no_arguments(capsys):
    main([])
    assert capsys.readouterr().out.strip() == overview()


def test_it_needs_nothing_large():
    code = (
        "import sys; from splatmem.cli.main import main; main([]); print([n for n in ('torch', 'numpy') if n in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("typed", "meant"), [("flyround", "flyaround"), ("exprot", "export"), ("modles", "models")])
def test_a_mistyped_command(typed, meant, capsys):
    with pytest.raises(SystemExit) as stop:
        main([typed, "x"])
    assert stop.value.code == 2
    assert f"did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["photo.jpg", "--out", "x"], "To make a film of a photo: splatmem flyaround photo.jpg --out room"),
        (["flyaround", "photo.jpg", "other.jpg", "--out", "x"], "these are 2 files"),
        (["flyaround", "photo.jpg", "notthere.jpg", "--out", "x"], "Unrecognized options: notthere.jpg"),
        (["frobnicate"], "there is no command 'frobnicate'"),
    ],
)
def test_files_and_words_in_the_wrong_place(typed, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "other.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(SystemExit) as stop:
        main(typed)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_help_is_a_command_too(capsys):
    main(["help"])
    assert capsys.readouterr().out.strip() == overview()
    with pytest.raises(SystemExit) as stop:
        main(["help", "undo"])
    assert stop.value.code == 0
    assert "usage: splatmem undo" in capsys.readouterr().out
