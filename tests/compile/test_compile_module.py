"""A pipeline module in the hermetic child, told with a stand-in for the SDK's Pipeline."""

import json
import os
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.compiling import ACCOUNT, BUCKET, PREFIX, make_target

from ci.compile.bundle import Bundle
from ci.compile.compile import compile_pipeline
from ci.errors import CompileError, DefinitionError, ExitCode

PRELUDE = """
import json

class Pipeline:
    def __init__(self, steps):
        self.name = "demo"
        self.steps = steps

    def definition(self):
        return json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": self.steps})
"""

Compile = Callable[..., Bundle]


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    """Write a module into a project and compile it."""

    def run(
        code: str,
        *,
        function: str = "get_pipeline",
        environ: dict[str, str] | None = None,
        timeout: float = 30,
        file: str = "ml/pipeline.py",
        memory: int = 8 << 30,
        **settings: object,
    ) -> Bundle:
        source = tmp_path / "project" / file
        source.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / "sagemaker-gitops.yaml").touch()
        source.write_text(PRELUDE + textwrap.dedent(code), encoding="utf-8")
        return compile_pipeline(
            make_target(source, function=function, **settings),  # type: ignore[arg-type]
            environ=os.environ | (environ or {}),
            timeout=timeout,
            memory=memory,
            scratch=tmp_path / "scratch",
        )

    return run


def steps_of(bundle: Bundle) -> list[dict[str, object]]:
    return json.loads(bundle.definition)["Steps"]  # type: ignore[no-any-return]


def line_of(code: str, text: str) -> int:
    return (PRELUDE + textwrap.dedent(code)).splitlines().index(text) + 1


def test_function_gets_what_its_signature_accepts(compiled: Compile) -> None:
    bundle = compiled(
        """
        def get_pipeline(region, role, *, default_bucket, pipeline_name="x", group, depth=3):
            return Pipeline([[region, role, default_bucket, pipeline_name, group, depth]])
        """,
        kwargs={"group": "abalone", "depth": 7},
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/sagemaker-gitops-local"
    assert steps_of(bundle) == [["us-east-1", role, BUCKET, "demo", "abalone", 7]]


def test_kwargs_win_over_what_is_given_without_asking(compiled: Compile) -> None:
    code = "def get_pipeline(region, **rest):\n    return Pipeline([region, sorted(rest)])"
    assert steps_of(compiled(code, kwargs={"region": "eu-west-1", "a": 1})) == ["eu-west-1", ["a"]]


def test_modules_beside_the_source_and_of_its_package_are_found(
    compiled: Compile, tmp_path: Path
) -> None:
    package = tmp_path / "project" / "ml"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("VALUE = 1\n")
    (tmp_path / "project" / "shared.py").write_text("VALUE = 2\n")
    bundle = compiled(
        """
        import shared
        from ml import helper
        from .helper import VALUE
        def get_pipeline():
            return Pipeline([shared.VALUE, helper.VALUE, VALUE, __name__])
        """
    )
    assert steps_of(bundle) == [2, 1, 1, "ml.pipeline"]


def test_modules_named_like_ours_are_the_users(compiled: Compile, tmp_path: Path) -> None:
    folder = tmp_path / "project" / "ml"
    folder.mkdir(parents=True)
    for name in ("bundle", "source", "archive", "sdk", "compile"):
        (folder / f"{name}.py").write_text("WHOSE = 'user'\n")
    bundle = compiled(
        """
        import archive, bundle, compile, sdk, source, sys
        def get_pipeline():
            modules = (archive, bundle, compile, sdk, source)
            return Pipeline([m.WHOSE for m in modules] + ["ci" in sys.modules])
        """
    )
    assert steps_of(bundle) == ["user"] * 5 + [False]


def test_environment_is_an_allow_list(compiled: Compile) -> None:
    bundle = compiled(
        """
        import os
        def get_pipeline():
            return Pipeline([dict(os.environ)])
        """,
        environ={
            "GITHUB_TOKEN": "ghs_secret",
            "AWS_SESSION_TOKEN": "secret",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "HTTPS_PROXY": "http://proxy",
            "TEAM": "ml",
        },
        pass_environment=("TEAM", "NOT_THERE"),
    )
    seen = steps_of(bundle)[0]
    assert "secret" not in json.dumps(seen)
    assert not {"GITHUB_TOKEN", "AWS_SESSION_TOKEN", "HTTPS_PROXY", "NOT_THERE"} & set(seen)
    assert (seen["TEAM"], seen["TZ"], seen["PYTHONHASHSEED"]) == ("ml", "UTC", "0")
    assert str(seen["AWS_ENDPOINT_URL"]).startswith("http://127.0.0.1:")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_parents_environment_is_closed_where_there_are_user_namespaces(compiled: Compile) -> None:
    bundle = compiled(
        """
        import os
        def get_pipeline():
            same = os.readlink("/proc/self/ns/user") == os.readlink(f"/proc/{os.getpid()}/ns/user")
            own = open("/proc/self/uid_map").read().split()[2] == "1"
            try:
                open(f"/proc/{os.getppid()}/environ").read()
                read = True
            except OSError:
                read = False
            return Pipeline([own, read])
        """
    )
    isolated, read = steps_of(bundle)
    assert not (isolated and read)


def test_compiling_leaves_no_trace_beside_the_source(compiled: Compile, tmp_path: Path) -> None:
    folder = tmp_path / "project" / "ml"
    folder.mkdir(parents=True)
    (folder / "helper.py").write_text("VALUE = 1\n")
    compiled("import helper\ndef get_pipeline():\n    return Pipeline([])")
    assert not list((tmp_path / "project").rglob("__pycache__"))


@pytest.mark.parametrize(
    ("code", "host"),
    [
        ("import urllib.request as u; u.urlopen('http://example.com/x')", "example.com"),
        ("import socket as s; s.socket().connect(('192.0.2.7', 443))", "192.0.2.7:443"),
        ("import socket; socket.gethostbyname('metadata.internal')", "metadata.internal"),
        (
            "import socket as s; s.socket(s.AF_UNIX).connect('/var/run/docker.sock')",
            "the Unix socket /var/run/docker.sock",
        ),
        (
            "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'x', ('192.0.2.7', 53))",
            "192.0.2.7:53",
        ),
    ],
)
def test_other_hosts_are_refused_at_once_and_named(compiled: Compile, code: str, host: str) -> None:
    start = time.monotonic()
    with pytest.raises(CompileError) as caught:
        compiled(f"def get_pipeline():\n    {code}\n")
    assert time.monotonic() - start < 10
    assert f"a connection to {host}" in caught.value.what
    assert "compile: live" in str(caught.value.fix)
    assert str(caught.value.where).startswith("ml/pipeline.py:")


def test_code_that_lives_without_the_network_compiles(compiled: Compile) -> None:
    bundle = compiled(
        """
        import urllib.request
        def get_pipeline():
            try:
                urllib.request.urlopen("https://telemetry.example.com", timeout=60)
            except OSError:
                pass
            return Pipeline(["fine"])
        """
    )
    assert steps_of(bundle) == ["fine"]


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("def get_pipeline():\n    return None", "get_pipeline returned nothing"),
        ("def get_pipeline():\n    return [Pipeline([])]", "get_pipeline returned builtins.list"),
        ("def get_pipeline():\n    return Pipeline", "get_pipeline returned builtins.type"),
        ("async def get_pipeline():\n    return Pipeline([])", "returned builtins.coroutine"),
        ("get_pipeline = 7", "get_pipeline is not a function"),
        ("def make():\n    return Pipeline([])", "there is no function get_pipeline"),
        ("def get_pipeline(depth, width):\n    return 1", "needs depth, width, which nobody gives"),
        ("def get_pipeline():\n    return Pipeline([float('nan')])", "NaN"),
        ("def get_pipeline():\n    import nosuch.thing", "needs the module nosuch,"),
        ("from sagemaker.workflow.pipeline import Pipeline", "SageMaker SDK"),
        ("import sys\nsys.exit('no data')", "SystemExit: no data"),
        ("import os\nos._exit(9)", "exit code 9"),
        ("import os\nos.kill(os.getpid(), 9)", "ended by SIGKILL"),
        ("def get_pipeline(:", "SyntaxError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_broken_modules_are_told_plainly(compiled: Compile, code: str, what: str) -> None:
    with pytest.raises((CompileError, DefinitionError)) as caught:
        compiled(code)
    error = caught.value
    assert what in str(error)
    assert error.exit_code is ExitCode.USAGE
    assert "Traceback" not in str(error)


def test_what_raises_is_placed_in_the_users_own_files(compiled: Compile, tmp_path: Path) -> None:
    helper = tmp_path / "project" / "ml" / "helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text("import json\n\ndef load():\n    return json.loads('{')\n")
    code = "import helper\ndef get_pipeline():\n    return helper.load()"
    with pytest.raises(CompileError) as caught:
        compiled(code)
    line = line_of(code, "    return helper.load()")
    assert caught.value.where == "ml/helper.py:4"
    assert str(caught.value.why).splitlines() == [
        f"ml/pipeline.py:{line} in get_pipeline: return helper.load()",
        "ml/helper.py:4 in load: return json.loads('{')",
    ]
    assert "JSONDecodeError" in caught.value.what


def test_a_variable_that_the_child_does_not_have_is_told_with_the_way_to_pass_it(
    compiled: Compile,
) -> None:
    asks = "import os\ndef get_pipeline():\n    return Pipeline([os.environ['TEAM']])"
    with pytest.raises(CompileError) as caught:
        compiled(asks, environ={"TEAM": "rings"})
    assert str(caught.value.fix).endswith("\npass_environment: [TEAM]")
    assert steps_of(compiled(asks, environ={"TEAM": "rings"}, pass_environment=("TEAM",))) == [
        "rings"
    ]
    with pytest.raises(CompileError) as caught:
        compiled("def get_pipeline():\n    return {}['TEAM']")
    assert caught.value.fix is None


def test_unknown_kwargs_are_named_with_those_there_are(compiled: Compile) -> None:
    with pytest.raises(CompileError, match="does not take rol, zone") as caught:
        compiled(
            "def get_pipeline(region, role): return Pipeline([])", kwargs={"zone": 1, "rol": 2}
        )
    assert caught.value.why == "it takes region, role"


def test_missing_function_names_its_neighbours(compiled: Compile) -> None:
    with pytest.raises(CompileError) as caught:
        compiled("def build(): ...", function="get_pipelin")
    assert caught.value.why == "its functions are build"
    assert caught.value.fix == "source: ml/pipeline.py:build"


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(600)",
        "import signal, time; signal.pthread_sigmask(0, range(1, 32)); time.sleep(99)",
    ],
)
def test_endless_modules_are_ended(compiled: Compile, code: str) -> None:
    start = time.monotonic()
    with pytest.raises(CompileError, match=r"did not compile within 1 seconds"):
        compiled(f"print('waiting for data')\n{code}", timeout=1)
    assert time.monotonic() - start < 10


def test_what_the_module_started_ends_with_it(compiled: Compile, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    compiled(
        f"""
        import subprocess, sys
        def get_pipeline():
            subprocess.Popen([sys.executable, "-c",
                "import time; time.sleep(3); open({str(mark)!r}, 'w')"])
            return Pipeline([])
        """
    )
    time.sleep(3.5)
    assert not mark.exists()


def test_junk_on_stdout_is_no_part_of_the_definition(compiled: Compile) -> None:
    bundle = compiled(
        """
        import os, sys
        print("{" * 100000)
        os.write(1, bytes(range(256)) * 1000)
        def get_pipeline():
            sys.stdout.close()
            return Pipeline(["clean"])
        """
    )
    assert steps_of(bundle) == ["clean"]


def test_a_hungry_module_is_bounded_in_memory(compiled: Compile) -> None:
    with pytest.raises(CompileError, match="MemoryError"):
        compiled("x = bytearray(1 << 30)\ndef get_pipeline(): ...", memory=512 << 20)


def test_threads_left_behind_do_not_hold_the_compile(compiled: Compile) -> None:
    start = time.monotonic()
    compiled(
        """
        import threading, time
        threading.Thread(target=time.sleep, args=(600,)).start()
        def get_pipeline(): return Pipeline([])
        """
    )
    assert time.monotonic() - start < 15


def test_hostile_file_names_are_only_names(compiled: Compile) -> None:
    bundle = compiled("def get_pipeline(): return Pipeline([1])", file="a b/pi pe;$(x)'é.py")
    assert steps_of(bundle) == [1]


def test_a_source_that_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "pipeline_one.py").touch()
    with pytest.raises(CompileError, match="does not exist") as caught:
        compile_pipeline(make_target(tmp_path / "gone.py"), environ=os.environ, root=tmp_path)
    assert "pipeline_one.py" in str(caught.value.why)


@pytest.mark.parametrize("python", ["nowhere/bin/python", "no-such-python", "", "'"])
def test_a_python_that_does_not_exist(tmp_path: Path, python: str) -> None:
    source = tmp_path / "pipeline.py"
    source.touch()
    with pytest.raises(CompileError, match="no Python"):
        compile_pipeline(make_target(source, python=python), environ={"PATH": "/usr/bin"})


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    source, fake = tmp_path / "pipeline.py", tmp_path / "python"
    source.touch()
    fake.write_text("not a program")
    with pytest.raises(CompileError, match="cannot be started"):
        compile_pipeline(make_target(source, python="python"), environ={}, root=tmp_path)


def test_digest_follows_the_source_and_nothing_else(compiled: Compile) -> None:
    code = "def get_pipeline(): return Pipeline([{1}])".replace("{1}", "{'b': 1, 'a': 2}")
    first = compiled(code)
    again = compiled(code + "\n# a comment")
    other = compiled(code.replace("2", "3"))
    assert first.digest == again.digest != other.digest
    assert first.definition == again.definition
    assert (first.bucket, first.prefix) == (BUCKET, PREFIX)


def test_live_is_the_way_out(compiled: Compile) -> None:
    bundle = compiled(
        """
        import os
        def get_pipeline():
            return Pipeline([os.environ.get("AWS_PROFILE"), os.environ.get("AWS_ENDPOINT_URL")])
        """,
        live=True,
        environ={"AWS_PROFILE": "team", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
    )
    assert steps_of(bundle) == ["team", "http://127.0.0.1:4566"]


def test_working_directory_is_the_projects_root_or_the_one_named(
    compiled: Compile, tmp_path: Path
) -> None:
    code = "import os\ndef get_pipeline():\n    return Pipeline([os.getcwd()])"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert steps_of(compiled(code)) == [str(tmp_path / "project")]
    assert steps_of(compiled(code, working_directory=elsewhere)) == [str(elsewhere)]


def test_a_path_that_counts_from_another_folder_is_told_with_it(
    compiled: Compile, tmp_path: Path
) -> None:
    (tmp_path / "project/ml/steps").mkdir(parents=True)
    (tmp_path / "project/ml/steps/train.py").touch()
    code = "def get_pipeline(): open('steps/{}').read()\n"
    with pytest.raises(CompileError) as caught:
        compiled(code.format("train.py"))
    assert caught.value.fix == "working_directory: ml   # for steps/train.py"
    with pytest.raises(CompileError) as caught:
        compiled(code.format("nowhere.py"))
    assert caught.value.fix is None


def test_several_compile_at_once(compiled: Compile) -> None:
    with ThreadPoolExecutor(4) as pool:
        codes = [f"def get_pipeline():\n    return Pipeline([{n}])" for n in range(4)]
        futures = [pool.submit(compiled, code, file=f"ml/p{n}.py") for n, code in enumerate(codes)]
        assert [steps_of(future.result()) for future in futures] == [[0], [1], [2], [3]]
