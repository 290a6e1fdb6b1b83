"""What the torch models share: the training loop, losses, blocks. Nothing here knows a model."""
