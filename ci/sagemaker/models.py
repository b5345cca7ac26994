"""Decides where botocore's service models come from: each is parsed once in a process.

Validation reads the model of SageMaker too (`ci.definition.shapes`), and parsing its two megabytes
is a good part of a start.
"""

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ci.definition.shapes import read_model

_SUFFIXES = (".json", ".json.gz")


def new_session(*, profile: str | None) -> Any:
    """A botocore session that shares its service models with the rest of this program."""
    from botocore.session import Session

    session = Session(session_vars={"profile": (None, None, profile, None)})
    session.register_component(
        "data_loader", _new_loader(session.get_config_variable("data_path") or "")
    )
    return session


def _new_loader(search_path: str) -> Any:
    """botocore's loader, but that it reads a file once, and looks for the service that it is asked
    for and not for all four hundred. `search_path` is AWS_DATA_PATH."""
    from botocore.loaders import JSONFileLoader, Loader

    class Files(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
        def load_file(self, file_path: str) -> Any:
            found = (Path(file_path + suffix) for suffix in _SUFFIXES)
            file = next((file for file in found if file.is_file()), None)
            return None if file is None else read_model(file)

    class Models(Loader):  # type: ignore[misc]
        def list_available_services(self, type_name: str) -> Any:
            return _Services(self, type_name)

    class _Services(list[str]):
        """The names of all services, listed when somebody looks at more than one."""

        def __init__(self, loader: Any, type_name: str) -> None:
            self._list = partial(Loader.list_available_services, loader, type_name)
            self._has = partial(_has_model, loader.search_paths, type_name=type_name)

        def __contains__(self, name: object) -> bool:
            return self._has(str(name)) or name in self._list()

        def __iter__(self) -> Any:
            return iter(self._list())

    named = [os.path.expandvars(path) for path in search_path.split(os.pathsep) if path]
    extra = [str(Path(path).expanduser()) for path in named]
    return Models(extra_search_paths=extra, file_loader=Files())


def _has_model(folders: Iterable[str], name: str, *, type_name: str) -> bool:
    return any(
        next(Path(folder).glob(f"{name}/*/{type_name}{suffix}"), None) is not None
        for folder in folders
        for suffix in _SUFFIXES
        if name.replace("-", "").isalnum()
    )
