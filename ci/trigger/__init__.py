"""Which commit, branch and pull request a run is for: GitHub Actions, CodeBuild, CodePipeline,
or a work tree. `detect_trigger` reads; the `parse_` functions of each door are pure."""
