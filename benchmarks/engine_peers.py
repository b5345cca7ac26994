"""What else one could pick, on the same chain and fan-out: a first run, and one more.

Each is installed from its hash-locked file in benchmarks/peers/ into a scratch environment. The
way of working is the tool's own: a file it reads, and its ordinary command, started anew for each
run as its users start it.
"""

import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

LOCKS = Path(__file__).parent / "peers"
QUICK = frozenset({"doit"})
CACHING = frozenset({"doit", "snakemake", "dvc"})
_Graph = Mapping[str, tuple[str, ...]]


class Peer:
    """One tool on one graph (`chain` or `fan-out`). Every first run has a folder of its own."""

    def __init__(self, tool: str, graph: str, home: Path, python: Path) -> None:
        self.tool = tool
        self._graph = _GRAPHS[graph]
        self._home = home / tool / graph
        self._python = str(python)
        self._environment = home / f"{tool}-env"
        self._last: tuple[list[str], Path] | None = None
        if not self._environment.exists():
            _install(tool, self._environment, python)

    def prepare(self) -> None:
        """Write what the tool reads, in a fresh folder."""
        self._home.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._home))
        self._last = _TOOLS[self.tool](folder, self._graph, self._python), folder

    def run(self) -> None:
        """Run what was prepared: everything the first time, what the tool takes as stale later."""
        if self._last is None:
            raise RuntimeError("prepare comes first")
        _run(*self._last, self._environment)


_GRAPHS: Mapping[str, _Graph] = {
    "chain": {f"s{n}": (f"s{n - 1}",) if n else () for n in range(20)},
    "fan-out": {
        **{f"s{n}": () for n in range(50)},
        "join": tuple(f"s{n}" for n in range(50)),
    },
}


def _install(tool: str, environment: Path, python: Path) -> None:
    subprocess.run(["uv", "venv", "-q", "-p", str(python), str(environment)], check=True)
    subprocess.run(
        [
            "uv",
            "pip",
            "install",
            "-q",
            "--require-hashes",
            "--compile-bytecode",
            "-p",
            str(environment / "bin/python"),
            "-r",
            str(LOCKS / f"{tool}.txt"),
        ],
        check=True,
    )


def _run(command: list[str], folder: Path, environment: Path) -> None:
    environ = {
        **os.environ,
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "USERNAME": "bench",
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def _doit(folder: Path, graph: _Graph, python: str) -> list[str]:
    tasks = [
        {
            "name": n,
            "actions": [f"{python} -c pass && touch {n}"],
            "targets": [n],
            "file_dep": list(needs),
        }
        for n, needs in graph.items()
    ]
    (folder / "dodo.py").write_text(f"def task_all():\n    yield from {tasks!r}\n")
    return ["doit", "-n", "2" if "join" in graph else "0"]


def _snakemake(folder: Path, graph: _Graph, python: str) -> list[str]:
    last = list(graph)[-1]
    rules = [f"rule all:\n    input: {last!r}\n"]
    for name, needs in graph.items():
        inputs = f"    input: {', '.join(map(repr, needs))}\n" if needs else ""
        shell = f"{python} -c pass && touch {name}"
        rules.append(f"rule {name}:\n{inputs}    output: {name!r}\n    shell: {shell!r}\n")
    (folder / "Snakefile").write_text("\n".join(rules))
    return ["snakemake", "--cores", "2", "--quiet"]


def _dvc(folder: Path, graph: _Graph, python: str) -> list[str]:
    stages = {
        name: {"cmd": f"{python} -c pass && touch {name}", "deps": list(needs), "outs": [name]}
        for name, needs in graph.items()
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    return ["dvc", "repro", "-q"]


def _metaflow(folder: Path, graph: _Graph, python: str) -> list[str]:
    run = f"        subprocess.run([{python!r}, '-c', 'pass'], check=True)\n"
    head = "import subprocess\nfrom metaflow import FlowSpec, step\n\nclass Bench(FlowSpec):\n"
    wide = [name for name in graph if name != "join"] if "join" in graph else []
    body = ""
    if wide:
        nexts = ", ".join(f"self.{name}" for name in wide)
        body += f"    @step\n    def start(self):\n        self.next({nexts})\n"
        for name in wide:
            body += f"    @step\n    def {name}(self):\n{run}        self.next(self.join)\n"
        body += f"    @step\n    def join(self, inputs):\n{run}        self.next(self.end)\n"
    else:
        names = ["start", *list(graph)[1:], "end"]
        for name, following in itertools.pairwise(names):
            body += f"    @step\n    def {name}(self):\n{run}        self.next(self.{following})\n"
    body += (
        "    @step\n    def end(self):\n        pass\n\nif __name__ == '__main__':\n    Bench()\n"
    )
    (folder / "flow.py").write_text(head + body)
    return ["python", "flow.py", "--quiet", "run", "--max-workers", "2"]


def _kfp(folder: Path, graph: _Graph, python: str) -> list[str]:
    del python  # kfp's SubprocessRunner starts the interpreter it runs in
    lines = [
        "from kfp import dsl, local",
        "local.init(local.SubprocessRunner(use_venv=False))",
        "@dsl.component(install_kfp_package=False)",
        "def noop():\n    pass",
        "@dsl.pipeline",
        "def bench():",
    ]
    for name, needs in graph.items():
        after = f".after({', '.join(needs)})" if needs else ""
        lines.append(f"    {name} = noop(){after}")
    (folder / "flow.py").write_text("\n".join([*lines, "bench()", ""]))
    return ["python", "flow.py"]


TOOLS = ("doit", "kfp", "snakemake", "dvc", "metaflow")
_TOOLS: Mapping[str, Callable[[Path, _Graph, str], list[str]]] = {
    "doit": _doit,
    "kfp": _kfp,
    "snakemake": _snakemake,
    "dvc": _dvc,
    "metaflow": _metaflow,
}
