"""A processing script."""
