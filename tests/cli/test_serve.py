"""`matinee serve`, as far as it goes without a socket; tests/serve has the service itself."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from cli.world import World, answer, done, refused

pytest.importorskip("fastapi")


def test_check_says_what_would_serve(world: World) -> None:
    named = ["--name", f"one={world.model}", "--name", f"two={world.model}", "--route", "one=1", "--route", "two=3"]
    one, two = answer("serve", *named, "--check")["models"]
    assert (one["name"], one["share"], two["share"]) == ("one", 0.25, 0.75)
    assert one["version"] == two["version"]
    assert "version" in done("serve", world.model, "--check")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "there is no model to serve"),
        (["--name", "ease"], "is no NAME=MODEL_DIR"),
        (["--name", "Ease={model}"], "is no name for a model"),
        (["--name", "a={model}", "--name", "a={model}"], "two models are called 'a'"),
        (["{model}", "--route", "x"], "is no NAME=WEIGHT"),
        (["{model}", "--host", "0.0.0.0"], "there is no token"),
        (["nowhere"], "no such folder"),
        (["{model}", "--name", "a={model}", "--route", "b=1"], "no model 'b'"),
        (["{model}", "--token-file", "missing"], "cannot be read"),
        (["{model}", "--json"], "add --check"),
        (["{model}", "--explore", "0.1", "--events", "none"], "there is none"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_serves(
    arguments: list[str], words: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matinee.serve.server.run", _never)
    assert words in refused("serve", *(text.format(model=world.model) for text in arguments))


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError("it serves")


def test_options_reach_the_service(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MATINEE_TOKEN", "0123456789abcdef\n")
    monkeypatch.setattr("matinee.serve.server.run", lambda app, **options: called.update(options, app=app))
    monkeypatch.setattr("matinee.cli.serve.refuse_taken", lambda host, port: None)  # of another machine
    name = ["--name", f"a={world.model}", "--name", f"b={world.model}", "--route", "a=1", "--route", "b=3"]
    done("serve", *name, "--host", "10.0.0.1", "--port", "81", "--queue", "7", "--explore", "0.1", "--quiet")
    service = called["app"].state.service
    assert (called["host"], called["port"], called["limits"].queue) == ("10.0.0.1", 81, 7)
    assert service.routing.shares == {"a": 0.25, "b": 0.75}
    assert service.recorder._share == 0.1
    assert (tmp_path / "matinee-events.db").exists()


def test_a_taken_port_is_refused_before_models_are_loaded(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is taken" in refused("serve", world.model, "--events", "none", "--port", str(port))
