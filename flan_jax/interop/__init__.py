"""Checkpoints and adapters of other programs."""
