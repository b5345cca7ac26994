"""A training script."""
