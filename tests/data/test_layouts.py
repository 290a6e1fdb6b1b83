"""Official folders -> Dataset, on small files written here and on the real ones."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from matinee.data.dataset import Dataset
from matinee.data.read.log import read
from matinee.errors import MatineeError

from .samples import ml_100k, ml_100k_recbole, real, write


def items(data: Dataset) -> dict[str, list[object]]:
    assert data.item_features is not None
    return data.item_features.to_dict(as_series=False)


def users(data: Dataset) -> dict[str, list[object]]:
    assert data.user_features is not None
    return data.user_features.to_dict(as_series=False)


@pytest.mark.parametrize("make", [ml_100k, ml_100k_recbole])
def test_ml_100k_from_either_source(tmp_path: Path, make: object) -> None:
    data = read(make(tmp_path / "set"))  # type: ignore[operator]
    assert data.items.ids.tolist() == [1, 2, 3, 4, 10], "numeric order, item 4 from the table alone"
    assert data.users.ids.tolist() == [1, 2, 9, 10]
    assert data.users.decode(data.user) == [2, 1, 10, 1], "the log's order"
    assert data.items.decode(data.item) == [10, 1, 2, 3]
    assert data.value is not None
    assert data.value.tolist() == [3, 5, 4, 1]
    assert data.timestamp is not None
    assert data.timestamp.tolist() == [881250949, 881250949, 881250950, 881250948]
    assert items(data) == {
        "title": [
            "Toy Story (1995)",
            "Misérables, Les (1995)",
            "Land Before Time III (1995) (V)",
            "unknown",
            "Two Friends (1986)",
        ],
        "year": [1995, 1995, 1995, None, 1986],
        "genres": [["Animation", "Children's", "Comedy"], ["Drama", "Musical"], ["Animation"], ["unknown"], ["Drama"]],
    }
    assert users(data) == {
        "age": [24, 53, 30, 7],
        "gender": ["M", "F", "F", "M"],
        "occupation": ["technician", "other", "writer", "student"],
        "zip": ["85711", "94043", "T8H1N", "00123"],
    }


def test_ml_1m_with_people(tmp_path: Path) -> None:
    extra = (
        "3::Toy Story::1995::G::22 Nov 1995::Animation::John Lasseter, Ash Brannon(co-director)::Joss Whedon (story, "
        "part 2), Joel Cohen (screenplay by), Joss Whedon (screenplay)::Tom Hanks, Tim Allen::A doll named "
        '"Woody": alive.::http://p\r\n'
        "1::Old::1921::N/A::N/A::Drama::N/A::N/A::N/A::N/A::N/A\r\n"
    )
    movies = '1::Élisa: "Old" (1921)::Drama|Sci-Fi\n3::Toy Story (1995)::Animation\n7::Unseen (2000)::War\n'
    folder = write(
        tmp_path / "ml-1m",
        {
            "ratings.dat": "5::3::4::978300719\n2::1::2::978300719\n",
            "movies.dat": movies.encode("latin-1"),
            "users.dat": "2::M::56::16::70072\n5::F::1::10::02139-1234\n",
            "movies_extrainfos.dat": extra,
        },
    )
    data = read(folder)
    assert items(data) == {
        "title": ['Élisa: "Old" (1921)', "Toy Story (1995)", "Unseen (2000)"],
        "year": [1921, 1995, 2000],
        "genres": [["Drama", "Sci-Fi"], ["Animation"], ["War"]],
        "directors": [None, ["John Lasseter", "Ash Brannon"], None],
        "writers": [None, ["Joss Whedon", "Joel Cohen"], None],
        "actors": [None, ["Tom Hanks", "Tim Allen"], None],
        "plot": [None, 'A doll named "Woody": alive.', None],
    }
    assert users(data) == {
        "gender": ["M", "F"],
        "age": [56, 1],
        "age_group": ["56+", "Under 18"],
        "occupation": ["self-employed", "K-12 student"],
        "zip": ["70072", "02139-1234"],
    }


def test_ml_10m_half_stars_tags_and_utf8(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "ml-10m",
        {
            "ratings.dat": "1::122::3.5::838985046\n1::185::0.5::838983525\n",
            "movies.dat": "122::Amélie (2001)::Comedy|Romance\n185::Net, The (1995)::(no genres listed)\n",
            "tags.dat": "15::122::quirky: odd::1215184630\n9::122::paris::1\n8::122::quirky: odd::2\n",
        },
    )
    data = read(folder)
    assert data.value is not None
    assert data.value.tolist() == [3.5, 0.5]
    assert items(data) == {
        "title": ["Amélie (2001)", "Net, The (1995)"],
        "year": [2001, 1995],
        "genres": [["Comedy", "Romance"], []],
        "tags": [["quirky: odd", "paris"], None],
    }
    assert data.user_features is None


def test_csv_release_with_tags_and_links(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "ml-latest-small",
        {
            "ratings.csv": "userId,movieId,rating,timestamp\r\n2,10,4.5,964982703\r\n1,2,3.0,964981247\r\n",
            "movies.csv": 'movieId,title,genres\r\n10,"American President, The (1995)",Comedy|Drama\r\n'
            "2,Babylon 5,(no genres listed)\r\n",
            "tags.csv": "userId,movieId,tag,timestamp\r\n2,10,funny,1\r\n3,10,Funny,2\r\n2,10,funny,3\r\n",
            "links.csv": "movieId,imdbId,tmdbId\r\n10,0114709,862\r\n2,0113497,\r\n",
        },
    )
    assert items(read(folder)) == {
        "title": ["Babylon 5", "American President, The (1995)"],
        "year": [None, 1995],
        "genres": [[], ["Comedy", "Drama"]],
        "tags": [None, ["funny", "Funny"]],
        "imdb_id": ["0113497", "0114709"],
        "tmdb_id": [None, 862],
    }
    for name in ("tags.csv", "links.csv"):
        (folder / name).unlink()
    assert list(items(read(folder))) == ["title", "year", "genres"]


def test_contest(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "contest",
        {
            "train_ratings.csv": "user,item,time\n11,4643,1230782529\n11,170,1230782534\n14,4643,1230782539\n",
            "titles.tsv": "item\ttitle\n170\tHackers (1995)\n4643\tPlanet of the Apes (2001)\n8\tNone\n",
            "years.tsv": "item\tyear\n4643\t2002\n",
            "genres.tsv": "item\tgenre\n4643\tAction\n170\tCrime\n4643\tSci-Fi\n4643\tAction\n",
            "directors.tsv": "item\tdirector\n4643\tnm0000318\n9\tnm1\n",
        },
    )
    data = read(folder)
    assert data.items.ids.tolist() == [8, 9, 170, 4643]
    assert data.value is None
    assert items(data) == {
        "title": ["None", None, "Hackers (1995)", "Planet of the Apes (2001)"],
        "year": [None, None, 1995, 2002],
        "genres": [None, None, ["Crime"], ["Action", "Sci-Fi"]],
        "directors": [None, ["nm1"], None, ["nm0000318"]],
    }
    for name in ("titles", "years", "genres", "directors"):
        (folder / f"{name}.tsv").unlink()
    assert read(folder).item_features is None


def test_recbole_sequences_and_context(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {
            "x.inter": "user_id:token\titem_id:token\tdevice:token\n1\ta b\ttv\n",
            "x.item": "item_id:token\tlooks:token_seq\na b\tred round\n",
        },
    )
    data = read(folder)
    assert data.context is not None
    assert data.context.to_dicts() == [{"device": "tv"}]
    assert items(data) == {"looks": [["red", "round"]]}
    assert data.items.ids.tolist() == ["a b"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"u.data": "1\t2\t3\t4\n1\t2\tx\t4\n"}, r"u.data, row 2, column 'rating': the rating is not a finite number"),
        ({"u.data": "1\t2\t3\t4\n1\t2\t3\n"}, r"u.data, row 2: has 3 fields where 4"),
        ({"u.data": "1\t2\t3\t4\n\t2\t3\t4\n"}, r"u.data, row 2, column 'user_id': the id is empty"),
        ({"ratings.dat": "1::2::3::4\n1::2::3::-4\n"}, r"ratings.dat, row 2, column 'timestamp': .*'?-4'? is negative"),
        ({"ratings.dat": "1::2::3::4\n1::2::3::4::5\n"}, r"ratings.dat, row 2: has 5 fields where 4"),
        ({"ratings.dat": "1::2::3::4\n", "movies.dat": "2::A::B\n2::A::B\n"}, r"movies.dat, row 2, column 'item_id'"),
        ({"ratings.csv": "userId,rating\n", "movies.csv": ""}, r"ratings.csv: there is no column 'item_id'"),
        (
            {"ratings.csv": "userId,movieId,rating,timestamp\n1,2,3,4\n", "movies.csv": ""},
            r"movies.csv: the file is empty",
        ),
        ({"train_ratings.csv": "user,item\n1,2\n"}, r"train_ratings.csv: there is no column 'time'"),
        ({"a.inter": "user_id:token\n1\n"}, r"a.inter: there is no column 'item_id'"),
        (
            {"train_ratings.csv": "user,item,time\n1,2,3\n", "titles.tsv": "item\ttitle\n1\tA\n1\tB\n"},
            r"titles.tsv, row 3, column 'item': a second row describes",
        ),
    ],
)
def test_damaged_folders(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(MatineeError, match=message):
        read(write(tmp_path, files))


@pytest.mark.parametrize(
    ("name", "counts", "rated"),
    [
        ("ml-100k", (100_000, 943, 1_682), 1_682),
        ("ml-latest-small", (100_836, 610, 9_742), 9_724),
        ("ml-1m", (1_000_209, 6_040, 3_883), 3_706),
    ],
)
def test_real_counts(name: str, counts: tuple[int, int, int], rated: int) -> None:
    data = read(real(name))
    assert (len(data), data.n_users, data.n_items) == counts
    assert int((data.item_counts() > 0).sum()) == rated
    assert data.item_features is not None
    assert data.item_features["title"].null_count() == 0
    assert data.item_features["genres"].dtype == pl.List(pl.String)
    if name == "ml-latest-small":
        tags = data.item_features["tags"].list.len().sum()
        assert tags == pl.read_csv(real(name) / "tags.csv").select("movieId", "tag").n_unique()


def test_sessions_of_diginetica(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", {"train_sessions.txt": "7 7 12\n12 3\n", "test_prefix_target.txt": "7 99\t3\n"})
    data = read(folder)
    assert data.users.decode(data.user) == [1, 1, 1, 2, 2]
    assert data.items.decode(data.item) == [7, 7, 12, 12, 3], "repeats kept; the test's items do not join the log"
    assert data.items.ids.tolist() == [3, 7, 12]
    assert data.timestamp is None


def test_sequences_with_attributes(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "toys",
        {"Toys.txt": "u2 9 4\nu1 4\n", "Toys_item2attributes.json": '{"4": [2, "soft"], "11": [], "9": [7]}'},
    )
    data = read(folder)
    assert data.users.decode(data.user) == ["u2", "u2", "u1"]
    assert data.items.decode(data.item) == [9, 4, 4]
    assert data.items.ids.tolist() == [4, 9, 11]
    assert items(data) == {"attributes": [["2", "soft"], ["7"], []]}
    assert data.name == "toys"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"4": [1', r"Toys_item2attributes\.json: is no JSON: .*line 1"),
        ("[" * 100_000, r"Toys_item2attributes\.json: is no JSON"),
        ("[1]", r"Toys_item2attributes\.json: is a list, not an object"),
        ('{"4": [1], "9": 3}', r"Toys_item2attributes\.json, item '9': is no list of attributes"),
        ('{"4": [1.5]}', r"item '4': is no list of attributes"),
        ('{"4": [true]}', r"item '4': is no list of attributes"),
        ('{"": [1]}', r"item '': is no list of attributes"),
    ],
)
def test_bad_attributes_are_named(tmp_path: Path, content: str, message: str) -> None:
    folder = write(tmp_path, {"Toys.txt": "1 9 4\n", "Toys_item2attributes.json": content})
    with pytest.raises(MatineeError, match=message):
        read(folder)
