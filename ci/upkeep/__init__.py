"""What is deployed, kept in order: cleaned up, held against git, moved between versions."""
