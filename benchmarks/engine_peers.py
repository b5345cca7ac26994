"""What else one could pick, on the same chain and fan-out: seconds of its first run.

Each is installed from its hash-locked file in benchmarks/peers/ into a scratch environment. The
way of working is the tool's own: a file it reads, and its ordinary command.
"""

import itertools
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

LOCKS = Path(__file__).parent / "peers"
_Graph = Mapping[str, tuple[str, ...]]


def measure_peers(home: Path, *, python: Path) -> list[tuple[str, float]]:
    """Name of tool and graph, and seconds."""
    found = []
    for tool, prepare in _TOOLS.items():
        environment = _install(tool, home, python)
        for name, graph in _graphs().items():
            folder = home / tool / name
            folder.mkdir(parents=True)
            command = prepare(folder, graph, str(python))
            found.append((f"{name}: {tool}", _seconds(command, folder, environment)))
    return found


def _graphs() -> dict[str, _Graph]:
    chain = {f"s{n}": (f"s{n - 1}",) if n else () for n in range(20)}
    wide: dict[str, tuple[str, ...]] = {f"s{n}": () for n in range(50)}
    return {
        "chain of 20": chain,
        "fan-out of 50 and a join, 2 at a time": {**wide, "join": tuple(wide)},
    }


def _install(tool: str, home: Path, python: Path) -> Path:
    environment = home / f"{tool}-env"
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
    return environment


def _seconds(command: list[str], folder: Path, environment: Path) -> float:
    environ = {
        **os.environ,
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "USERNAME": "bench",
        "DVC_NO_ANALYTICS": "1",
    }
    begun = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return time.perf_counter() - begun


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


_TOOLS: Mapping[str, Callable[[Path, _Graph, str], list[str]]] = {
    "doit": _doit,
    "kfp": _kfp,
    "snakemake": _snakemake,
    "dvc": _dvc,
    "metaflow": _metaflow,
}
