"""What a hostile or careless module cannot do, at each level that the system allows."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.isolation_lab import SECRET, Lab

from ci.compile.child import LEVELS
from ci.compile.isolation import IsolationLevel, isolation_level
from ci.errors import CompileError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation is Linux's")


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user, outside, with a secret in its environment."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, env={"TOKEN": SECRET}, stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_no_secret_is_in_its_own_environment(lab: Lab) -> None:
    own, seen = lab.inside("open('/proc/self/environ').read()", "dict(os.environ)")
    assert SECRET not in own + seen
    assert "GITHUB_TOKEN" not in own + seen
    assert "PATH" in own


def test_no_process_outside_is_read(lab: Lab, bystander: subprocess.Popen[bytes]) -> None:
    """Neither the process that compiles, nor one that happens to run."""
    for pid in (os.getpid(), bystander.pid):
        for name in ("environ", "mem", "maps"):
            (told,) = lab.inside(f"open('/proc/{pid}/{name}').read(1 << 16)")
            assert told.startswith(("PermissionError", "FileNotFoundError", "Forbidden")), told


def test_other_programs_do_not_read_it_either(
    closed: Lab, bystander: subprocess.Popen[bytes]
) -> None:
    (told,) = closed.inside(f'shell(\'tr "\\\\0" "\\\\n" < /proc/{bystander.pid}/environ\')')
    assert SECRET not in told
    assert "denied" in told or "no such" in told.lower() or "cannot open" in told.lower()


def test_home_is_hidden_but_for_the_repository(closed: Lab) -> None:
    credentials = closed.home / ".aws" / "credentials"
    read, listed, there = closed.inside(
        f"open({str(credentials)!r}).read()",
        f"shell('cat {credentials}; ls -A {closed.home}')",
        f"open({str(closed.root / 'pipeline.py')!r}).read()[:7]",
    )
    assert SECRET not in read + listed
    assert ".aws" not in listed.splitlines()
    assert there == "\nimport"


def test_what_is_hidden_is_told(closed: Lab) -> None:
    file = closed.home / ".aws" / "credentials"
    closed.inside("1")
    with pytest.raises(CompileError, match=r"wanted to read .*, which is hidden") as told:
        closed.compile(f"def get_pipeline():\n    return open({str(file)!r})")
    assert str(told.value.where).startswith("pipeline.py:")


@pytest.mark.parametrize("place", ["{home}/x", "{root}/x", "/etc/x", "{root}/pipeline.py"])
def test_nothing_is_written_outside_the_scratch_folder(lab: Lab, place: str) -> None:
    path = place.format(home=lab.home, root=lab.root)
    before = Path(path).read_bytes() if Path(path).exists() else None
    with pytest.raises(CompileError, match=f"wanted to write {path}") as told:
        lab.compile(f"def get_pipeline():\n    open({path!r}, 'a').write('x')")
    assert "compile: live" in str(told.value.fix)
    source = lab.root / "pipeline.py"
    assert Path(path) == source or before == (
        Path(path).read_bytes() if Path(path).exists() else None
    )
    assert "open(" in source.read_text()


@pytest.mark.parametrize(
    "change",
    [
        "os.mkdir(ROOT / 'new')",
        "os.remove(ROOT / 'victim')",
        "os.rename(ROOT / 'victim', ROOT / 'other')",
        "os.symlink('/etc/passwd', ROOT / 'link')",
        "os.link(ROOT / 'victim', ROOT / 'link')",
        "os.chmod(ROOT / 'victim', 0o777)",
        "os.truncate(ROOT / 'victim', 0)",
        "(ROOT / 'victim').write_text('changed')",
        "(ROOT / 'victim').unlink()",
        "__import__('shutil').rmtree(ROOT / 'folder')",
    ],
)
def test_no_change_of_the_repository(lab: Lab, change: str) -> None:
    (lab.root / "victim").write_text("as it was")
    (lab.root / "folder").mkdir()
    (lab.root / "folder" / "file").touch()
    with pytest.raises(CompileError, match="wanted to write"):
        lab.compile(f"ROOT = Path(__file__).parent\ndef get_pipeline():\n    {change}")
    found = sorted(path.name for path in lab.root.iterdir())
    assert found == ["folder", "pipeline.py", "victim"]
    assert (lab.root / "victim").read_text() == "as it was"
    assert (lab.root / "victim").stat().st_mode & 0o111 == 0
    assert (lab.root / "folder" / "file").exists()


def test_other_programs_write_nothing_either(closed: Lab) -> None:
    (told,) = closed.inside(f"shell('echo x > {closed.root}/x; echo y > {closed.home}/y')")
    assert "x: " in told
    assert "y: " in told
    assert not (closed.root / "x").exists()
    assert not (closed.home / "y").exists()


def test_scratch_may_be_written_and_cleaned(lab: Lab) -> None:
    told = lab.steps(
        """
        import shutil, tempfile
        def get_pipeline():
            with tempfile.TemporaryDirectory() as name:
                Path(name, "a", "b").mkdir(parents=True)
                Path(name, "a", "b", "c").write_text("x")
                os.rename(f"{name}/a/b/c", f"{name}/a/c")
                kept = shutil.copy(f"{name}/a/c", tempfile.mkdtemp())
            Path.home().joinpath("settings").write_text("own home")
            with open(os.devnull, "w") as null:
                null.write("x")
            return Pipeline(Path(kept).read_text(), str(Path(name).exists()))
        """
    )
    assert told == ["x", "False"]


def test_tmp_is_private_and_empty(namespaces: Lab) -> None:
    shared = Path("/tmp") / f"shared-{os.getpid()}"
    shared.write_text(SECRET)
    try:
        read, written = namespaces.inside(
            f"open({str(shared)!r}).read()", "Path('/tmp/made-inside').write_text('x')"
        )
    finally:
        shared.unlink()
    assert "FileNotFoundError" in read
    assert written == "1"
    assert not Path("/tmp/made-inside").exists()


def test_other_programs_reach_no_host(closed: Lab) -> None:
    """As `curl` would: a program without this Python's audit hook."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        (told,) = closed.inside(f"shell(sys.executable + {f' -c {json.dumps(code)}'!r})")
        assert "Error" in told
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_there_is_no_way_back(namespaces: Lab) -> None:
    """No privilege is left to undo the mounts, and none comes with a namespace in the namespace."""
    marks, remounted, nested = namespaces.inside(
        "[line for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))]",
        f"shell('mount -o remount,rw,bind / && echo x > {namespaces.root}/x')",
        f"shell('unshare -Urm sh -c \"mount -o remount,rw,bind /; echo x > {namespaces.root}/x\"')",
    )
    assert "CapEff:\\t0000000000000000" in marks
    assert "NoNewPrivs:\\t1" in marks
    assert not (namespaces.root / "x").exists()
    assert remounted
    assert nested


def test_the_token_of_a_checkout_is_taken_out(namespaces: Lab) -> None:
    """`actions/checkout` leaves it in .git/config; git itself still works."""
    subprocess.run(["git", "init", "-q", namespaces.root], check=True)
    for key, value in (
        ("http.https://github.com/.extraheader", f"AUTHORIZATION: basic {SECRET}"),
        ("remote.origin.url", f"https://user:{SECRET}@github.com/acme/ml"),
        ("user.email", "me@example.com"),
    ):
        subprocess.run(["git", "-C", namespaces.root, "config", key, value], check=True)
    config = namespaces.root / ".git" / "config"
    read, status = namespaces.inside(
        f"open({str(config)!r}).read()",
        f"shell('git -C {namespaces.root} config user.email; cat {config}')",
    )
    assert SECRET not in read + status
    assert "me@example.com" in status.splitlines()
    assert SECRET in config.read_text()


def test_a_python_behind_links_in_home_works(namespaces: Lab) -> None:
    """As uv and pyenv lay them out: an environment whose interpreter is a link to a link."""
    environment = namespaces.root / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    alias = namespaces.home / "pythons" / "current"
    alias.parent.mkdir()
    alias.symlink_to(Path(sys.base_prefix))
    python = environment / "bin" / "python"
    python.unlink()
    python.symlink_to(alias / "bin" / Path(os.path.realpath(sys.executable)).name)
    steps = namespaces.steps(
        "import ssl, sqlite3\ndef get_pipeline():\n    return Pipeline(sys.prefix, shell("
        "sys.executable + ' -c \"import json; print(7)\"'))",
        python=str(python),
    )
    assert steps == [str(environment), "7\n"]


def test_byte_code_of_packages_is_still_kept(lab: Lab, tmp_path: Path) -> None:
    """Or every compile would pay for it again; and what is written comes from the package."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    (packages / "some_package.py").write_text("VALUE = 1\n")
    lab.steps(
        "import some_package, time\ndef get_pipeline():\n"
        "    time.sleep(0.5)\n    return Pipeline()",
        python=str(folder / "bin" / "python"),
    )
    assert list(packages.glob("__pycache__/some_package.*.pyc"))
    assert not list(lab.root.rglob("*.pyc"))


def test_the_level_can_be_asked_for() -> None:
    found = isolation_level(os.environ)
    assert found.level in IsolationLevel
    assert found.told
    assert isolation_level(os.environ, levels=("audit",)).level is IsolationLevel.AUDIT
    assert [level.value for level in IsolationLevel] == list(LEVELS)


def test_without_namespaces_the_next_best_is_taken_and_the_reason_told() -> None:
    """As on hosted runners, where unprivileged user namespaces are not allowed."""
    code = (
        "import os; from ci.compile.isolation import isolation_level as ask;"
        "found = ask(os.environ); print(found.level); print(found.told)"
    )
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", forbid, "sh", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if "Operation not permitted" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(done.stderr)
    level, told = done.stdout.splitlines()
    assert level in ("landlock", "audit")
    assert "; no namespaces: [Errno 28] unshare: No space left on device" in told
