"""How a compile ends whatever its module does: what it answers is not believed, nothing runs on."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.compiling import BUCKET, make_target
from support.isolation_lab import PRELUDE, Lab

from ci.compile.compile import compile_pipeline
from ci.errors import CompileError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation is Linux's")


def test_files_of_the_child_are_read_only_as_it_left_them(lab: Lab) -> None:
    """The reply names files: a module that forges it gets no file outside the scratch folder."""
    secret = lab.home / ".aws" / "credentials"
    forged = (
        f"""
        def get_pipeline():
            import sagemaker_gitops_child.sdk as sdk
            for kept in __import__("gc").get_objects():
                if isinstance(kept, sdk.Uploads):
                    kept.objects.append(({BUCKET!r}, "stolen", {str(secret)!r}))
            return Pipeline("s3://{BUCKET}/stolen")
        """,
        f"""
        def get_pipeline():
            import sagemaker_gitops_child.sdk as sdk
            for kept in __import__("gc").get_objects():
                if isinstance(kept, sdk.Uploads):
                    os.symlink({str(secret)!r}, kept.folder / "0")
                    kept.objects.append(({BUCKET!r}, "stolen", "0"))
            return Pipeline("s3://{BUCKET}/stolen")
        """,
    )
    for code in forged:
        with pytest.raises(CompileError, match="not what it gives"):
            lab.compile(code)


@pytest.mark.parametrize(
    "code",
    [
        "os.write({socket}, b'[]\\n')",
        "os.write({socket}, b'{{\"error\": 7}}\\n')",
        'os.write({socket}, b\'{{"definition": 1, "objects": 2}}\\n\')',
        "os.write({socket}, b'\\xff\\xfe\\n')",
    ],
)
def test_a_forged_reply_is_no_traceback(lab: Lab, code: str) -> None:
    written = code.format(socket="int(sys.orig_argv[-1])")
    with pytest.raises(CompileError):
        lab.compile(f"def get_pipeline():\n    {written}\n    __import__('time').sleep(60)")


def test_a_module_that_hangs_up_and_goes_on_is_ended(lab: Lab) -> None:
    source = lab.root / "pipeline.py"
    code = "def get_pipeline():\n    os.closerange(3, 64)\n    while True: pass"
    source.write_text(PRELUDE + code)
    with pytest.raises(CompileError, match="within 2 seconds"):
        compile_pipeline(
            make_target(source),
            environ=lab.environ | {"SAGEMAKER_GITOPS_COMPILE_CACHE": "off"},
            timeout=2,
            root=lab.root,
            scratch=lab.scratch,
        )


def test_what_detaches_itself_ends_all_the_same(namespaces: Lab) -> None:
    """A session of its own saves no process: the compile's first process takes all with it."""
    marker = "sleep 98765.4321"
    namespaces.steps(
        f"""
        def get_pipeline():
            subprocess.Popen("setsid {marker}".split(), start_new_session=True)
            return Pipeline("x")
        """
    )
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert marker not in listed.stdout


def test_a_killed_command_leaves_no_compile_behind(namespaces: Lab, tmp_path: Path) -> None:
    (namespaces.root / "pipeline.py").write_text(
        "import time\ndef get_pipeline():\n    time.sleep(55.4321)\n"
    )
    code = (
        "import os, sys; sys.path.insert(0, 'tests'); from pathlib import Path\n"
        "from support.compiling import make_target\n"
        "from ci.compile.compile import compile_pipeline\n"
        f"root = Path({str(namespaces.root)!r})\n"
        "compile_pipeline(make_target(root / 'pipeline.py'), environ=os.environ, root=root)"
    )
    command = [sys.executable, "-c", code]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environ) as process:
        until(lambda: working_in(namespaces.root))
        process.kill()
    until(lambda: not working_in(namespaces.root))


def working_in(folder: Path) -> list[str]:
    """The processes that work in a folder: a compile does once it is cut off."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if place.readlink() == folder:
                found.append(place.parent.name)
    return found


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
