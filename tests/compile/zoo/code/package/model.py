"""A module of the training code."""
