"""The door for AWS Lambda: an action of CodePipeline, and the events of approvals."""
