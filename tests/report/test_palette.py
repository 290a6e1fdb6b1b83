"""Colours of models: all different, and far apart for every reader."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
from test_report import quiet_study

from matinee.report import page, plots
from matinee.report.palette import N_HUES, SHAPES, looks

# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB
SIGHT = {
    "usual": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
FAR = 20  # in CIE Lab; about 2 can just be told apart side by side


def lab(colour: str, sight: np.ndarray) -> np.ndarray:
    """float64 (3,): of "#rrggbb", as this sight has it."""
    channels = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(sight @ linear, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.fixture(scope="module")
def schemes() -> list[dict[str, str]]:
    """Light, dark, paper's: name -> colour, of the page as it is written."""
    html = page.render(quiet_study(labels=["popularity"]))
    rules = re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    return [dict(re.findall(r"--(hue\d): (#\w{6})", rule)) for rule in rules]


@pytest.mark.parametrize("sight", SIGHT)
def test_no_two_colours_look_alike(schemes: list[dict[str, str]], sight: str) -> None:
    assert len(schemes) == 3
    for colours in schemes:
        assert len(colours) == N_HUES == len(plots.HUES)
        seen = [lab(colour, SIGHT[sight]) for colour in colours.values()]
        assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > FAR


def test_looks_differ_and_keep_their_order() -> None:
    labels = [f"model {at}" for at in range(49)]
    found = looks([*labels, labels[0]])
    assert list(found) == labels
    assert len(set(found.values())) == 49
    assert {look.hue for look in found.values()} == set(range(1, 8))
    assert found["model 0"].hue == found["model 7"].hue
    assert found["model 0"].character == SHAPES["o"] != found["model 7"].character
