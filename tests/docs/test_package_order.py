"""Packages know those before them: the order that docs/architecture.md states is the code's."""

import ast
import re
from collections.abc import Container, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
# The child runs alone, under another Python.
APART = "sagemaker_gitops_child"


def stated_order() -> list[str]:
    found = re.search(r"```order\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1].split()


def imports(text: str) -> Iterator[str]:
    """The modules of `ci` that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ci."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ci":
            module = str(node.module)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def place(module: str, order: list[str]) -> int | None:
    """Where a module stands: by its own name, else by its package's; None for `ci` itself."""
    parts = module.split(".")[1:]
    for name in (".".join(parts[:2]), parts[0]):
        if name in order:
            return order.index(name)
    return None


def offences(order: list[str], module: str, text: str) -> list[str]:
    own = place(module, order)
    found = {name: place(name, order) for name in imports(text)}
    return [
        f"{module} imports {name}"
        for name, other in found.items()
        if own is not None and other is not None and other > own
    ]


def modules() -> list[tuple[str, Path]]:
    files = [file for file in (ROOT / "ci").rglob("*.py") if APART not in file.parts]
    return [(".".join(file.relative_to(ROOT).with_suffix("").parts), file) for file in files]


def test_no_module_knows_a_later_package() -> None:
    order = stated_order()
    found = [each for name, file in modules() for each in offences(order, name, file.read_text())]
    assert found == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not even late, within a function."""
    texts = {name.removesuffix(".__init__"): file.read_text() for name, file in modules()}
    assert circle({name: uses(text, texts) for name, text in texts.items()}) == []
    looped = {"ci.a.x": "def f(): from ci.b import y", "ci.b.y": "import ci.a.x"}
    found = circle({name: uses(text, looped) for name, text in looped.items()})
    assert set(found) == set(looped)


def uses(text: str, known: Container[str]) -> set[str]:
    named = {each if each in known else each.rpartition(".")[0] for each in imports(text)}
    return {name for name in named if name in known}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_package_has_its_place() -> None:
    order = stated_order()
    packages = {name.split(".")[1] for name, file in modules() if file.parent.name != "ci"}
    single = {file.stem for _, file in modules() if file.parent.name == "ci"} - {"__init__"}
    assert packages - set(order) == set()
    assert single - set(order) == {"__main__"}
    for name in order:
        assert (ROOT / "ci" / f"{name.replace('.', '/')}.py").is_file() or name in packages, name


@pytest.mark.parametrize(
    ("module", "text", "found"),
    [
        ("ci.a.x", "from ci.b.y import z", ["ci.a.x imports ci.b.y.z"]),
        ("ci.a.x", "def f():\n    import ci.b.y", ["ci.a.x imports ci.b.y"]),
        ("ci.a.x", "from ci import b", ["ci.a.x imports ci.b"]),
        ("ci.a.x", "from ci.b.model import Z", []),
        ("ci.b.model", "from ci.a.x import y", ["ci.b.model imports ci.a.x.y"]),
        ("ci.b.y", "from ci.a.x import z\nfrom ci import __version__", []),
    ],
)
def test_the_rule_itself(module: str, text: str, found: list[str]) -> None:
    assert offences(["b.model", "a", "b"], module, text) == found
