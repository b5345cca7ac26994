"""The local endpoint: the SageMaker API on disk, and the step engine behind it."""
