"""Queues of the emulator that rules on SageMaker's events fill."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from support.endpoint import client

OF_PIPELINES = {"detail-type": [{"prefix": "SageMaker Model Building Pipeline Execution"}]}


class RuledQueue:
    """An SQS queue behind a rule; `pattern` is beside the source."""

    def __init__(self, address: str, name: str, pattern: Mapping[str, Any]) -> None:
        self.sqs, events = client(address, "sqs"), client(address, "events")
        self.url = str(self.sqs.create_queue(QueueName=name)["QueueUrl"])
        wanted = {"QueueUrl": self.url, "AttributeNames": ["QueueArn"]}
        arn = self.sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]
        whole = {"source": ["aws.sagemaker"], **pattern}
        events.put_rule(Name=name, EventPattern=json.dumps(whole))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        self.bodies: list[str] = []

    def wait_for(self, done: Callable[[list[str]], bool], seconds: float = 20.0) -> list[str]:
        """The bodies of all messages received so far, once they are what is waited for."""
        end = time.monotonic() + seconds
        while not done(self.bodies):
            assert time.monotonic() < end, self.bodies
            wanted = {"QueueUrl": self.url, "WaitTimeSeconds": 1, "MaxNumberOfMessages": 10}
            for message in self.sqs.receive_message(**wanted).get("Messages", []):
                self.bodies.append(message["Body"])
                handle = message["ReceiptHandle"]
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=handle)
        return self.bodies

    def send(self, bodies: Sequence[str]) -> None:
        """Up to ten messages that come from elsewhere."""
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
        self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def left(self) -> int:
        """Messages in it, hidden ones included."""
        counted = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(counted["Attributes"][name]) for name in names)
