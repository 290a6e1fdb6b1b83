"""Small files in the official layouts, asymmetric on purpose, and the real ones where they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from matinee.data.dataset import Dataset

SHARED = Path(os.environ.get("MATINEE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))


def real(name: str) -> Path:
    """A real set's path; the test that asks for it is skipped where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in {SHARED} (MATINEE_TEST_DATA)")
    return path


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def flags(*places: int) -> str:
    """The 19 genre flags of u.item."""
    return "|".join("1" if i in places else "0" for i in range(19))


def ml_100k(folder: Path) -> Path:
    """4 ratings of 3 users; item 4 stands in u.item only, user 9 in u.user only."""
    items = [
        f"1|Toy Story (1995)|01-Jan-1995||http://x|{flags(3, 4, 5)}",
        f"2|Misérables, Les (1995)|01-Jan-1995||http://y|{flags(8, 12)}",
        f"3|Land Before Time III (1995) (V)|01-Jan-1995|||{flags(3)}",
        f"4|unknown||||{flags(0)}",
        f"10|Two Friends (1986) |26-Apr-1986|||{flags(8)}",
    ]
    users = ["1|24|M|technician|85711", "2|53|F|other|94043", "9|30|F|writer|T8H1N", "10|7|M|student|00123"]
    return write(
        folder,
        {
            "u.data": "2\t10\t3\t881250949\n1\t1\t5\t881250949\n10\t2\t4\t881250950\n1\t3\t1\t881250948\n",
            "u.item": "\n".join(items).encode("latin-1") + b"\n",
            "u.user": "\n".join(users) + "\n",
        },
    )


def ml_100k_recbole(folder: Path) -> Path:
    """The same content as recbole writes it."""
    items = [
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq",
        "1\tToy Story\t1995\tAnimation Children's Comedy",
        "2\tMisérables, Les\t1995\tDrama Musical",
        "3\tLand Before Time III (1995)\tV\tAnimation",
        "4\tunkonwn\tunkonwn\tunknown",
        "10\tTwo Friends\t1986\tDrama",
    ]
    users = ["user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token"]
    users += ["1\t24\tM\ttechnician\t85711", "2\t53\tF\tother\t94043", "9\t30\tF\twriter\tT8H1N"]
    users += ["10\t7\tM\tstudent\t00123"]
    log = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    return write(
        folder,
        {
            "ml-100k.inter": log + "2\t10\t3\t881250949\n1\t1\t5\t881250949\n10\t2\t4\t881250950\n1\t3\t1\t881250948\n",
            "ml-100k.item": "\n".join(items) + "\n",
            "ml-100k.user": "\n".join(users) + "\n",
        },
    )


def file(folder: Path, content: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def events(data: Dataset) -> list[tuple[Any, Any]]:
    return list(zip(data.users.decode(data.user), data.items.decode(data.item), strict=True))
