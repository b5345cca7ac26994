"""The boto3 adapter: the only place that sees a client or a ClientError."""
