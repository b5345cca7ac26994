"""The step engine: runs a definition as SageMaker Pipelines would, on subprocesses."""
