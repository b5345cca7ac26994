"""Objects in and out of S3, and how a missing one is told."""

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ci.local.engine.failure import ExceptionType, StepFailure

_T = TypeVar("_T")
_WHOLE = 8 << 20
_AT_ONCE = 8


def split_uri(uri: object) -> tuple[str, str]:
    """`s3://bucket/key` as bucket and key. StepFailure for anything else."""
    text = str(uri)
    bucket, _, key = text.removeprefix("s3://").partition("/")
    if not text.startswith("s3://") or not bucket:
        raise StepFailure(f"ClientError: {text!r} is not an S3 URI (s3://bucket/key).")
    return bucket, key


class Transfer:
    """S3 as steps use it. `make_client` is called once, with the first object moved."""

    def __init__(self, make_client: Callable[[str], Any], *, region: str) -> None:
        self._make_client = make_client
        self._region = region
        self._lock = threading.Lock()
        self._client: Any = None

    def download(self, uri: str, folder: Path, *, manifest: bool = False) -> int:
        """Everything under an S3 prefix into `folder`, by the path below the prefix; an object
        that is named exactly keeps its own name. Returns how many; none is a StepFailure."""
        if manifest:
            return self._download_manifest(uri, folder)
        bucket, prefix = split_uri(uri)
        keys = select_keys(self._keys(bucket, prefix, uri), prefix)
        if not keys:
            raise StepFailure(self._nothing_under(uri, bucket))
        self._each(self._get, [(bucket, key, _place(folder, name, uri)) for key, name in keys])
        return len(keys)

    def upload(self, folder: Path, uri: str) -> int:
        """Every file under `folder` to below an S3 prefix. Returns how many."""
        bucket, prefix = split_uri(uri)
        files = [f for f in sorted(folder.rglob("*")) if f.is_file()]
        base = prefix.rstrip("/")
        self._each(
            self._put,
            [
                (bucket, f"{base}/{name}" if base else name, file)
                for file in files
                for name in (file.relative_to(folder).as_posix(),)
            ],
        )
        return len(files)

    def upload_file(self, file: Path, uri: str) -> None:
        self._put(*split_uri(uri), file)

    def fetch(self, uri: str, file: Path) -> None:
        """One object into one file."""
        bucket, key = split_uri(uri)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._get(bucket, key, file)

    def read_text(self, uri: str) -> str:
        bucket, key = split_uri(uri)
        answer = self._call("GetObject", uri, Bucket=bucket, Key=key)
        return str(answer["Body"].read().decode("utf-8", errors="replace"))

    @property
    def client(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._make_client("s3")
            return self._client

    def _download_manifest(self, uri: str, folder: Path) -> int:
        try:
            entries = json.loads(self.read_text(uri))
            prefix = str(entries[0]["prefix"])
            names = [str(name) for name in entries[1:]]
        except (ValueError, KeyError, IndexError, TypeError):
            raise StepFailure(
                f'ClientError: {uri} is not a manifest: [{{"prefix": "s3://..."}}, "name", ...].'
            ) from None
        bucket, base = split_uri(prefix)
        self._each(self._get, [(bucket, base + name, _place(folder, name, uri)) for name in names])
        return len(names)

    def _keys(self, bucket: str, prefix: str, uri: str) -> list[str]:
        keys: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = self._call("ListObjectsV2", uri, Bucket=bucket, Prefix=prefix, **more)
            keys += [item["Key"] for item in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return keys
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _get(self, bucket: str, key: str, file: Path) -> None:
        answer = self._call("GetObject", f"s3://{bucket}/{key}", Bucket=bucket, Key=key)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            for chunk in answer["Body"].iter_chunks(1 << 20):
                stream.write(chunk)

    def _put(self, bucket: str, key: str, file: Path) -> None:
        uri = f"s3://{bucket}/{key}"
        if file.stat().st_size <= _WHOLE:
            self._call("PutObject", uri, Bucket=bucket, Key=key, Body=file.read_bytes())
            return
        from boto3.s3.transfer import S3Transfer

        parts = S3Transfer(self.client)
        _translate(lambda: parts.upload_file(str(file), bucket, key), uri, self._region)

    def _call(self, operation: str, uri: str, **arguments: Any) -> Any:
        method = getattr(self.client, _METHODS[operation])
        return _translate(lambda: method(**arguments), uri, self._region)

    def _each(self, work: Callable[..., None], jobs: Iterable[tuple[Any, ...]]) -> None:
        todo = list(jobs)
        if len(todo) < 3:
            for job in todo:
                work(*job)
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(todo))) as pool:
            for done in [pool.submit(work, *job) for job in todo]:
                done.result()

    def _nothing_under(self, uri: str, bucket: str) -> str:
        return (
            f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given '
            f"in input data source. Please ensure that the bucket {bucket!r} exists in the "
            f"selected region ({self._region}) and that objects exist under that S3 prefix."
        )


_METHODS = {
    "GetObject": "get_object",
    "PutObject": "put_object",
    "ListObjectsV2": "list_objects_v2",
}


def select_keys(keys: Iterable[str], prefix: str) -> list[tuple[str, str]]:
    """Which of the listed keys an S3Prefix input takes, each with its path in the input folder.

    A prefix that is a folder or an object takes that alone; any other takes all that begin with
    it, by their names beside it.
    """
    listed = [key for key in keys if not key.endswith("/")]
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    inside = [(key, key[len(folder) :]) for key in listed if key.startswith(folder)]
    exact = [(key, PurePosixPath(key).name) for key in listed if key == prefix]
    if inside or exact:
        return exact + inside
    base = prefix.rpartition("/")[0]
    return [(key, key[len(base) :].lstrip("/")) for key in listed]


def _place(folder: Path, name: str, uri: str) -> Path:
    """Where an object goes. A key with `..` in it never leaves the folder."""
    if any(part == ".." for part in PurePosixPath(name).parts):
        raise StepFailure(f"ClientError: the key {name!r} under {uri} would leave its folder.")
    return folder / name.lstrip("/")


def _translate(work: Callable[[], _T], uri: str, region: str) -> _T:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return work()
    except ClientError as error:
        raise _refused(error.response, uri, region) from None
    except OSError as error:
        raise StepFailure.internal(f"{uri}: {error}") from None
    except BotoCoreError as error:
        raise StepFailure(
            f"InternalServerError: S3 could not be reached for {uri}: {error}",
            kind=ExceptionType.SERVICE_FAULT,
        ) from None
    except Exception as error:
        if type(error).__name__ == "S3UploadFailedError":
            raise StepFailure(f"ClientError: Failed to upload to {uri}: {error}") from None
        raise


def _refused(response: Any, uri: str, region: str) -> StepFailure:
    code = response.get("Error", {}).get("Code", "")
    message = response.get("Error", {}).get("Message", "")
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in ("NoSuchBucket", "404") and "bucket" in f"{code} {message}".lower():
        bucket = split_uri(uri)[0]
        return StepFailure(
            f"ClientError: Failed to access S3 URL {uri}. NoSuchBucket: the bucket {bucket!r} "
            f"does not exist in the selected region ({region})."
        )
    if status >= 500 or code in ("SlowDown", "InternalError"):
        return StepFailure(
            f"InternalServerError: S3 answered {code} for {uri}: {message}",
            kind=ExceptionType.SERVICE_FAULT,
        )
    return StepFailure(f"ClientError: S3 answered {code} for {uri}: {message}")
