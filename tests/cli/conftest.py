"""A small world: 40 people who like one of two kinds of films, a fitted model and a finished run."""

from __future__ import annotations

import random

import pytest

from cli.world import LISTS, RECIPE, World, done


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
    done("run", found.recipe, "--out", found.run)
    done("run", folder / "lists.toml", "--out", found.lists)
    return found
