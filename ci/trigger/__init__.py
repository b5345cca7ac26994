"""Why this run happens: GitHub Actions, CodeBuild, CodePipeline or a laptop become one Trigger."""
