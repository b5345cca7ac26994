"""Objects in S3: artifacts under content-addressed keys, and reading what an execution wrote.

A content-addressed key is written at most once: what is there is what would be written.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ci.compile.bundle import Artifact, Bundle
from ci.errors import AwsError, UsageError
from ci.sagemaker.clients import Clients

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_THREADS = 8
_READ_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """How many artifacts were written, how many were there already, and the bytes written."""

    written: int
    present: int
    size: int


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` -> (bucket, key). UsageError for anything else."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise UsageError(f"{uri!r} is no S3 address", fix="s3://BUCKET/KEY")
    return bucket, key


class Artifacts:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def upload(self, bundle: Bundle) -> Uploaded:
        """Upload what is not there yet. AwsError names a missing bucket and how to make it."""
        items = list(bundle.artifacts.values())
        if items or bundle.bucket.encode() in bundle.definition:
            self._require_bucket(bundle.bucket)
        if not items:
            return Uploaded(written=0, present=0, size=0)
        with ThreadPoolExecutor(max_workers=min(_THREADS, len(items))) as pool:
            sizes = list(pool.map(lambda item: self._put(bundle, item), items))
        written = [size for size in sizes if size is not None]
        return Uploaded(written=len(written), present=len(sizes) - len(written), size=sum(written))

    def put_bytes(self, data: bytes, name: str, *, bucket: str, prefix: str) -> str:
        """Write `data` under its content's key unless it is there; the key."""
        key = f"{prefix}/{hashlib.sha256(data).hexdigest()}/{name}"
        if self._size(bucket, key) != len(data):
            self._clients.call(
                "s3",
                "PutObject",
                {"Bucket": bucket, "Key": key, "Body": data},
                where=f"s3://{bucket}/{key}",
            )
        return key

    def read(self, uri: str) -> bytes:
        """The object's bytes. AwsError if it is missing (code NoSuchKey) or over `_READ_LIMIT`."""
        bucket, key = parse_s3_uri(uri)
        size = self._size(bucket, key)
        if size is None:
            raise AwsError(
                "There is no such object",
                code="NoSuchKey",
                operation="GetObject",
                status=404,
                where=uri,
                why="The step that should write it did not, or wrote it under another name.",
            )
        if size > _READ_LIMIT:
            raise AwsError(
                f"The object holds {size} bytes, more than the {_READ_LIMIT} that are read",
                code="ObjectTooLarge",
                operation="GetObject",
                where=uri,
            )
        return self._clients.read("s3", "GetObject", {"Bucket": bucket, "Key": key}, where=uri)

    def written(self, uri: str) -> datetime | None:
        """When the object was written last. None: there is none."""
        answer = self._head(*parse_s3_uri(uri))
        return None if answer is None else answer.get("LastModified")

    def keys(self, uri: str) -> Iterable[str]:
        """The URIs of every object below `uri`."""
        bucket, prefix = parse_s3_uri(uri)
        pages = self._clients.pages(
            "s3",
            "ListObjectsV2",
            {"Bucket": bucket, "Prefix": prefix},
            items="Contents",
            where=uri,
            token=("NextContinuationToken", "ContinuationToken"),
        )
        return (f"s3://{bucket}/{item['Key']}" for item in pages)

    def _put(self, bundle: Bundle, artifact: Artifact) -> int | None:
        key = artifact.location(bundle.prefix)
        addressed = key.startswith(f"{bundle.prefix}/")  # by content: the size tells it is whole
        if addressed and self._size(bundle.bucket, key) == artifact.size:
            return None
        self._send(artifact, bundle.bucket, key)
        return artifact.size

    def _send(self, artifact: Artifact, bucket: str, key: str) -> None:
        from boto3.exceptions import Boto3Error
        from boto3.s3.transfer import S3Transfer

        from ci.sagemaker.translate import translated

        where = f"s3://{bucket}/{key}"
        try:
            client = self._clients.client("s3")
            with translated("s3", "PutObject", where), S3Transfer(client) as transfer:
                transfer.upload_file(str(artifact.path), bucket, key)
        except Boto3Error as error:
            raise AwsError(
                f"An artifact could not be uploaded: {error}",
                code=type(error).__name__,
                operation="PutObject",
                where=where,
            ) from error

    def _size(self, bucket: str, key: str) -> int | None:
        answer = self._head(bucket, key)
        return None if answer is None else answer["ContentLength"]

    def _head(self, bucket: str, key: str) -> dict[str, Any] | None:
        try:
            return self._clients.call(
                "s3", "HeadObject", {"Bucket": bucket, "Key": key}, where=f"s3://{bucket}/{key}"
            )
        except AwsError as error:
            if error.code in _MISSING:
                return None
            raise

    def _require_bucket(self, bucket: str) -> None:
        where = f"s3://{bucket}"
        try:
            self._clients.call(
                "s3", "HeadBucket", _owned(bucket, self._clients.region), where=where
            )
        except AwsError as error:
            if error.code not in _MISSING | {"NoSuchBucket"}:
                raise
            if bucket.startswith(f"sagemaker-{self._clients.region}-"):
                self._make_default_bucket(bucket)
                return
            raise AwsError(
                f"The artifact bucket {bucket} does not exist",
                code="NoSuchBucket",
                operation="HeadBucket",
                status=404,
                where=where,
                why="The project file names it under `artifacts: bucket:`.",
                fix=f"aws s3 mb s3://{bucket} --region {self._clients.region}",
            ) from error

    def _make_default_bucket(self, bucket: str) -> None:
        """Make `sagemaker-<region>-<account>`, as the SageMaker SDK's `default_bucket()` does.

        CreateBucket of a name that somebody else holds is refused, so nothing leaks to them.
        """
        region = self._clients.region
        where: dict[str, object] = {"LocationConstraint": region}
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": where}
        try:
            self._clients.call("s3", "CreateBucket", {"Bucket": bucket, **place}, where=bucket)
        except AwsError as error:
            if error.code not in {"BucketAlreadyOwnedByYou", "OperationAborted"}:
                raise


def _owned(bucket: str, region: str) -> dict[str, str]:
    """The bucket, and for one of the default name whose it must be: that name can be guessed,
    and code is run from there."""
    account = bucket.removeprefix(f"sagemaker-{region}-")
    if len(account) == 12 and account.isdecimal():
        return {"Bucket": bucket, "ExpectedBucketOwner": account}
    return {"Bucket": bucket}
