"""What follows from a decision on a model package, wherever it was made."""
