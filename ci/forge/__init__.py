"""The host of the repository: GitHub, CodeCommit, ..."""
