"""An epoch of Multi-VAE, RecVAE and NeuMF beside RecBole's: seconds of training alone, and peak memory.

    .bench-torch/bin/python benchmarks/nets.py --data-dir ../shared/data [--work multi_vae] [--threads 2] [--epochs 4]

Prints a table and appends one JSON line to benchmarks/results/nets.jsonl.
"""

from __future__ import annotations

from trainings import Job, Work, main

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
    # RecBole's own sizes; ours is measured as soon as the registry has it
    "neumf": Work(
        "NeuMF, RecBole's sizes, batch 2048",
        "ml-1m, random",
        [
            Job("matinee", "neumf", {"batch_size": 2048}),
            Job("recbole", "NeuMF", {"train_batch_size": 2048}),
        ],
    ),
}

if __name__ == "__main__":
    main((__doc__ or "").partition("\n")[0], WORKS, "nets.jsonl")
