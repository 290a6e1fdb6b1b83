"""A small world: 40 people who like one of two kinds of films, a fitted model and a finished run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cli.world import LISTS, RECIPE, World, done
from matinee.serve.events import Answer, Event, EventStore, Kind, Shown


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("cli")
    draw = random.Random(7)
    log, hidden = ["user_id,item_id,rating,timestamp"], ["user_id,item_id"]
    for user in range(1, 41):
        liked = list(range(100, 112) if user % 2 else range(108, 120))
        watched = draw.sample(liked, 9)
        log += [f"{user},{item},{draw.randint(1, 5)},{1000 * user + n}" for n, item in enumerate(watched[:8])]
        hidden.append(f"{user},{watched[8]}")
    titles = [f"{item},Film {item} ({1900 + item}),Drama|[bold]Odd" for item in range(100, 121)]
    titles[0] = "100,Amélie (2000),Comedy|Romance"
    files = {
        "log.csv": "\n".join(log),
        "hidden.csv": "\n".join(hidden),
        "items.csv": "\n".join(["item_id,title,genres", *titles]),
        "lists.toml": (RECIPE + LISTS)
        .format(log=folder / "log.csv", items=folder / "items.csv")
        .replace("[0, 1]", "[0]"),
        "small.toml": RECIPE.format(log=folder / "log.csv", items=folder / "items.csv"),
    }
    for name, text in files.items():
        (folder / name).write_text(text + "\n", "utf-8")
    found = World(
        folder,
        folder / "log.csv",
        folder / "items.csv",
        folder / "hidden.csv",
        folder / "small.toml",
        folder / "models" / "ease",
        folder / "models" / "bare",
        folder / "runs" / "small",
        folder / "runs" / "lists",
    )
    fit = ("fit", "ease", "--data", found.log, "--items", found.items, "--set", "l2=10")
    done(*fit, "--out", found.model)
    done(*fit, "--out", found.bare, "--without-histories")
    done("fit", "svd", *fit[2:-2], "--set", "n_factors=4", "--out", found.factors)
    done("run", found.recipe, "--out", found.run)
    done("run", folder / "lists.toml", "--out", found.lists)
    _store(folder / "events.db")
    return found


def _store(file: Path) -> None:
    """Events of 40 people after the log, some of them by whom it does not know, and answers that were partly random."""
    draw = random.Random(9)
    with EventStore.open(str(file)) as store:
        for n in range(120):
            user, time = str(draw.randint(1, 44)), 50_000.0 + 10 * n
            items = [str(item) for item in draw.sample(range(100, 120), 3)]
            shown = tuple(Shown(item, at, 0.3) for at, item in enumerate(items, 1))
            store.add_answers([Answer(f"r{n}", time, user, "ease", "v1", "ease", shown, 0.3, 20)])
            kind: Kind = "dislike" if n % 9 == 0 else "watch"
            store.add([Event(user, draw.choice(items), kind, time + 5, None, f"k{n}")])
