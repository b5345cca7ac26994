"""What has to stand in an AWS account before the first run: roles, bucket, queue, builds."""
