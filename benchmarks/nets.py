"""An epoch of Multi-VAE, RecVAE and NeuMF beside RecBole's, and of context models: seconds of training, peak memory.

    .bench-torch/bin/python benchmarks/nets.py --data-dir ../shared/data [--work multi_vae] [--threads 2] [--epochs 4]

Prints a table and appends one JSON line to benchmarks/results/nets.jsonl.
"""

from __future__ import annotations

from trainings import Job, Work, main

FIELDS = [
    *("user", "user.gender", "user.age:categorical", "user.occupation", "user.zip"),
    *("time.year", "time.month", "time.decade"),
    *("item", "item.year:categorical", "item.year:decade", "item.genres[0]", "item.genres[1]", "item.genres[2]"),
]
BATCH = 500  # users a step, in both libraries

WORKS = {
    # RecBole's latent_dimension is the width of the layer that holds mean and variance: twice the length of z
    "multi_vae": Work(
        "Multi-VAE, 600-200-600, batch 500",
        "ml-1m, random",
        [
            Job("matinee", "multi_vae", {"hidden": 600, "latent": 200, "decoder_hidden": 600, "batch_size": BATCH}),
            Job("recbole", "MultiVAE", {"mlp_hidden_size": [600], "latent_dimension": 400, "train_batch_size": BATCH}),
        ],
    ),
    "rec_vae": Work(
        "RecVAE, 600-200, batch 500",
        "ml-1m, random",
        [
            Job("matinee", "rec_vae", {"hidden": 600, "latent": 200, "batch_size": BATCH}),
            Job("recbole", "RecVAE", {"hidden_dimension": 600, "latent_dimension": 200, "train_batch_size": BATCH}),
        ],
    ),
    # RecBole's sizes and its one negative; its batch counts an event and its negative as two
    "neumf": Work(
        "NeuMF, 64 factors and 64 of the MLP, [128, 64], 1 negative, batch 2048",
        "ml-1m, random",
        [
            Job("matinee", "neumf", {"negatives": 1, "batch_size": 1024}),
            Job(
                "recbole",
                "NeuMF",
                {
                    "mf_embedding_size": 64,
                    "mlp_embedding_size": 64,
                    "mlp_hidden_size": [128, 64],
                    "train_batch_size": 2048,
                },
            ),
        ],
    ),
    "autoint_plus": Work(
        "AutoInt+ of the study: 14 fields, embedding 16, 3 layers of 2 heads, [32, 32], batch 2048",
        "ml-1m, clicks",
        [Job("matinee", "autoint_plus", {"fields": FIELDS, "layers": [32, 32], "batch_size": 2048})],
        evaluates=False,  # they learn clicks: to rank all films for everybody would take minutes
        toy={"matinee": {"fields": ["user", "item", "time.hour"]}},
    ),
    "deepfm": Work(
        "DeepFM: 14 fields, embedding 16, [128, 128], batch 2048",
        "ml-1m, clicks",
        [Job("matinee", "deepfm", {"fields": FIELDS, "batch_size": 2048})],
        evaluates=False,  # they learn clicks: to rank all films for everybody would take minutes
        toy={"matinee": {"fields": ["user", "item", "time.hour"]}},
    ),
}

if __name__ == "__main__":
    main((__doc__ or "").partition("\n")[0], WORKS, "nets.jsonl")
