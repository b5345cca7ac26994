"""Source to bundle: a definition, the artifacts it names by content, and a digest."""
