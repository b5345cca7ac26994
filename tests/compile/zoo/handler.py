"""A Lambda function."""


def handler(event, context):
    return {}
