"""The EventBridge event of a model package that was created or approved, as AWS sends it.

It goes to the default bus of the emulator behind the front address, in the background; a bus
that does not answer changes nothing for the caller.
"""

import functools
import json
import logging
import queue
import threading
from datetime import UTC, datetime

from ci.local.context import Context
from ci.local.store import Document

_LOG = logging.getLogger(__name__)
_DETAIL_TYPE = "SageMaker Model Package State Change"
_TIMES = ("CreationTime", "LastModifiedTime")
_DETAIL = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "CustomerMetadataProperties",
    "ModelMetrics",
    "LastModifiedTime",
)


def announce(context: Context, package: Document) -> None:
    """Send the event without waiting for it to arrive. Events arrive in the order of the calls."""
    _bus(context.address, context.region, context.account).put(event_entry(package))


@functools.lru_cache
def _bus(address: str, region: str, account: str) -> "queue.SimpleQueue[Document]":
    entries: queue.SimpleQueue[Document] = queue.SimpleQueue()
    threading.Thread(
        target=_send, args=(entries, address, region, account), name="package-events", daemon=True
    ).start()
    return entries


def event_entry(package: Document) -> Document:
    """The PutEvents entry for a package as it is now."""
    detail = {field: package[field] for field in _DETAIL if field in package}
    for field in _TIMES:
        if field in detail:
            moment = datetime.fromtimestamp(detail[field], UTC).replace(tzinfo=None)
            detail[field] = moment.isoformat(timespec="milliseconds") + "Z"
    return {
        "Source": "aws.sagemaker",
        "DetailType": _DETAIL_TYPE,
        "Resources": [package["ModelPackageArn"]],
        "Detail": json.dumps(detail),
    }


def _send(entries: "queue.SimpleQueue[Document]", address: str, region: str, account: str) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.session.Session(region_name=region).client(
        "events",
        endpoint_url=address,
        aws_access_key_id=account,
        aws_secret_access_key="local",  # noqa: S106 - nothing checks it on loopback
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 2}),
    )
    while True:
        entry = entries.get()
        try:
            answer = client.put_events(Entries=[entry])
            if answer["FailedEntryCount"]:
                _LOG.info("No event for %s: %s", entry["Resources"][0], answer["Entries"])
        except (BotoCoreError, ClientError, ValueError) as error:
            _LOG.info("No event for %s: %s", entry["Resources"][0], error)
