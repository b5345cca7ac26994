"""A bundle against what is deployed: the difference in the pipeline's own terms. Pure."""
