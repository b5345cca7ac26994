"""Decides where botocore's service models come from: each is parsed once in a process.

Validation reads the model of SageMaker too (`ci.definition.shapes`), and parsing its two megabytes
is a good part of a start.
"""

from pathlib import Path
from typing import Any

from ci.definition.shapes import read_model

_MODEL = "service-2"


def new_session(*, profile: str | None) -> Any:
    """A botocore session that shares its service models with the rest of this program."""
    from botocore.loaders import JSONFileLoader, create_loader
    from botocore.session import Session

    class SharedFiles(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
        def load_file(self, file_path: str) -> Any:
            if Path(file_path).name == _MODEL:
                for suffix in (".json", ".json.gz"):
                    if (file := Path(file_path + suffix)).is_file():
                        return read_model(file)
            return super().load_file(file_path)

    session = Session(session_vars={"profile": (None, None, profile, None)})
    loader = create_loader(session.get_config_variable("data_path"))
    loader.file_loader = SharedFiles()
    session.register_component("data_loader", loader)
    return session
