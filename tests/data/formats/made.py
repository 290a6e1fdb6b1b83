"""A small log in each format, with what it holds. Ids, texts and numbers are invented; the layouts are not."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data.samples import ml_100k, write

Files = dict[str, str | bytes]
Row = tuple[Any, ...]
SHA = "00000c289a1829a808ac09c00daf10bc3c4e223b", "11111c289a1829a808ac09c00daf10bc3c4e223b"
MBID = "3bd73256-3905-4f3a-97e2-8b341527f805"
TRACK = "f2a0ae5c-1a1e-4f2a-a0a5-2b0b0b0b0b0b"


@dataclass(frozen=True)
class Made:
    """files: name -> content. log: the file to be named instead of the folder. rows: (user, item, rating, time) in the
    order of the log, None where there is none. titles: item -> title, of the folder. context, items: columns -> values,
    in the order of rows and of codes. weights: of rows. dislikes: (user, item). warns: what is said, once, when it is
    read. broken: (a line of `log`, what it is replaced by, what the error says after "log, row N").
    """

    files: Files | Callable[[Path], object]
    log: str
    rows: Sequence[Row]
    titles: dict[Any, str | None] | None = None
    context: dict[str, list[Any]] | None = None
    items: dict[str, list[Any]] | None = None
    users: dict[str, list[Any]] | None = None
    warns: str | None = None
    weights: list[float] | None = None
    dislikes: Sequence[tuple[Any, Any]] = ()
    broken: tuple[int, str, str] | None = None
    known: bool = True  # by its content: `auto` finds it

    def folder(self, folder: Path) -> Path:
        if callable(self.files):
            self.files(folder)
            return folder
        return write(folder, self.files)


def lines(*rows: str | dict[str, Any]) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def packed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def criteo(label: int, first: str, last: str) -> str:
    return "\t".join([str(label), first, *["7"] * 11, "", *["68fd1e64"] * 25, last])


def yambda(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    flat = {"uid": [100, 100, 200], "timestamp": [39420, 39425, 5], "item_id": [9, 8, 9], "is_organic": [0, 1, 1]}
    kinds = {"uid": pl.UInt32, "timestamp": pl.UInt32, "item_id": pl.UInt32, "is_organic": pl.UInt8}
    pl.DataFrame(flat, schema=kinds).write_parquet(folder / "listens.parquet")


def yambda_kinds(folder: Path) -> None:
    yambda(folder)
    pl.DataFrame({"uid": [100], "timestamp": [39421], "item_id": [9]}).write_parquet(folder / "dislikes.parquet")


def yambda_lists(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lists = {"uid": [100, 300, 200], "item_id": [[9, 8], [], [9]], "timestamp": [[10, 20], [], [5]]}
    pl.DataFrame(lists, schema_overrides={"item_id": pl.List(pl.UInt32)}).write_parquet(folder / "listens.parquet")


def song(name: str) -> dict[str, Any]:
    return {
        "pos": 0,
        "artist_name": "Somebody",
        "track_uri": f"t:{name}",
        "track_name": f"Song {name}",
        "duration_ms": 9,
    }


MOVIES = '5,"American President, The (1995)",Comedy|Drama\r\n'
BOOKS = lines(
    '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher"\r',
    '"0002005018";"Dune; \\"Messiah\\" & Café";"F. H";"1969";"P"\r',
    '"1234";"broken\\";F. H";"1";"P"\r',
    '"080410753X";"Plain";"B";"0";"Q"\r',
).encode("latin-1")
BEHAVIORS = lines(
    "1\tU9\t11/15/2019 8:55:22 AM\tN3 N1\tN2-0 N7-1",
    "2\tU9\t11/11/2019 12:05:58 PM\tN3 N1\tN2-1",
    "3\tU5\t11/12/2019 6:11:30 PM\t\tN7-0 N1-1 N3-1",
)
NEWS = 'N{}\tnews\tnewsworld\tTitle {}\tSaid "so\tbad\turl\t[]\t[]'.replace('"so\tbad', '"so')
AMAZON = lines(
    {"reviewerID": "A1", "asin": "0000013714", "overall": 4.0, "reviewText": "ok", "unixReviewTime": 1393545600},
    {"reviewerID": "A2", "asin": "B000000002", "overall": 5.0, "reviewText": 'a "b"\n', "unixReviewTime": 1393545601},
)
AMAZON_2023 = {"rating": 5.0, "title": "t", "text": "x", "images": [], "verified_purchase": True, "helpful_vote": 2}
STEAM_USERS = (
    "{'user_id': '76561197970982479', 'items_count': 2, 'steam_id': '1', 'user_url': 'u', 'items': [{'item_id': '10', "
    "'item_name': \"Garry's\", 'playtime_forever': 6, 'playtime_2weeks': 0}, {'item_id': '20', 'item_name': 'Team', "
    "'playtime_forever': 0, 'playtime_2weeks': 0}]}\n"
    "{'user_id': 'nobody', 'items_count': 0, 'steam_id': '2', 'user_url': 'u', 'items': []}\n"
    "{'user_id': 'js41637', 'items_count': 1, 'steam_id': '3', 'user_url': 'u', 'items': [{'item_id': '10', "
    "'item_name': \"Garry's\", 'playtime_forever': 328, 'playtime_2weeks': 0}]}\n"
)
GOODREADS = [
    {"user_id": "8842281e", "book_id": "07", "rating": 4, "date_added": "Fri Mar 07 16:09:11 -0800 2014"},
    {"user_id": "8842281e", "book_id": "12", "rating": 0, "date_added": "Sat Mar 08 00:09:11 +0000 2014"},
    {"user_id": "72fb0d00", "book_id": "12", "rating": 5, "date_added": "Sat Mar 08 00:09:10 +0000 2014"},
]
CASES: dict[str, list[Made]] = {
    "movielens": [
        Made(
            ml_100k,
            "u.data",
            [(2, 10, 3, 881250949), (1, 1, 5, 881250949), (10, 2, 4, 881250950), (1, 3, 1, 881250948)],
            {1: "Toy Story (1995)", 2: "Misérables, Les (1995)", 4: "unknown"},
            broken=(2, "1\t1\tfive\t881250949", ", column 'rating': the rating is not a finite number: 'five'"),
        ),
        Made(
            {"ratings.dat": "5::3::4.5::978300719\n2::1::2::978300720\n", "movies.dat": "3::Old: New (1921)::Drama\n"},
            "ratings.dat",
            [(5, 3, 4.5, 978300719), (2, 1, 2, 978300720)],
            {3: "Old: New (1921)"},
            broken=(2, "2::1::2", ": has 3 fields where 4 are expected"),
        ),
        Made(
            {
                "ratings.csv": "userId,movieId,rating,timestamp\r\n9,5,0.5,964982703\r\n7,5,3.0,964981247\r\n",
                "movies.csv": "movieId,title,genres\r\n" + MOVIES,
                "tags.csv": 'userId,movieId,tag,timestamp\r\n9,5,"funny, ""ha""",1\r\n',
            },
            "ratings.csv",
            [(9, 5, 0.5, 964982703), (7, 5, 3, 964981247)],
            {5: "American President, The (1995)"},
            items={"tags": [['funny, "ha"']]},
            broken=(3, "7,,3.0,964981247", ", column 'item_id': the id is empty"),
        ),
    ],
    "netflix_prize": [
        Made(
            {
                "combined_data_10.txt": "4:\n70012,1,2005-01-01\n",
                "combined_data_2.txt": "1:\n70011,3,2005-09-06\n70012,5,1999-11-11\n3:\n70013,4,2005-09-05\n",
                "movie_titles.csv": "1,2003,Dinosaur, the Planet\n3,NULL,Café\n".encode("latin-1"),
            },
            "combined_data_2.txt",
            [
                (70011, 1, 3, 1125964800),
                (70012, 1, 5, 942278400),
                (70013, 3, 4, 1125878400),
                (70012, 4, 1, 1104537600),
            ],
            {1: "Dinosaur, the Planet", 3: "Café", 4: None},
            items={"year": [2003, None, None]},
            broken=(3, "70012,6,1999-11-11", ": '70012,6,1999-11-11' is neither a film nor a rating of it"),
        ),
        Made(
            {
                "mv_0000002.txt": "2:\n70011,3,2005-09-06\n",
                "mv_0000001.txt": "1:\n70011,4,2005-09-05\n",
                "qualifying.txt": "1:\n70011,2005-09-05\n",
            },
            "mv_0000001.txt",
            [(70011, 1, 4, 1125878400), (70011, 2, 3, 1125964800)],
            broken=(1, "70011,4,2005-09-05", ": a rating stands before the first film"),
        ),
    ],
    "book_crossing": [
        Made(
            {
                "BX-Book-Ratings.csv": lines(
                    '"User-ID";"ISBN";"Book-Rating"\r',
                    '"276725";"080410753X";"0"\r',
                    '"276726";"0002005018";"5"\r',
                    '"276725";"080410753X";"10"\r',
                ),
                "BX-Books.csv": BOOKS,
                "BX-Users.csv": '"User-ID";"Location";"Age"\r\n"276726";"a, b";NULL\r\n"276725";"c";"18"\r\n',
            },
            "BX-Book-Ratings.csv",
            [
                (276725, "080410753X", None, None),
                (276726, "0002005018", None, None),
                (276725, "080410753X", None, None),
            ],
            {"0002005018": 'Dune; "Messiah" & Café', "080410753X": "Plain"},
            items={"year": [1969, None]},
            users={"location": ["c", "a, b"], "age": [18, None]},
            warns="1 of 3 rows have the rating 0, which means not rated, so every row is an event and ratings are not "
            'read; rating="Book-Rating" reads the 2 rated rows alone|1 rows have not 5 fields',
            broken=(3, '"276726";"0002005018"\r', ": has 2 fields where 3 are expected"),
        ),
    ],
    "amazon": [
        Made(
            {
                "reviews_Toys_5.json": AMAZON,
                "meta_Toys.json": lines(
                    {"asin": "0000013714", "title": "Doll", "brand": "X", "category": ["Toys", "Dolls"], "price": 3.5}
                ),
            },
            "reviews_Toys_5.json",
            [("A1", "0000013714", 4, 1393545600), ("A2", "B000000002", 5, 1393545601)],
            {"0000013714": "Doll", "B000000002": None},
            items={"brand": ["X", None], "categories": [["Toys", "Dolls"], None]},
            broken=(2, '{"reviewerID": "A2", "asin": ', ": is no JSON object: "),
        ),
        Made(
            {"Toys.json.gz": packed(AMAZON)},
            "Toys.json.gz",
            [("A1", "0000013714", 4, 1393545600), ("A2", "B000000002", 5, 1393545601)],
        ),
        Made(
            {
                "Toys.jsonl": lines(
                    {**AMAZON_2023, "asin": "B1", "parent_asin": "0001", "user_id": "AE", "timestamp": 1588687728923},
                    {**AMAZON_2023, "asin": "B2", "parent_asin": "0001", "user_id": "AF", "timestamp": 1588687729001},
                ),
                "meta_Toys.jsonl": lines({"title": "Kit", "store": "Y", "categories": [], "parent_asin": "0001"}),
            },
            "Toys.jsonl",
            [("AE", "0001", 5, 1588687728), ("AF", "0001", 5, 1588687729)],
            {"0001": "Kit"},
            context={"asin": ["B1", "B2"], "verified_purchase": ["true", "true"], "helpful_vote": [2, 2]},
            broken=(2, '{"asin": "B2", "parent_asin": "0001", "rating": 1}', ", column 'user_id': the id is empty"),
        ),
    ],
    "yelp": [
        Made(
            {
                "yelp_academic_dataset_review.json": lines(
                    {"review_id": "r", "user_id": "u-1", "business_id": "_b", "stars": 3.0, "useful": 1, "funny": 0}
                    | {"cool": 0, "text": "x", "date": "2018-07-07 22:09:11"},
                    {"review_id": "s", "user_id": "u-2", "business_id": "_b", "stars": 5.0, "useful": 0, "funny": 0}
                    | {"cool": 2, "text": "x", "date": "2012-01-03 15:28:18"},
                ),
                "yelp_academic_dataset_business.json": lines(
                    {"business_id": "_b", "name": "Target", "city": "Tucson", "state": "AZ", "stars": 3.5}
                    | {"review_count": 22, "categories": "Shopping, Home & Garden", "hours": None}
                ),
                "yelp_academic_dataset_user.json": lines(
                    {"user_id": "u-2", "name": "W", "review_count": 585, "yelping_since": "2007-01-25", "fans": 267}
                ),
            },
            "yelp_academic_dataset_review.json",
            [("u-1", "_b", 3, 1531001351), ("u-2", "_b", 5, 1325604498)],
            {"_b": "Target"},
            context={"useful": [1, 0], "funny": [0, 0], "cool": [0, 2]},
            items={"categories": [["Shopping", "Home & Garden"]], "stars": [3.5]},
            users={"fans": [None, 267]},
            broken=(1, '["user_id"]', ": is no JSON object: it is something else"),
        ),
    ],
    "goodreads": [
        Made(
            {
                "goodreads_interactions_poetry.json": lines(*GOODREADS),
                "goodreads_books_poetry.json": lines({"book_id": "07", "title": "Odes", "publication_year": "1998"}),
            },
            "goodreads_interactions_poetry.json",
            [
                ("8842281e", "07", None, 1394237351),
                ("8842281e", "12", None, 1394237351),
                ("72fb0d00", "12", None, 1394237350),
            ],
            {"07": "Odes", "12": None},
            items={"year": [1998, None]},
            warns="1 of 3 rows have the rating 0, which means not rated",
            broken=(
                3,
                lines({**GOODREADS[2], "date_added": "2014"})[:-1],
                ", column 'date_added': the time '2014' cannot",
            ),
        ),
    ],
    "goodreads_csv": [
        Made(
            {"goodreads_interactions.csv": "user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n1,947,0,0,0\n"},
            "goodreads_interactions.csv",
            [(0, 948, None, None), (1, 947, None, None)],
            context={"is_read": [1, 0]},
            warns="1 of 2 rows have the rating 0",
            broken=(2, "0,948,1,5", ": has 4 fields where 5 are expected"),
        ),
    ],
    "steam_users": [
        Made(
            {"australian_users_items.json": STEAM_USERS},
            "australian_users_items.json",
            [
                ("76561197970982479", 10, None, None),
                ("76561197970982479", 20, None, None),
                ("js41637", 10, None, None),
            ],
            {10: "Garry's", 20: "Team"},
            context={"minutes": [6, 0, 328]},
            warns="1 users own no game, and have no event",
            broken=(2, "{'user_id': 'nobody', 'items_count': 0, ", ": is no Python dictionary"),
        ),
    ],
    "amazon_ratings": [
        Made(
            {
                "ratings_Beauty.csv": "A39HTATAQ9V7YF,0205616461,5.0,1369699200\n"
                "A3JM6GV9MNOF9X,B000000002,3.0,1355443200\n"
            },
            "ratings_Beauty.csv",
            [("A39HTATAQ9V7YF", "0205616461", 5, 1369699200), ("A3JM6GV9MNOF9X", "B000000002", 3, 1355443200)],
            broken=(2, "A3JM6GV9MNOF9X,B000000002,3.0,soon", ", column 'timestamp': the time 'soon' cannot"),
        ),
        Made(
            {"All_Beauty.csv": "0143026860,A1V6B6TNIC10QE,1.0,1424304000\nB00W259T7G,A2F5GHSXFQ0W6J,4.0,1418860800\n"},
            "All_Beauty.csv",
            [("A1V6B6TNIC10QE", "0143026860", 1, 1424304000), ("A2F5GHSXFQ0W6J", "B00W259T7G", 4, 1418860800)],
        ),
        Made(
            {"Toys.csv": "user_id,parent_asin,rating,timestamp\nAGKA,B006GBITXC,3.0,1452647382000\n"},
            "Toys.csv",
            [("AGKA", "B006GBITXC", 3, 1452647382)],
        ),
    ],
    "kuairec": [
        Made(
            {
                "big_matrix.csv": "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
                "0,3649,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.5\n"
                "0,9598,13665,10984,2020-07-05 00:13:41.297,20200705,1593879221.297,0.25\n"
            },
            "big_matrix.csv",
            [(0, 3649, 1.5, 1593878903), (0, 9598, 0.25, 1593879221)],
            context={"play_duration": [13838, 13665], "video_duration": [10867, 10984]},
        ),
        Made(
            {
                "small_matrix.csv": "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
                "14,148,4381,6067,2020-07-05 05:27:48.378,20200705.0,1593898068.378,0.5\n14,183,11635,6100,,,,2\n"
            },
            "small_matrix.csv",
            [(14, 148, 0.5, None), (14, 183, 2, None)],
            warns="1 of 2 rows have no time, so no times are read",
        ),
    ],
    "lenskit": [
        Made(
            {"x.csv": "user,item,rating,timestamp\n1,7,3.5,100\n"},
            "x.csv",
            [(1, 7, 3.5, 100)],
            known=False,
            broken=(2, "1,7", ": has 2 fields where 4 are expected"),
        )
    ],
    "rectools": [
        Made(
            {"x.csv": "user_id,item_id,weight,datetime\n1,7,3.5,2021-09-01\n"},
            "x.csv",
            [(1, 7, None, 1630454400)],
            weights=[3.5],
            known=False,
        )
    ],
    "steam": [
        Made(
            {
                "steam-200k.csv": '151603712,"Skyrim, V",purchase,1.0,0\n151603712,"Skyrim, V",play,273.0,0\n'
                "9,Dota 2,play,0.5,0\n"
            },
            "steam-200k.csv",
            [(151603712, "Skyrim, V", None, None), (151603712, "Skyrim, V", None, None), (9, "Dota 2", None, None)],
            context={"event_type": ["purchase", "play", "play"], "hours": [None, 273.0, 0.5]},
            warns="kinds of events, and all count alike: purchase, play; kinds=",
            broken=(3, "9,Dota 2,play", ": has 3 fields where 5 are expected"),
        )
    ],
    "lastfm_360k": [
        Made(
            {
                "usersha1-artmbid-artname-plays.tsv": f'{SHA[1]}\t{MBID}\t"weird al" x\t2137\n'
                f"{SHA[0]}\t\tdie Ärzte\t1099\n{SHA[0]}\t{MBID}\tweird al\t7\n",
                "usersha1-profile.tsv": f"{SHA[0]}\tf\t22\tGermany\tFeb 1, 2007\n{SHA[1]}\t\t\tMexico\tSep 2, 2008\n",
            },
            "usersha1-artmbid-artname-plays.tsv",
            [(SHA[1], MBID, 2137, None), (SHA[0], "die Ärzte", 1099, None), (SHA[0], MBID, 7, None)],
            {MBID: '"weird al" x', "die Ärzte": "die Ärzte"},
            users={"gender": ["f", None], "age": [22, None], "country": ["Germany", "Mexico"]},
            broken=(2, f"{SHA[0]}\t\tdie Ärzte\tmany", ", column 'plays': the rating is not a finite number: 'many'"),
        )
    ],
    "lastfm_1k": [
        Made(
            {
                "userid-timestamp-artid-artname-traid-traname.tsv": "user_000001\t2009-05-04T23:08:57Z\t"
                f'{MBID}\tDeep Dish\t{TRACK}\tFuck "Me\nuser_000002\t2006-08-13T13:59:20Z\t\tA\t\tB C\n',
                "userid-profile.tsv": "#id\tgender\tage\tcountry\tregistered\nuser_000001\tm\t\tJapan\tAug 13, 2006\n",
            },
            "userid-timestamp-artid-artname-traid-traname.tsv",
            [("user_000001", TRACK, None, 1241478537), ("user_000002", "A - B C", None, 1155477560)],
            {TRACK: 'Fuck "Me', "A - B C": "B C"},
            items={"artist": ["A", "Deep Dish"]},
            users={"country": ["Japan", None]},
            broken=(2, "user_000002\tsoon\tx\tA\t\tB C", ", column 'time': the time 'soon' cannot"),
        )
    ],
    "gowalla": [
        Made(
            {
                "loc-gowalla_totalCheckins.txt": "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n"
                "7\t2010-10-18T22:17:43Z\t30.25\t-97.5\t420315\n0\t2010-10-17T23:42:03Z\t30.25\t-97.5\t420315\n"
            },
            "loc-gowalla_totalCheckins.txt",
            [(0, 22847, None, 1287532527), (7, 420315, None, 1287440263), (0, 420315, None, 1287358923)],
            items={"latitude": [30.2359091167, 30.25], "longitude": [-97.7951395833, -97.5]},
            broken=(2, "7\t\t30.25\t-97.5\t420315", ", column 'time': the time is empty"),
        )
    ],
    "yoochoose": [
        Made(
            {
                "yoochoose-clicks.dat": "1,2014-04-07T10:51:09.277Z,214536502,0\n"
                "2,2014-04-07T13:56:37.614Z,214662742,S\n"
            },
            "yoochoose-clicks.dat",
            [(1, 214536502, None, 1396867869), (2, 214662742, None, 1396878997)],
            context={"category": ["0", "S"]},
            broken=(2, "2,2014-04-07T13:56:37.614Z,214662742", ": has 3 fields where 4 are expected"),
        ),
        Made(
            {
                "yoochoose-clicks.dat": "1,2014-04-07T10:51:09.277Z,214536502,0\n",
                "yoochoose-buys.dat": "1,2014-04-07T10:59:09.277Z,214536502,12462,1\n",
                "yoochoose-test.dat": "5,2014-04-07T10:51:09.277Z,214536503,0\n",
            },
            "yoochoose-clicks.dat",
            [(1, 214536502, None, 1396867869), (1, 214536502, None, 1396868349)],
            warns="kinds of events, and all count alike: buy, click",
            context={
                "event_type": ["click", "buy"],
                "category": [0, None],
                "price": [None, 12462],
                "quantity": [None, 1],
            },
        ),
    ],
    "diginetica": [
        Made(
            {
                "train-item-views.csv": "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n"
                "1;NA;31331;1031018;2016-05-09\n",
                "products.csv": "itemId;pricelog2;product.name.tokens\n31331;10;4875,776\n",
                "product-categories.csv": "itemId;categoryId\n81766;1096\n31331;1096\n",
                "train-purchases.csv": "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n"
                "1;NA;5;2016-05-09;1;2\n",
            },
            "train-item-views.csv",
            [(1, 81766, None, 1462752526), (1, 31331, None, 1462753031)],
            items={"pricelog2": [10, None], "category": [1096, None], "name_tokens": [["4875", "776"], None]},
            broken=(3, "1;NA;31331;soon;2016-05-09", ", column 'timeframe': 'soon' is no number of milliseconds"),
        ),
        Made(
            {"train-item-views.csv": "session_id;user_id;item_id;timeframe;eventdate\n2;NA;9;1;2016-05-09\n"},
            "train-item-views.csv",
            [(2, 9, None, 1462752000)],
        ),
    ],
    "retailrocket": [
        Made(
            {
                "events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
                "1433222276276,599528,transaction,356475,4000\n"
            },
            "events.csv",
            [(257597, 355908, None, 1433221332), (599528, 356475, None, 1433222276)],
            context={"event_type": ["view", "transaction"], "transaction_id": [None, 4000]},
            warns="kinds of events, and all count alike: view, transaction",
            broken=(3, "x,599528,transaction,356475,4000", ", column 'timestamp': the time 'x' cannot"),
        )
    ],
    "mind": [
        Made(
            {"behaviors.tsv": BEHAVIORS, "news.tsv": lines(*(NEWS.format(n, n) for n in (1, 2, 3, 7)))},
            "behaviors.tsv",
            [
                ("U9", "N3", None, 1573473958),
                ("U9", "N1", None, 1573473958),
                ("U9", "N7", None, 1573808122),
                ("U9", "N2", None, 1573473958),
                ("U5", "N1", None, 1573582290),
                ("U5", "N3", None, 1573582290),
            ],
            {"N1": "Title 1", "N7": "Title 7"},
            context={"impression_id": [None, None, 1, 2, 3, 3]},
            broken=(
                2,
                "2\tU9\t11/11/2019 12:05:58 PM\tN3 N1\tN2",
                ", column 'shown': 'N2' is no list of labelled news",
            ),
        )
    ],
    "mind_impressions": [
        Made(
            {"behaviors.tsv": BEHAVIORS},
            "behaviors.tsv",
            [
                ("U9", "N2", 0, 1573808122),
                ("U9", "N7", 1, 1573808122),
                ("U9", "N2", 1, 1573473958),
                ("U5", "N7", 0, 1573582290),
                ("U5", "N1", 1, 1573582290),
                ("U5", "N3", 1, 1573582290),
            ],
            known=False,
            broken=(3, "3\tU5\tnoon\t\tN7-0", ", column 'time': the time 'noon' cannot be understood"),
        )
    ],
    "million_playlist": [
        Made(
            {
                "mpd.slice.1000-1999.json": json.dumps(
                    {"playlists": [{"pid": 1000, "name": "Späti", "tracks": [song("b")]}]}
                ),
                "mpd.slice.0-999.json": json.dumps(
                    {
                        "info": {"slice": "0-999", "version": "v1"},
                        "playlists": [
                            {"name": "Run (2015)", "pid": 7, "num_followers": 3, "tracks": [song("b"), song("a")]},
                            {"name": "Sleep", "pid": 2, "num_followers": 1, "tracks": [song("a"), song("a")]},
                        ],
                    },
                    indent=1,
                ),
            },
            "mpd.slice.0-999.json",
            [
                (user, item, None, None)
                for user, item in [(7, "t:b"), (7, "t:a"), (2, "t:a"), (2, "t:a"), (1000, "t:b")]
            ],
            {"t:a": "Song a", "t:b": "Song b"},
            items={"artist": ["Somebody", "Somebody"]},
            users={"title": ["Sleep", "Run (2015)", "Späti"], "num_followers": [1, 3, None]},
        ),
        Made(  # the challenge set: lists without a title, without tracks
            {
                "challenge_set.json": json.dumps(
                    {
                        "name": "challenge",
                        "playlists": [
                            {
                                "name": "🎄",
                                "num_holdouts": 9,
                                "pid": 31,
                                "num_tracks": 9,
                                "tracks": [],
                                "num_samples": 0,
                            },
                            {"num_holdouts": 4, "pid": 30, "num_tracks": 5, "tracks": [song("b")], "num_samples": 1},
                        ],
                    },
                    indent=1,
                )
            },
            "challenge_set.json",
            [(30, "t:b", None, None)],
            users={"title": [None, "🎄"], "num_holdouts": [4, 9]},
        ),
    ],
    "titled_lists": [
        Made(
            {
                "lists.csv": lines(
                    "playlist_id,title,track_id,track_name,artist,pos,genres",
                    "7,Run (2015),b,Song b,Nina,1,jazz|soul",
                    "7,Run (2015),a,Song a,Iggy,2,punk",
                    "2,,a,Song a,Iggy,1,punk",
                )
            },
            "lists.csv",
            [(7, "b", None, None), (7, "a", None, None), (2, "a", None, None)],
            {"a": "Song a", "b": "Song b"},
            context={"pos": [1, 2, 1]},
            items={"artist": ["Iggy", "Nina"], "genres": [["punk"], ["jazz", "soul"]]},
            users={"title": [None, "Run (2015)"]},
            broken=(3, "7,Run (2015),,Song a,Iggy,2,punk", ", column 'track_id': the id is empty"),
        ),
    ],
    "melon": [
        Made(
            {
                "train.json": json.dumps(
                    [
                        {"tags": ["비"], "id": 61, "plylst_title": "비 오는 날 ☔", "songs": [5, 3], "like_cnt": 7},
                        {"tags": [], "id": 9, "plylst_title": "", "songs": [], "like_cnt": 0, "updt_date": "2013"},
                    ]
                ),
                "val.json": json.dumps(
                    [{"tags": ["락"], "id": 8, "plylst_title": "Rock", "songs": [3], "like_cnt": 1}]
                ),
                "song_meta.json": json.dumps(
                    [
                        {
                            "id": n,
                            "song_name": f"Song {n}",
                            "artist_name_basket": ["Ann", f"B{n}"],
                            "album_name": "X",
                            "song_gn_gnr_basket": ["GN01"],
                            "issue_date": date,
                        }
                        for n, date in ((3, "20140512"), (5, "00000000"))
                    ]
                ),
            },
            "train.json",
            [(61, 5, None, None), (61, 3, None, None), (8, 3, None, None)],
            {3: "Song 3", 5: "Song 5"},
            items={"artists": [["Ann", "B3"], ["Ann", "B5"]], "year": [2014, None], "album": ["X", "X"]},
            users={"title": ["Rock", "", "비 오는 날 ☔"], "tags": [["락"], [], ["비"]], "like_cnt": [1, 0, 7]},
        ),
    ],
    "tag_lists": [
        Made(
            {
                "tags.csv": "userId,movieId,tag,timestamp\n2,60,funny,1445714994\n2,89, funny ,1445714996\n3,60,wet,9"
                "\n",
                "movies.csv": "movieId,title,genres\n60,Rain (1999),Drama|War\n89,Sun (2001),Comedy\n",
            },
            "tags.csv",
            [("2/funny", 60, None, 1445714994), ("2/funny", 89, None, 1445714996), ("3/wet", 60, None, 9)],
            users={"title": ["funny", "wet"]},
            broken=(3, "2,x y,funny", ": has 3 fields where 4 are expected"),
        ),
        Made(
            {
                "user_taggedmovies-timestamps.dat": "userID\tmovieID\ttagID\ttimestamp\n7\t3\t1\t1162160415000\n"
                "7\t3\t2\t1162160416000\n",
                "tags.dat": "id\tvalue\n1\tcafé\n".encode("latin-1"),
                "movies.dat": "id\ttitle\timdbID\tyear\n3\tRain\t01\t1999\n",
                "movie_directors.dat": "movieID directorID\tdirectorName\n3\tann_lee\tAnn Lee\n",
                "movie_genres.dat": "movieID\tgenre\n3\tDrama\n3\tWar\n",
            },
            "user_taggedmovies-timestamps.dat",
            [("7/1", 3, None, 1162160415), ("7/2", 3, None, 1162160416)],
            {3: "Rain"},
            items={"directors": [["Ann Lee"]], "genres": [["Drama", "War"]], "year": [1999]},
            users={"title": ["café", "2"]},
        ),
    ],
    "jester": [
        Made(
            {
                "jester-data-1.csv": lines(
                    ",".join(["3", "-7.82", "99", "10", *["99"] * 7, "0"]), ",".join(["1", *["99"] * 10, "4.08"])
                )
            },
            "jester-data-1.csv",
            [(1, 1, -7.82, None), (1, 3, 10, None), (1, 11, 0, None), (2, 11, 4.08, None)],
            broken=(2, "1,4.08", ": has 2 fields where 12 are expected"),
        ),
        Made(
            {"jester.csv": lines(",".join(["1", *["99"] * 10, "4.08"])) * 9 + ",".join(["5", *["99"] * 10, "4.08"])},
            "jester.csv",
            [(user, 11, 4.08, None) for user in range(1, 11)],
            warns="1 of 10 rows have another number of ratings than their first column says, the first in row 10",
        ),
    ],
    "criteo": [
        Made(
            {"train.txt": lines(criteo(0, "-1", "b0d4a6f6"), criteo(1, "", ""))},
            "train.txt",
            [("all", "all", 0, None), ("all", "all", 1, None)],
            context={
                "i1": [-1, None],
                "i12": [7, 7],
                "i13": [None, None],
                "c25": ["68fd1e64"] * 2,
                "c26": ["b0d4a6f6", None],
            },
            broken=(2, criteo(1, "soon", ""), ", column 'i1': 'soon' is no whole number"),
        )
    ],
    "yambda": [
        Made(
            yambda,
            "listens.parquet",
            [(100, 9, None, 39420), (100, 8, None, 39425), (200, 9, None, 5)],
            context={"is_organic": [0, 1, 1]},
        ),
        Made(
            yambda_kinds,
            "listens.parquet",
            [(100, 8, None, 39425), (200, 9, None, 5)],
            context={"is_organic": [1, 1]},
            dislikes=[(100, 9)],
            warns="1 events are left out, because their user disliked the item later",
        ),
        Made(yambda_lists, "listens.parquet", [(100, 9, None, 10), (100, 8, None, 20), (200, 9, None, 5)]),
    ],
    "recbole": [
        Made(
            {"x.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n2\t10\t3\t881250949\n"},
            "x.inter",
            [(2, 10, 3, 881250949)],
            broken=(2, "2\t10\tx\t881250949", ", column 'rating': the rating is not a finite number: 'x'"),
        )
    ],
    "film_contest": [
        Made(
            {
                "train_ratings.csv": "user,item,time\n11,4643,1230782529\n",
                "titles.tsv": "item\ttitle\n4643\tP (2001)\n",
            },
            "train_ratings.csv",
            [(11, 4643, None, 1230782529)],
            {4643: "P (2001)"},
            known=False,
        )
    ],
    "diginetica_sessions": [
        Made(
            {"train_sessions.txt": "7 12\n3\n"},
            "train_sessions.txt",
            [(1, 7, None, None), (1, 12, None, None), (2, 3, None, None)],
            known=False,
        )
    ],
    "amazon_sequences": [
        Made(
            {"Toys.txt": "u2 9 4\n", "Toys_item2attributes.json": '{"4": [2]}'},
            "Toys.txt",
            [("u2", 9, None, None), ("u2", 4, None, None)],
            known=False,
        )
    ],
}
ALL = [(name, number) for name, cases in CASES.items() for number in range(len(cases))]
BROKEN = [(name, number) for name, number in ALL if CASES[name][number].broken]
