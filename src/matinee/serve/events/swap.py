"""A new model in the place of the folder that a service loads, and the service told to load it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from matinee.errors import MatineeError
from matinee.files import atomic_folder
from matinee.serve.client import Client
from matinee.serve.live import named_folders

SECONDS = 300.0
"""For a service to load a model."""


@dataclass(frozen=True)
class Swapped:
    """The service at `url` now answers with this version of the model. previous: the folder of the old one."""

    url: str
    name: str
    version: str
    previous: Path

    def __str__(self) -> str:
        return f"{self.url} serves version {self.version} of {self.name}; the old one is kept in {self.previous}"


def served_name(url: str, served: Path, name: str | None = None, token: str | None = None) -> str:
    """Under which name a service has the folder `served`: the one given, else as `serve` names folders. Raises
    MatineeError where the service cannot be reached, or has no such model."""
    name = name or next(iter(named_folders(served)))
    with Client(url, token=token) as service:
        known = [each["name"] for each in service.models()]
    if name not in known:
        raise MatineeError(f"this service has no model {name!r}", where=url, hint=f"name one of {', '.join(known)}")
    return name


def swap_in(url: str, served: Path, new: Path, *, name: str, token: str | None = None) -> Swapped:
    """Put a copy of the model folder `new` in the place of `served`, and let the service load it. The old folder is
    kept beside it, as SERVED.previous. Where the service refuses the new one, or does not answer, the old folder is put
    back. Raises MatineeError with what the service said."""
    previous = served.with_name(f"{served.name}.previous")
    _copy(served, previous)
    _copy(new, served)
    try:
        with Client(url, token=token, timeout=SECONDS) as service:
            version = service.reload(name)
    except BaseException as error:
        _copy(previous, served)
        if not isinstance(error, MatineeError):
            raise
        what = f"the new model was not swapped in, and the old folder is back: {error.what}"
        raise MatineeError(what, where=url, hint=f"the new model is in {new}") from None
    return Swapped(url, name, version, previous)


def _copy(source: Path, target: Path) -> None:
    """Replace a folder by a copy of another, in one step."""
    with atomic_folder(target) as temp:
        shutil.copytree(source, temp, dirs_exist_ok=True)
