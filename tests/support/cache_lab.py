"""A project whose compiles are kept, in a cache of its own, and what its module reads."""

import json
import os
import textwrap
import time
from pathlib import Path

from ci.compile.bundle import Bundle
from ci.compile.compile import compile_pipeline
from support.compiling import make_target

PRELUDE = """
import json, os, sys
from pathlib import Path

HERE = Path(__file__).parent

class Pipeline:
    def __init__(self, steps):
        self.steps = steps

    def definition(self):
        return json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": self.steps})
"""


class Lab:
    """A project, a cache of its own, and a count of the children that were started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "sagemaker-gitops.yaml").touch()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.cache = folder / "cache" / "sagemaker-gitops" / "compile"

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def module(self, code: str) -> None:
        self.write("pipeline.py", PRELUDE + textwrap.dedent(code))

    def compile(self, *, settle: bool = True, **settings: object) -> Bundle:
        """`settle`: let what was just written be older than the compile."""
        if settle:
            time.sleep(0.12)
        environ = {**self.environ, **settings.pop("environ", {})}  # type: ignore[dict-item]
        source = settings.pop("source", self.root / "pipeline.py")
        return compile_pipeline(
            make_target(source, **settings),  # type: ignore[arg-type]
            environ=environ,
            scratch=self.folder / "scratch",
            timeout=60,
        )

    @property
    def children(self) -> int:
        return len(list((self.folder / "scratch").glob("compile-*/log")))

    @property
    def entries(self) -> list[Path]:
        return sorted(self.cache.glob("*/*"))


def steps_of(bundle: Bundle) -> list[object]:
    return json.loads(bundle.definition)["Steps"]  # type: ignore[no-any-return]


READER = """
import helper

def get_pipeline(depth=1):
    found = [helper.VALUE, depth, os.environ.get("TEAM")]
    found += sorted(file.name for file in (HERE / "code").iterdir())
    found += [file.read_text() for file in sorted((HERE / "code").iterdir())]
    found += [(HERE / "extra.txt").exists(), os.path.getsize(HERE / "sized.bin")]
    try:
        found.append(open(HERE / "maybe.json").read())
    except FileNotFoundError:
        found.append(None)
    return Pipeline([str(each) for each in found])
"""


def with_reader(lab: Lab) -> Lab:
    """A module that imports, lists, looks for and reads what lies beside it."""
    lab.module(READER)
    lab.write("helper.py", "VALUE = 1\n")
    lab.write("code/train.py", "train\n")
    lab.write("sized.bin", "12345")
    return lab
