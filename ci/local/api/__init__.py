"""The operations of the SageMaker API, one module per resource."""
