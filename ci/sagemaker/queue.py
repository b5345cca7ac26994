"""Receives and deletes messages of one SQS queue, by long polls."""

from collections.abc import Sequence

from ci.errors import UsageError
from ci.sagemaker.clients import Clients
from ci.sagemaker.model import Message

LONG_POLL = 20  # seconds, the most that SQS takes
_BATCH = 10
_SERVICE = "sqs"


class Queue:
    """One attempt for each call: the next long poll is the retry."""

    def __init__(self, clients: Clients, url: str, *, long_poll: int = LONG_POLL) -> None:
        if not url.startswith(("https://", "http://")) or url.count("/") < 4:
            raise UsageError(
                f"{url!r} is no URL of a queue",
                fix="--queue https://sqs.REGION.amazonaws.com/ACCOUNT/NAME",
            )
        self._clients = clients
        self._url = url
        self._long_poll = long_poll

    def receive(self, *, hidden: int = 30) -> tuple[Message, ...]:
        """Up to ten messages as soon as there is one; none after LONG_POLL seconds. One that is
        not deleted can be received again, by anyone, after `hidden` seconds."""
        request = {
            "QueueUrl": self._url,
            "MaxNumberOfMessages": _BATCH,
            "WaitTimeSeconds": self._long_poll,
            "VisibilityTimeout": hidden,
            "MessageSystemAttributeNames": ["SentTimestamp"],
        }
        answer = self._clients.once.call(_SERVICE, "ReceiveMessage", request, where=self._url)
        return tuple(
            Message(
                handle=each["ReceiptHandle"],
                body=each.get("Body") or "",
                sent=_seconds((each.get("Attributes") or {}).get("SentTimestamp")),
            )
            for each in answer.get("Messages") or ()
        )

    def delete(self, handles: Sequence[str]) -> None:
        for first in range(0, len(handles), _BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle}
                for number, handle in enumerate(handles[first : first + _BATCH])
            ]
            self._clients.once.call(
                _SERVICE,
                "DeleteMessageBatch",
                {"QueueUrl": self._url, "Entries": entries},
                where=self._url,
            )


def _seconds(milliseconds: str | None) -> float | None:
    return int(milliseconds) / 1000 if milliseconds and milliseconds.isdigit() else None
