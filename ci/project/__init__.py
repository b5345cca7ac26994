"""The project file `sagemaker-gitops.yaml`: schema, loading, and what it says of one run."""
