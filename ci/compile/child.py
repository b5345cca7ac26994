"""The child: imports a pipeline module under the user's own Python and returns its definition.

Runs alone (`python child.py <fd>`), never imported by `ci` and never importing it: only the
standard library, Python 3.9 and later. It speaks with its parent over one Unix socket: the parent
sends a request, the child sends the socket its AWS calls will reach (so that it may live in a
network namespace of the child's own) and, at the end, one reply.

What it changes of the SDK it changes in memory, as modules are imported: names made of the time
become names made of a counter, uploads go straight to a folder, the default bucket is known.
User code keeps its clock, its random numbers and its files.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import importlib
import importlib.abc
import importlib.util
import inspect
import json
import os
import resource
import shutil
import socket
import struct
import sys
import traceback
import uuid
from pathlib import Path
from typing import Any, Callable

SDK_MISSING = "sdk_missing"
MODULE_MISSING = "module_missing"
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


class Refused(Exception):
    """A source that cannot become a definition; `kind` tells the parent which sentence to use."""

    def __init__(self, kind: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.details = details


class Blocked(ConnectionRefusedError):
    """A connection to something other than the capture endpoint."""


# --- Isolation ------------------------------------------------------------------------------


def _enter_namespaces() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text("%d %d 1" % (user, user))
    Path("/proc/self/gid_map").write_text("%d %d 1" % (group, group))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def isolate(readable: list[str]) -> str:
    """Enter a user and a network namespace where the system allows it; say what was done.

    In a user namespace the parent's memory and environment in /proc are closed to this process;
    in a network namespace nothing but the capture endpoint exists. A forked probe goes first,
    because a half-entered namespace cannot be left.
    """
    if not sys.platform.startswith("linux"):
        return "none: namespaces are Linux's"
    probe = os.fork()
    if probe == 0:
        status = 1
        try:
            _enter_namespaces()
            status = 0 if all(os.access(path, os.R_OK) for path in readable) else 2
        except BaseException:  # noqa: BLE001  the exit status is the answer
            status = 1
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1])
    if status != 0:
        return (
            "none: user namespaces are not allowed here"
            if status == 1
            else ("none: the source belongs to another user")
        )
    _enter_namespaces()
    return "user and network namespaces"


def limit(memory: int) -> None:
    """Bound what one compile may take: `memory` is in bytes, 0 for no bound."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory and sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def guard_network(port: int, reached: list[str]) -> None:
    """Refuse every connection but to the capture endpoint at once, and remember the host."""

    def refuse(host: object) -> None:
        name = host.decode("utf-8", "replace") if isinstance(host, bytes) else str(host)
        if name not in reached:
            reached.append(name)
        raise Blocked("compile is hermetic: no connection to %s" % name)

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" or event == "socket.sendto":
            address = arguments[1]
            if not isinstance(address, tuple):
                refuse("the Unix socket %s" % (address,))
            elif address[:2] != ("127.0.0.1", port):
                refuse("%s:%s" % address[:2])
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = arguments[0]
            if host not in (None, "", "localhost", "127.0.0.1", b"127.0.0.1", b"localhost"):
                refuse(host)

    sys.addaudithook(check)


def keep_source_folders_clean() -> None:
    """Write byte code for installed packages only, so that compiling leaves no trace."""
    loader = importlib.machinery.SourceFileLoader
    write = getattr(loader, "_cache_bytecode", None)
    if write is None:
        sys.dont_write_bytecode = True
        return

    def cache_bytecode(self: Any, source_path: str, cache_path: str, data: bytes) -> None:
        if "site-packages" in Path(source_path).parts:
            write(self, source_path, cache_path, data)

    setattr(loader, "_cache_bytecode", cache_bytecode)


# --- What is changed of the SDK -------------------------------------------------------------


class Names:
    """Names that the SDK makes of the time: unique in one compile, and equal in every compile.

    Each base has a counter of its own, so that a step added elsewhere does not shift them.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def number(self, base: str) -> int:
        self.counts[base] = self.counts.get(base, 0) + 1
        return self.counts[base]

    def _join(self, base: str, max_length: int) -> str:
        suffix = "%014d" % self.number(base)
        return "%s-%s" % (base[: max_length - len(suffix) - 1], suffix)

    def name_from_base(self, base: str, max_length: int = 63, short: bool = False) -> str:
        return self._join(base, max_length)

    def unique_name_from_base(self, base: str, max_length: int = 63) -> str:
        return self._join(base, max_length)

    def unique_trainer_name(self, base: str, max_length: int = 63) -> str:
        return self._join(base.replace("_", "-"), max_length)

    def timestamp(self) -> str:
        return "1970-01-01-00-00-00-%03d" % self.number("timestamp")

    def short_timestamp(self) -> str:
        return "700101-%04d" % self.number("short timestamp")

    def uuid(self, *_: object) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_OID, "sagemaker-gitops/%d" % self.number("uuid"))


class Uuids:
    """Stands for the `uuid` module inside the SDK."""

    def __init__(self, names: Names) -> None:
        self.uuid1 = names.uuid
        self.uuid4 = names.uuid

    def __getattr__(self, name: str) -> Any:
        return getattr(uuid, name)


class Uploads:
    """What the SDK uploads, put into a folder instead: `(bucket, key, file)`, and the URIs that
    name a whole folder of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: list[tuple[str, str, str]] = []
        self.folders: list[str] = []

    def upload(self, source: str, bucket: str, key: str) -> None:
        file = self.folder / str(len(self.objects))
        shutil.copyfile(source, file)
        self.objects.append((bucket, key, str(file)))

    def upload_data(
        self,
        session: Any,
        path: str,
        bucket: str | None = None,
        key_prefix: str = "data",
        callback: Any = None,
        extra_args: Any = None,
    ) -> str:
        """The contract of `Session.upload_data` in both versions of the SDK."""
        if bucket is None:
            bucket = str(session.default_bucket())
            prefix = getattr(session, "default_bucket_prefix", None)
            key_prefix = "/".join(part for part in (prefix, key_prefix) if part)
        root = "s3://%s/%s" % (bucket, key_prefix)
        if not os.path.isdir(path):
            name = os.path.basename(path)
            self.upload(path, bucket, "%s/%s" % (key_prefix, name))
            return "%s/%s" % (root, name)
        for parent, folders, files in os.walk(path):
            folders.sort()
            for name in sorted(files):
                file = os.path.join(parent, name)
                relative = os.path.relpath(file, path).replace(os.sep, "/")
                self.upload(file, bucket, "%s/%s" % (key_prefix, relative))
        self.folders.append(root)
        return root


class Mends:
    """Which module of the SDK is changed in which way, as soon as it is imported."""

    def __init__(self, request: dict[str, Any], uploads: Uploads) -> None:
        self.request = request
        self.names = Names()
        self.uploads = uploads
        self.volatile: list[str] = []
        self.table: dict[str, Callable[[Any], None]] = {
            "sagemaker.utils": self.common,
            "sagemaker.core.common_utils": self.common,
            "sagemaker.core.modules.utils": self.trainer_names,
            "sagemaker.train.utils": self.trainer_names,
            "sagemaker.session": self.session,
            "sagemaker.core.helper.session_helper": self.session,
            "sagemaker.mlops.workflow.steps": self.steps,
            "sagemaker.train.model_trainer": self.trainer,
            "sagemaker.telemetry.telemetry_logging": self.telemetry,
            "sagemaker.core.telemetry.telemetry_logging": self.telemetry,
        }

    def apply(self, module: Any) -> None:
        name = module.__name__
        if getattr(module, "uuid", None) is uuid:
            module.uuid = Uuids(self.names)
        if getattr(module, "uuid4", None) is uuid.uuid4:
            module.uuid4 = self.names.uuid
        mend = self.table.get(name)
        if mend is not None:
            mend(module)

    def common(self, module: Any) -> None:
        names = self.names
        module.name_from_base = names.name_from_base
        module.unique_name_from_base = names.unique_name_from_base
        module.unique_name_from_base_uuid4 = names.unique_name_from_base
        module.sagemaker_timestamp = names.timestamp
        module.sagemaker_short_timestamp = names.short_timestamp
        module.sts_regional_endpoint = lambda region: os.environ["AWS_ENDPOINT_URL"]

    def trainer_names(self, module: Any) -> None:
        module._get_unique_name = self.names.unique_trainer_name

    def session(self, module: Any) -> None:
        bucket, uploads = self.request["bucket"], self.uploads
        module.sts_regional_endpoint = lambda region: os.environ["AWS_ENDPOINT_URL"]

        def default_bucket(session: Any) -> str:
            if not session._default_bucket:
                session._default_bucket = session._default_bucket_name_override or bucket
            return str(session._default_bucket)

        def upload_data(session: Any, *args: Any, **kwargs: Any) -> str:
            return uploads.upload_data(session, *args, **kwargs)

        module.Session.default_bucket = default_bucket
        module.Session.upload_data = upload_data
        module.Session.account_id = lambda session: self.request["account"]

    def steps(self, module: Any) -> None:
        # Built anew for each step, at a third of a second, only to read the name of a method.
        module.LocalSagemakerClient = functools.lru_cache(maxsize=None)(module.LocalSagemakerClient)

    def trainer(self, module: Any) -> None:
        trainer = module.ModelTrainer
        beside = os.path.dirname(self.request["file"])
        trainer._resolve_staging_bucket = lambda self: (
            self.sagemaker_session.default_bucket(),
            None,
        )
        write = trainer._write_source_code_json

        def write_source_code_json(self: Any, tmp_dir: Any, source_code: Any) -> None:
            folder = getattr(source_code, "source_dir", None)
            if isinstance(folder, str) and os.path.isdir(folder):
                source_code = source_code.model_copy(
                    update={"source_dir": os.path.relpath(os.path.abspath(folder), beside)}
                )
            write(self, tmp_dir, source_code)

        trainer._write_source_code_json = write_source_code_json

    def telemetry(self, module: Any) -> None:
        module._send_telemetry_request = lambda *args, **kwargs: None


class Finder(importlib.abc.MetaPathFinder):
    """Calls `apply` on every module of the SDK once it has been executed."""

    def __init__(self, apply: Callable[[Any], None]) -> None:
        self.apply = apply

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if not fullname.startswith("sagemaker"):
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


# --- The user's function --------------------------------------------------------------------


def import_source(file: Path, root: Path) -> Any:
    """Import the file as Python would: as part of its package where it stands in one."""
    top, parts = file.parent, [file.stem]
    while (top / "__init__.py").exists():
        parts.insert(0, top.name)
        top = top.parent
    for folder in (root, Path.cwd(), top):
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.path.insert(0, str(folder))
    if all(part.isidentifier() for part in parts) and len(parts) > 1:
        return importlib.import_module(".".join(parts))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise Refused("not_python", "%s is not a Python file" % file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def find_function(module: Any, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if function is None:
        known = sorted(
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        )
        raise Refused("no_function", "there is no function %s" % name, known=known)
    if not callable(function):
        raise Refused("no_function", "%s is not a function" % name, known=[])
    return function  # type: ignore[no-any-return]  # a module's attribute can be anything


def arguments_for(function: Callable[..., Any], request: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the function's signature accepts, the project's kwargs over our own."""
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    named = {item.name: item for item in parameters if item.kind not in positional}
    variable = [name for name, item in named.items() if item.kind is item.VAR_KEYWORD]
    for name in variable:
        del named[name]
    kwargs = dict(request["kwargs"])
    unknown = sorted(set(kwargs) - set(named))
    if unknown and not variable:
        raise Refused("unknown_kwargs", ", ".join(unknown), known=sorted(named))
    offered: dict[str, Any] = {
        "region": request["region"],
        "role": request["role"],
        "default_bucket": request["bucket"],
        "pipeline_name": request["pipeline_name"],
    }
    for name, value in offered.items():
        if name in named:
            kwargs.setdefault(name, value)
    for name in ("sagemaker_session", "pipeline_session"):
        if name in named and name not in kwargs:
            kwargs[name] = pipeline_session(request["bucket"])
    missing = [n for n, item in named.items() if item.default is item.empty and n not in kwargs]
    if missing:
        raise Refused("missing_kwargs", ", ".join(missing), known=sorted(offered))
    return kwargs


def pipeline_session(bucket: str) -> Any:
    for name in ("sagemaker.core.workflow.pipeline_context", "sagemaker.workflow.pipeline_context"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return module.PipelineSession(default_bucket=bucket)
    raise Refused(SDK_MISSING, "sagemaker")


def definition_of(pipeline: Any, function: str) -> str:
    if inspect.iscoroutine(pipeline):
        pipeline.close()
    if isinstance(pipeline, type) or not callable(getattr(pipeline, "definition", None)):
        kind = (
            "nothing"
            if pipeline is None
            else "%s.%s" % (type(pipeline).__module__, type(pipeline).__qualname__)
        )
        raise Refused("not_a_pipeline", "%s returned %s" % (function, kind))
    definition = pipeline.definition()
    if not isinstance(definition, str):
        raise Refused("not_a_pipeline", "%s.definition() is not a string" % type(pipeline).__name__)
    return definition


def versions() -> dict[str, str]:
    found = {"python": "%d.%d.%d" % sys.version_info[:3]}
    from importlib import metadata

    for name in ("sagemaker", "sagemaker-core"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def run(request: dict[str, Any], uploads: Uploads) -> dict[str, Any]:
    file, root = Path(request["file"]), Path(request["root"])
    keep_source_folders_clean()
    mends = Mends(request, uploads)
    sys.meta_path.insert(0, Finder(mends.apply))
    sys.argv = [str(file)]
    module = import_source(file, root)
    function = find_function(module, request["function"])
    pipeline = function(**arguments_for(function, request))
    return {
        "definition": definition_of(pipeline, request["function"]),
        "name": str(getattr(pipeline, "name", "")),
    }


# --- The conversation -----------------------------------------------------------------------


def describe_error(error: BaseException, request: dict[str, Any]) -> dict[str, Any]:
    """The error for the parent: the frames of the user's own files, innermost last."""
    if isinstance(error, Refused):
        return {"kind": error.kind, "message": error.message, **error.details}
    frames = [
        [frame.filename, frame.lineno or 0, frame.name, frame.line or ""]
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    installed = tuple({sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)})
    own = [
        frame
        for frame in frames
        if frame[0] != __file__
        and "site-packages" not in str(frame[0])
        and not str(frame[0]).startswith("<")
        and (str(frame[0]).startswith(request["root"]) or not str(frame[0]).startswith(installed))
    ]
    if isinstance(error, SyntaxError) and error.filename:
        own.append([error.filename, error.lineno or 0, "<module>", (error.text or "").strip()])
    kind = "raised"
    if isinstance(error, SystemExit):
        kind = "exited"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.split(".")[0]
        kind = SDK_MISSING if top == "sagemaker" else MODULE_MISSING
    return {
        "kind": kind,
        "type": type(error).__name__,
        "message": str(error),
        "module": getattr(error, "name", None),
        "frames": own,
    }


def receive(connection: socket.socket) -> dict[str, Any]:
    data = b""
    with connection.makefile("rb") as stream:
        data = stream.readline()
    return json.loads(data)  # type: ignore[no-any-return]  # the parent sends an object


def listen() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def main() -> None:
    sys.path.pop(0)
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    request = receive(connection)
    limit(request["memory"])
    isolation = "off"
    if request["hermetic"]:
        isolation = isolate([request["file"], request["root"], request["scratch"]])
        listener = listen()
        port = listener.getsockname()[1]
        socket.send_fds(connection, [b"L"], [listener.fileno()])
        listener.close()
        os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:%d" % port
    os.chdir(request["working_directory"])
    reached: list[str] = []
    if request["hermetic"]:
        guard_network(port, reached)
    uploads = Uploads(Path(request["scratch"]) / "uploads")
    reply: dict[str, Any] = {}
    try:
        reply = run(request, uploads)
    except BaseException as error:  # noqa: BLE001  user code may raise anything at all
        reply = {"error": describe_error(error, request)}
    reply.update(
        isolation=isolation,
        reached=reached,
        objects=uploads.objects,
        folders=uploads.folders,
        versions=versions(),
    )
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(json.dumps(reply).encode("utf-8") + b"\n")
    os._exit(0)  # threads that user code left behind must not hold the compile


if __name__ == "__main__":
    main()
