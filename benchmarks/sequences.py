"""An epoch of SASRec and BERT4Rec beside RecTools', of GRU4Rec beside RecBole's: seconds, events a second, peak memory.

    .bench-torch/bin/python benchmarks/sequences.py --data-dir ../shared/data [--work sasrec_200] [--threads 2]

Prints a table and appends one JSON line to benchmarks/results/sequences.jsonl. Events are real ones: what an epoch
guesses (SASRec, GRU4Rec) or sees (BERT4Rec), without padding.
"""

from __future__ import annotations

from typing import Any

from trainings import Job, Work, main


def transformer(*, length: int, dropout: float = 0.1) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ours and RecTools' words for one net: dim 64, two blocks, one head, batch 128, Adam at 1e-3."""
    ours = {"max_len": length, "dim": 64, "blocks": 2, "heads": 1, "dropout": dropout}
    training = {"batch_size": 128, "learning_rate": 1e-3, "loss": "cross_entropy"}
    theirs = {"session_max_len": length, "n_factors": 64, "n_blocks": 2, "n_heads": 1, "dropout_rate": dropout}
    return {**ours, **training}, {**theirs, "batch_size": 128, "lr": 1e-3, "loss": "softmax"}


def sasrec(length: int) -> Work:
    ours, theirs = transformer(length=length)
    return Work(
        f"SASRec, length {length}, ML-1M",
        "ml-1m, next",
        [Job("matinee", "sasrec", ours), Job("rectools", "SASRecModel", theirs)],
        sequences=True,
    )


def bert4rec(length: int) -> Work:
    ours, theirs = transformer(length=length)
    return Work(
        f"BERT4Rec, length {length}, ML-100K",
        "ml-100k, next",
        [
            Job("matinee", "bert4rec", {**ours, "mask_share": 0.15, "last_share": 0.0}),
            Job("rectools", "BERT4RecModel", theirs),
        ],
        sequences=True,
    )


WORKS = {
    "sasrec_200": sasrec(200),
    "sasrec_100": sasrec(100),
    "bert4rec": bert4rec(200),
    # RecBole makes an example of every prefix, so its batch of 2,048 prefixes stands beside ours of 128 histories
    "gru4rec": Work(
        "GRU4Rec, length 50, ML-100K",
        "ml-100k, next",
        [
            Job(
                "matinee",
                "gru4rec",
                {"max_len": 50, "windows": "all", "dim": 64, "hidden": 128, "layers": 1, "dropout": 0.3},
            ),
            Job(
                "recbole",
                "GRU4Rec",
                {"MAX_ITEM_LIST_LENGTH": 50, "embedding_size": 64, "hidden_size": 128, "train_neg_sample_args": None},
            ),
        ],
        sequences=True,
    ),
}

if __name__ == "__main__":
    main((__doc__ or "").partition("\n")[0], WORKS, "sequences.jsonl")
