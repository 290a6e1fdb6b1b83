"""What model folders and log folders share: manifests that cover themselves, arrays, and checks before reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from matinee.errors import MatineeError
from matinee.files import settle, sha256

SCHEMA = 2
MANIFEST = "manifest.json"

Arrays = dict[str, NDArray[Any]]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
T = TypeVar("T")


class Sealed(BaseModel):
    """A manifest. sha256: of the files, by path in the folder. digest: SHA-256 of all other fields."""

    model_config = ConfigDict(extra="forbid", strict=True)
    what: ClassVar[str]
    """What the folder holds, in a word."""

    schema_version: int
    sha256: dict[str, Digest]
    digest: Digest


S = TypeVar("S", bound=Sealed)


def write_manifest(folder: Path, fields: Mapping[str, Any], files: Iterable[str]) -> str:
    """Write the manifest of a folder with these files. Returns its digest."""
    content = {"schema_version": SCHEMA, **fields, "sha256": {name: sha256(folder / name) for name in sorted(files)}}
    digest = digest_of(content)
    text = json.dumps({**content, "digest": digest}, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8", newline="\n")
    return digest


def read_sealed(folder: Path, kind: type[S]) -> S:
    """The manifest of a folder. Raises MatineeError where it is missing, malformed, changed, or of another schema."""
    settle(folder)
    file = folder / MANIFEST
    refuse_links(folder, MANIFEST)
    try:
        content = json.loads(file.read_text("utf-8"))
        version, digest = content["schema_version"], content.get("digest")
        intact = digest == digest_of({name: value for name, value in content.items() if name != "digest"})
    except (FileNotFoundError, NotADirectoryError):
        hint = "name a folder that `matinee fit --out` wrote, or copy it again"
        if not folder.exists():
            raise MatineeError("there is no such folder", where=str(folder), hint="check the path") from None
        raise MatineeError(f"no {kind.what} is here", where=str(file), hint=hint) from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise broken(file, "is no manifest of Matinee") from None
    if version != SCHEMA:
        what = f"was saved in format {version}, and this version of Matinee reads format {SCHEMA}"
        raise MatineeError(what, where=str(file), hint="fit and save the model again")
    if not intact:
        raise broken(file, "differs from what was saved")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        raise broken(file, f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None


def digest_of(content: Mapping[str, Any]) -> str:
    """64 hex digits over canonical JSON, so that neither spaces nor the order of keys matter."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check_files(folder: Path, hashes: Mapping[str, str]) -> None:
    """Raise MatineeError unless these files are in the folder itself, with the bytes that were saved."""
    for name, digest in hashes.items():
        refuse_links(folder, name)
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise broken(folder / name, "is missing or differs from what was saved")


def refuse_links(folder: Path, name: str) -> None:
    """Raise MatineeError where folder / name leads out of the folder. The folder may itself be a link."""
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise broken(folder / name, "is a link that leads out of the folder")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    path.chmod(0o644)  # safetensors writes for its owner only, and a server may run as another user


def read_arrays(path: Path) -> Arrays:
    """The arrays of a safetensors file by name, of any kind and shape: the caller checks them."""
    return parsed(path, lambda: load_file(path), SafetensorError)


def parsed(path: Path, read: Callable[[], T], refusal: type[Exception]) -> T:
    """What `read` returns. Number types that numpy lacks raise AttributeError, KeyError or TypeError."""
    try:
        return read()
    except (refusal, ValueError, OSError, AttributeError, KeyError, TypeError) as error:
        raise broken(path, f"cannot be read ({error})") from None


def broken(path: Path, what: str) -> MatineeError:
    return MatineeError(what, where=str(path), hint="copy the folder again, or fit and save the model again")
