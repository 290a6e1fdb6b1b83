"""How the page is started: ports, what is shown without a name, and what is refused."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import matinee as mt
from cli.world import ask
from demo.films import log
from matinee.demo import start
from matinee.demo.start import HOST, OPTIONS, default_models, free_port
from matinee.study.recipe import load_recipe


def test_a_taken_port_is_refused_and_the_next_free_one_found() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(mt.MatineeError, match=f"port {port} is taken"):
            free_port(port)
        assert free_port(None) != port


def test_the_page_is_on_this_machine_alone_and_tells_nobody() -> None:
    assert OPTIONS["server.address"] == "127.0.0.1"
    assert OPTIONS["browser.gatherUsageStats"] is False


def test_the_default_study_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the default study one of a model that is fitted at once."""
    log().to_frame().write_csv(tmp_path / "log.csv")
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        f'title = "s"\nseeds = [0]\n[data]\nsource = "{(tmp_path / "log.csv").as_posix()}"\n'
        '[split]\nstrategy = "random"\n[evaluate]\nk = [5]\nmetrics = ["ndcg"]\n[[model]]\nname = "popularity"\n'
    )
    monkeypatch.chdir(tmp_path)
    study = load_recipe(recipe)
    monkeypatch.setattr(start, "load_recipe", lambda: study)
    told: list[str] = []
    found = default_models(data_dir=None, tell=told.append)
    assert found == Path("runs", "default")
    assert (found / "models" / "popularity" / "manifest.json").is_file()
    assert told[0].startswith("no model is named: running the default study")
    again: list[str] = []
    assert default_models(data_dir=None, tell=again.append) == found
    assert again == []


def test_what_cannot_be_shown_is_told_in_a_line(tmp_path: Path) -> None:
    for arguments, words in {
        (str(tmp_path / "nothing"),): "there is no such folder",
        (str(tmp_path),): "no model is here",
        (str(tmp_path), "--language", "fr"): "--language fr is not known",
    }.items():
        result = ask("demo", *arguments)
        assert result.exit_code == 2
        assert words in result.stderr


def test_without_streamlit_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(start, "import_module", missing)
    result = ask("demo", str(tmp_path))
    assert result.exit_code == 2
    assert 'pip install "matinee[demo]"' in result.stderr
