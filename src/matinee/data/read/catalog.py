"""Named public data sets: where they come from, what they must hold, under which licence."""

from __future__ import annotations

import difflib
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from matinee.data.read.download import Limits, NoConnectionError, check_md5, fetch, fetch_text, unzip, wheel_members
from matinee.errors import MatineeError
from matinee.files import StrPath, atomic_folder, settle

if TYPE_CHECKING:
    from matinee.data.dataset import Dataset

GROUPLENS = "https://files.grouplens.org/datasets/movielens"
CITATION = (
    "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. ACM TiiS 5, 4: 19."
)

DIGINETICA_CITATION = "DIGINETICA, CIKM Cup 2016, Track 2: Personalized E-Commerce Search Challenge."
BEAUTY_CITATION = (
    "Julian McAuley, Christopher Targett, Qinfeng Shi and Anton van den Hengel. 2015. Image-Based Recommendations on "
    "Styles and Substitutes. SIGIR 2015."
)

_CSV = ("ratings.csv", "movies.csv", "tags.csv", "links.csv", "README.txt")
_DAT = ("ratings.dat", "movies.dat", "README")
_STRICT = (
    "Research use only: no redistribution without separate permission, no commercial use without permission of "
    "GroupLens; acknowledge it in publications."
)
_SHARED = (
    "No commercial use without permission of GroupLens; may be redistributed under the same terms; acknowledge it in "
    "publications."
)
_UNSTATED = "None stated by its publisher: use it for research, and do not pass it on."


@dataclass(frozen=True)
class Wheel:
    """A package that carries a set's files: a second source where only pip reaches out. Never installed."""

    requirement: str
    sha256: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One named set. movies counts the item table, of which not every film need be rated.

    folder: the archive's own folder. megabytes: the most its files may unpack to. fixed: False where the publisher
    changes the content now and then, and so promises neither counts nor a checksum. words: what its events, users and
    items are. bring: of a set that no address gives in this form, what its files hold; the user puts them in place.
    """

    name: str
    title: str
    licence: str
    events: int
    users: int
    movies: int
    folder: str
    files: tuple[str, ...]
    megabytes: int
    fixed: bool = True
    wheel: Wheel | None = None
    words: tuple[str, str, str] = ("ratings", "users", "films")
    bring: str | None = None
    citation: str = CITATION

    def url(self, base_url: str = GROUPLENS) -> str | None:
        """None of a set that must be brought."""
        return None if self.bring else f"{base_url.rstrip('/')}/{self.name}.zip"

    def counted(self, events: int, users: int, items: int) -> str:
        """ "100,000 ratings, 943 users and 1,682 films", in the set's own words."""
        a, b, c = (f"{n:,} {word}" for n, word in zip((events, users, items), self.words, strict=True))
        return f"{a}, {b} and {c}"

    def describe(self) -> str:
        """Title, size, source, licence and citation, a line each."""
        counts = self.counted(self.events, self.users, self.movies)
        source = self.url() or f"your own files: {self.bring}"
        return f"{self.title}: {counts}\nsource: {source}\nlicence: {self.licence}\ncite: {self.citation}"


def _csv_release(name: str, title: str, events: int, users: int, movies: int, megabytes: int) -> Entry:
    return Entry(name, title, _SHARED, events, users, movies, name, _CSV, megabytes)


_RECBOLE = Wheel(
    "recbole==1.2.1",
    "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    tuple(f"recbole/dataset_example/ml-100k/ml-100k.{kind}" for kind in ("inter", "item", "user")),
)

ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "ml-100k",
            "MovieLens 100K (1998)",
            _STRICT,
            100_000,
            943,
            1_682,
            "ml-100k",
            ("u.data", "u.item", "u.user", "u.genre", "README"),
            40,
            wheel=_RECBOLE,
        ),
        replace(
            _csv_release("ml-latest-small", "MovieLens latest, small (2018)", 100_836, 610, 9_742, 40), fixed=False
        ),
        Entry("ml-1m", "MovieLens 1M (2003)", _STRICT, 1_000_209, 6_040, 3_883, "ml-1m", (*_DAT, "users.dat"), 100),
        Entry(
            "ml-10m",
            "MovieLens 10M (2009)",
            _STRICT,
            10_000_054,
            69_878,
            10_681,
            "ml-10M100K",
            ("ratings.dat", "movies.dat", "tags.dat", "README.html"),
            1_000,
        ),
        _csv_release("ml-20m", "MovieLens 20M (2015)", 20_000_263, 138_493, 27_278, 2_000),
        _csv_release("ml-25m", "MovieLens 25M (2019)", 25_000_095, 162_541, 62_423, 2_500),
        _csv_release("ml-32m", "MovieLens 32M (2023)", 32_000_204, 200_948, 87_585, 3_000),
        Entry(
            "diginetica",
            "Diginetica, click sessions (2016)",
            _UNSTATED,
            906_140,
            186_670,
            43_097,
            "diginetica",
            ("train_sessions.txt", "test_prefix_target.txt"),
            40,
            words=("clicks", "sessions", "items"),
            bring="train_sessions.txt has one session a line, item ids between spaces, in order of time; "
            "test_prefix_target.txt items, a tab, and the item clicked next",
            citation=DIGINETICA_CITATION,
        ),
        Entry(
            "beauty",
            "Amazon Beauty, 5-core (2014)",
            _UNSTATED,
            198_502,
            22_363,
            12_101,
            "beauty",
            ("Beauty.txt", "Beauty_item2attributes.json"),
            20,
            words=("reviews", "users", "items"),
            bring="Beauty.txt has one user a line, the user's id and then item ids between spaces, in order of time; "
            'Beauty_item2attributes.json is {"item id": [attribute, ...], ...}',
            citation=BEAUTY_CITATION,
        ),
    )
}


def entry(name: str) -> Entry:
    """The entry of this name. Raises MatineeError that lists the names, near misses first."""
    if name in ENTRIES:
        return ENTRIES[name]
    near = difflib.get_close_matches(name.lower().replace("_", "-"), ENTRIES, n=3, cutoff=0.5)
    names = ", ".join(ENTRIES)
    hint = f"did you mean {' or '.join(near)}? The names are {names}" if near else f"use one of {names}"
    raise MatineeError(f"there is no data set named '{name}'", hint=f"{hint}; or pass a file or folder to read()")


def cache_folder() -> Path:
    """The user's cache: $XDG_CACHE_HOME/matinee, or what the platform uses."""
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "matinee"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "matinee"
    if os.name == "nt" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "matinee" / "Cache"
    return Path.home() / ".cache" / "matinee"


def load(
    name: str = "ml-100k",
    *,
    data_dir: StrPath | None = None,
    cache_dir: StrPath | None = None,
    progress: bool = True,
    base_url: str = GROUPLENS,
) -> Dataset:
    """A named data set: from DATA_DIR/NAME/ in the official layout, else from the cache, else downloaded into it.

    Everything is checked against the known counts, downloads also against the publisher's checksum. A damaged copy in
    the cache is fetched again; one in data_dir is the user's, and refused. The licence is shown when a set arrives.
    diginetica and beauty have no address: their files are brought, into one of the two places.
    Raises MatineeError for an unknown name, and where nothing can be reached it says where to put the files.
    """
    known = entry(name)
    if data_dir is not None and (folder := Path(data_dir) / name).is_dir():
        return _checked(known, folder)
    cache = Path(cache_dir) if cache_dir is not None else cache_folder()
    target = cache / name
    settle(target)
    if target.is_dir():
        try:
            return _checked(known, target)
        except MatineeError as error:
            if known.bring:
                raise
            print(f"matinee: the cached copy is damaged and is fetched again ({error.what})", file=sys.stderr)
    if known.bring:
        raise MatineeError(f"{name} is not here, and there is no address to fetch it from", hint=_place(known, target))
    return _acquired(known, target, base_url, progress=progress)


def _checked(known: Entry, folder: Path) -> Dataset:
    """The set in this folder. Raises MatineeError when its counts are not the known ones."""
    from matinee.data.read.log import read

    missing = [name for name in known.files if known.bring and not (folder / name).is_file()]
    if missing:
        raise MatineeError(f"lacks {' and '.join(missing)}", where=str(folder), hint=f"put it there: {known.bring}")
    data = read(folder, name=known.name)
    found, expected = (len(data), data.n_users, data.n_items), (known.events, known.users, known.movies)
    if known.fixed and found != expected:
        text = known.counted
        raise MatineeError(
            f"holds {text(*found)} where {known.name} has {text(*expected)}",
            where=str(folder),
            hint="fetch it again; to use it as it is, read the folder itself instead of the name",
        )
    return data


def _acquired(known: Entry, target: Path, base_url: str, *, progress: bool) -> Dataset:
    """Download into the cache. Nothing is left there unless the whole set arrived and passed its checks."""
    data: Dataset | None = None
    with atomic_folder(target) as temp:
        try:
            _from_publisher(known, temp, base_url, progress=progress)
        except NoConnectionError as error:
            if known.wheel is None:
                raise _unreachable(known, target, [error]) from error
            try:
                _from_wheel(known.wheel, temp)
            except NoConnectionError as second:
                raise _unreachable(known, target, [error, second]) from second
        data = _checked(known, temp)
    print(f"matinee: {known.describe()}", file=sys.stderr)
    return data


def _from_publisher(known: Entry, folder: Path, base_url: str, *, progress: bool) -> None:
    url = known.url(base_url)
    assert url is not None  # what must be brought is never fetched
    md5 = fetch_text(url + ".md5")
    if md5 is None and known.fixed:
        raise MatineeError("the publisher's checksum is missing", where=url + ".md5", hint="try again later")
    archive = folder / f"{known.name}.zip"
    fetch(url, archive, progress=progress)
    if md5 is not None:
        check_md5(archive, md5, url + ".md5")
    members = {f"{known.folder}/{name}": name for name in known.files}
    unzip(archive, folder, members, Limits(total=known.megabytes * 10**6))
    archive.unlink()


def _from_wheel(wheel: Wheel, folder: Path) -> None:
    members = {member: member.rpartition("/")[2] for member in wheel.members}
    wheel_members(wheel.requirement, wheel.sha256, members, folder, Limits(total=20 * 10**6))


def _unreachable(known: Entry, target: Path, reasons: list[NoConnectionError]) -> MatineeError:
    tried = "; ".join(str(reason) for reason in reasons)
    return MatineeError(f"{known.name} is not here and cannot be fetched ({tried})", hint=_place(known, target))


def _place(known: Entry, target: Path) -> str:
    """Which files to put where."""
    names = ", ".join(name for name in known.files if "README" not in name)
    of = f" of {known.url()}" if known.url() else ""
    place = f"put {names}{of} into {target}, or into DIR/{known.name} and pass that DIR as data_dir (--data-dir DIR)"
    return f"{place}; {known.bring}" if known.bring else place
