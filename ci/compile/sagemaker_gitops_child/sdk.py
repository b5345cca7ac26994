"""What is changed of the SageMaker SDK, in memory, as its modules are imported.

Names made of the time become names made of a counter, uploads go straight to a folder, the
default bucket and the account are known, telemetry is off, and what is slow without need is not
done. User code keeps its clock, its random numbers and its files.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.abc
import io
import os
import shutil
import sys
import tempfile
import types
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MENDED = ("sagemaker", "cloudpickle")


def replace(owner: Any, **members: Any) -> None:
    """Replace those members that `owner` has: versions of the SDK differ."""
    for name, value in members.items():
        if hasattr(owner, name):
            setattr(owner, name, value)


class Names:
    """Names that the SDK makes of the time: unique in one compile, and equal in every compile.

    Each base has a counter of its own, so that a step added elsewhere does not shift them.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def number(self, base: str) -> int:
        self.counts[base] = self.counts.get(base, 0) + 1
        return self.counts[base]

    def from_base(self, base: str, max_length: int = 63, short: bool = False) -> str:
        suffix = f"{self.number(base):0{10 if short else 14}d}"
        return f"{base[: max_length - len(suffix) - 1]}-{suffix}"

    def for_trainer(self, base: str, max_length: int = 63) -> str:
        return self.from_base(base.replace("_", "-"), max_length)

    def timestamp(self) -> str:
        return f"1970-01-01-00-00-00-{self.number('timestamp'):03d}"

    def short_timestamp(self) -> str:
        return f"700101-{self.number('short timestamp'):04d}"

    def uuid(self, *_: object) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_OID, f"sagemaker-gitops/{self.number('uuid')}")


class Uuids:
    """Stands for the `uuid` module inside the SDK."""

    def __init__(self, names: Names) -> None:
        self.uuid1 = names.uuid
        self.uuid4 = names.uuid

    def __getattr__(self, name: str) -> Any:
        return getattr(uuid, name)


class Uploads:
    """What the SDK uploads, put into a folder instead: `(bucket, key, name there)`, and the URIs
    that name a whole folder of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: list[tuple[str, str, str]] = []
        self.folders: list[str] = []
        self._names: dict[bytes, str] = {}  # each training step uploads the same 20 files again

    def upload(self, source: Path, bucket: str, key: str) -> None:
        content = source.read_bytes()
        name = self._names.setdefault(hashlib.sha256(content).digest(), str(len(self._names)))
        if not (self.folder / name).exists():
            (self.folder / name).write_bytes(content)
        self.objects.append((bucket, key, name))

    def upload_data(
        self, session: Any, path: str, bucket: str | None = None, key_prefix: str = "data", **_: Any
    ) -> str:
        """The contract of `Session.upload_data` in both versions of the SDK."""
        if bucket is None:
            bucket = str(session.default_bucket())
            prefix = getattr(session, "default_bucket_prefix", None)
            key_prefix = "/".join(part for part in (prefix, key_prefix) if part)
        root, source = f"s3://{bucket}/{key_prefix}", Path(path)
        if not source.is_dir():
            self.upload(source, bucket, f"{key_prefix}/{source.name}")
            return f"{root}/{source.name}"
        for file in sorted(file for file in source.rglob("*") if file.is_file()):
            self.upload(file, bucket, f"{key_prefix}/{file.relative_to(source).as_posix()}")
        self.folders.append(root)
        return root


class Clients:
    """A boto session that makes each client once."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._made: dict[str, Any] = {}

    def client(self, *args: Any, **kwargs: Any) -> Any:
        key = repr((args, sorted(kwargs.items())))
        if key not in self._made:
            self._made[key] = self._session.client(*args, **kwargs)
        return self._made[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class Mends:
    """Which module of the SDK is changed in which way."""

    def __init__(self, request: dict[str, Any], uploads: Uploads) -> None:
        self.request = request
        self.names = Names()
        self.uploads = uploads
        self.table: dict[str, Callable[[Any], None]] = {
            "sagemaker.utils": self.common,
            "sagemaker.core.common_utils": self.common,
            "sagemaker.core.modules.utils": self.trainer_names,
            "sagemaker.train.utils": self.trainer_names,
            "sagemaker.session": self.session,
            "sagemaker.core.helper.session_helper": self.session,
            "sagemaker.mlops.workflow.steps": self.steps,
            "sagemaker.workflow._utils": self.repacking,
            "sagemaker.train.model_trainer": self.trainer,
            "sagemaker.core.helper.iam_role_resolver": self.roles,
            "sagemaker.lambda_helper": self.functions,
            "sagemaker.core.lambda_helper": self.functions,
            "sagemaker.telemetry.telemetry_logging": self.telemetry,
            "sagemaker.core.telemetry.telemetry_logging": self.telemetry,
            "cloudpickle.cloudpickle": self.pickles,
        }

    def apply(self, module: Any) -> None:
        if getattr(module, "uuid", None) is uuid:
            module.uuid = Uuids(self.names)
        if getattr(module, "uuid4", None) is uuid.uuid4:
            module.uuid4 = self.names.uuid
        mend = self.table.get(module.__name__)
        if mend is not None:
            mend(module)

    def _endpoint(self, _region: str) -> str | None:
        """The SDK asks STS at its regional host, whatever the endpoint variables say."""
        return os.environ.get("AWS_ENDPOINT_URL_STS") or os.environ.get("AWS_ENDPOINT_URL")

    def common(self, module: Any) -> None:
        replace(
            module,
            name_from_base=self.names.from_base,
            unique_name_from_base=self.names.from_base,
            unique_name_from_base_uuid4=self.names.from_base,
            sagemaker_timestamp=self.names.timestamp,
            sagemaker_short_timestamp=self.names.short_timestamp,
        )
        self._sts(module)

    def _sts(self, module: Any) -> None:
        if self._endpoint("") is not None:
            replace(module, sts_regional_endpoint=self._endpoint)

    def trainer_names(self, module: Any) -> None:
        replace(module, _get_unique_name=self.names.for_trainer)

    def session(self, module: Any) -> None:
        bucket, account, uploads = self.request["bucket"], self.request["account"], self.uploads

        def default_bucket(session: Any) -> str:
            chosen = getattr(session, "_default_bucket", None)
            return str(chosen or getattr(session, "_default_bucket_name_override", None) or bucket)

        def upload_data(session: Any, *args: Any, **kwargs: Any) -> str:
            return uploads.upload_data(session, *args, **kwargs)

        def account_id(_session: Any) -> str:
            return str(account)

        replace(
            module.Session,
            default_bucket=default_bucket,
            upload_data=upload_data,
            account_id=account_id,
        )
        self._sts(module)

    def steps(self, module: Any) -> None:
        # Built anew for each step, at a third of a second, only to read the name of a method.
        replace(module, LocalSagemakerClient=functools.lru_cache(module.LocalSagemakerClient))

    def repacking(self, module: Any) -> None:
        """A step that packs a model anew puts two scripts beside the user's own: here beside a
        copy, which takes its place in the upload. That there is a folder is all that its job
        reads of `source_dir`, which would hold a path of this machine."""
        kind = getattr(module, "_RepackModelStep", None)
        inject = getattr(kind, "_inject_repack_script_and_launcher", None)
        if inject is None:
            return
        copies: set[Path] = set()

        def inject_beside_copy(step: Any) -> None:
            source = Path(str(step._source_dir))  # noqa: SLF001 - the SDK's own
            if source.is_dir() and source not in copies:
                copy = tempfile.mkdtemp()
                copies.add(Path(copy))
                ignored = shutil.ignore_patterns("__pycache__", ".git")
                shutil.copytree(source, copy, dirs_exist_ok=True, ignore=ignored)
                step._source_dir = step.estimator.source_dir = copy  # noqa: SLF001
                told = step.estimator._hyperparameters  # noqa: SLF001
                if told.get("source_dir"):
                    told["source_dir"] = source.name
            inject(step)

        replace(kind, _inject_repack_script_and_launcher=inject_beside_copy)

    def roles(self, module: Any) -> None:
        # Makes a client for each step, and then skips what it would ask.
        name = "_get_boto_session"
        sessions: dict[int, Clients] = {}
        find = getattr(module, name, None)
        if find is None:
            return

        def find_once(session: Any = None) -> Clients:
            found = find(session)
            return sessions.setdefault(id(found), Clients(found))

        setattr(module, name, find_once)

    def trainer(self, module: Any) -> None:
        trainer, beside = module.ModelTrainer, Path(self.request["file"]).parent
        name = "_write_source_code_json"
        write = getattr(trainer, name)

        def staging_bucket(self: Any) -> tuple[str, None]:
            return self.sagemaker_session.default_bucket(), None

        def write_source_code_json(self: Any, tmp_dir: Any, source_code: Any) -> None:
            folder = getattr(source_code, "source_dir", None)
            if isinstance(folder, str) and Path(folder).is_dir():
                # An absolute path of this machine would travel into the container.
                relative = os.path.relpath(Path(folder).resolve(), beside)
                source_code = source_code.model_copy(update={"source_dir": relative})
            write(self, tmp_dir, source_code)

        replace(
            trainer,
            _resolve_staging_bucket=staging_bucket,
            _write_source_code_json=write_source_code_json,
        )

    def functions(self, module: Any) -> None:
        # A zip cannot tell a time before 1980, which files of a reproducible checkout have.
        replace(module, _zip_lambda_code=zip_script)

    def telemetry(self, module: Any) -> None:
        def send_nothing(*_args: Any, **_kwargs: Any) -> None:
            return None

        replace(module, _send_telemetry_request=send_nothing)

    def pickles(self, module: Any) -> None:
        """A function of a step is pickled with the path of its file: it counts from the root."""
        pickler, root = getattr(module, "Pickler", None), f"{self.request['root']}/"
        table = getattr(pickler, "_dispatch_table", {})
        reduce_code = table.get(types.CodeType)
        new_arguments = getattr(pickler, "_function_getnewargs", None)
        if reduce_code is None or new_arguments is None:
            return

        def plain(value: Any) -> Any:
            inside = isinstance(value, str) and value.startswith(root)
            return value[len(root) :] if inside else value

        def reduce_plain(code: Any) -> Any:
            kind, arguments = reduce_code(code)
            return kind, tuple(plain(each) for each in arguments)

        def plain_arguments(self: Any, function: Any) -> Any:
            code, names, *rest = new_arguments(self, function)
            names.update({key: plain(names[key]) for key in names.keys() & {"__file__"}})
            return (code, names, *rest)

        table[types.CodeType] = reduce_plain
        replace(pickler, _function_getnewargs=plain_arguments)


def zip_script(script: str) -> bytes:
    """The zip of one file, as the SDK makes it, but for the file's time."""
    buffer, source = io.BytesIO(), Path(script)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(source.name), source.read_bytes())
    return buffer.getvalue()


class Finder(importlib.abc.MetaPathFinder):
    """Calls `apply` on every module of the SDK once it has been executed."""

    def __init__(self, apply: Callable[[Any], None]) -> None:
        self.apply = apply

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] not in _MENDED:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                self._wrap(spec)
                return spec
        return None

    def _wrap(self, spec: Any) -> None:
        execute = getattr(spec.loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module: Any) -> None:
            execute(module)
            self.apply(module)

        spec.loader.exec_module = exec_module
