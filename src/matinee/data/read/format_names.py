"""The names of the formats in formats/, for options that are checked before any of them is imported."""

from __future__ import annotations

KNOWN = (
    *("movielens", "netflix_prize", "book_crossing"),
    *("amazon", "yelp", "goodreads", "steam_users"),
    *("amazon_ratings", "goodreads_csv", "kuairec", "lenskit", "rectools"),
    *("steam", "lastfm_360k", "lastfm_1k", "gowalla", "yoochoose", "diginetica", "retailrocket"),
    *("mind", "mind_impressions", "million_playlist", "titled_lists", "melon", "tag_lists"),
    *("jester", "criteo", "yambda"),
    *("recbole", "film_contest", "diginetica_sessions", "amazon_sequences"),
)
