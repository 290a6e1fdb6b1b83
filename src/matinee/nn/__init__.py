"""What the torch models share: the training loop, losses, blocks. Nothing here knows a model."""

CURVE = ("epoch", "train_loss", "valid_metric", "seconds")
"""Columns of a training curve, float64 (epochs, 4): one row an epoch, NaN where nothing was validated."""
