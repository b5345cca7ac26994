"""The README's tables are the code's own: commands and exit codes. Links between pages lead on."""

import re
from pathlib import Path

import pytest

from ci.cli.commands import COMMANDS
from ci.errors import ExitCode

README = Path(__file__).resolve().parents[2] / "README.md"
CODES = {
    ExitCode.OK: "done, and what was wanted is true",
    ExitCode.FAILED: "the execution or a gate failed",
    ExitCode.USAGE: "bad usage, project file or definition",
    ExitCode.BUG: "a bug in this program",
    ExitCode.RUNNING: "deadline reached, still running: attach to go on",
    ExitCode.APPROVAL: "approval pending or rejected where it was required",
    ExitCode.UNAVAILABLE: "AWS or the forge refused or was unavailable",
    ExitCode.INTERRUPTED: "interrupted",
}


def tables() -> dict[str, list[str]]:
    commands = [f"| `{name}` | {summary} |" for name, summary in COMMANDS.items()]
    codes = [f"| {code.value} | {CODES[code]} |" for code in ExitCode]
    return {
        "commands": ["| command | what it does |", "|---|---|", *commands],
        "codes": ["| code | meaning |", "|---|---|", *codes],
    }


def test_the_tables_are_the_codes_own(request: pytest.FixtureRequest) -> None:
    text = README.read_text(encoding="utf-8")
    expected = text
    for name, rows in tables().items():
        block = "\n".join((f"<!-- {name} -->", *rows, f"<!-- /{name} -->"))
        expected = re.sub(
            rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _, b=block: b, expected, flags=re.DOTALL
        )
    if request.config.getoption("--update-golden"):
        README.write_text(expected, encoding="utf-8")
    assert text == expected or request.config.getoption("--update-golden")


def test_every_link_leads_somewhere() -> None:
    root = README.parent
    for page in [*root.glob("*.md"), *(root / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^):\s]+)\)", page.read_text(encoding="utf-8")):
            file, _, anchor = target.partition("#")
            other = page.parent / file if file else page
            assert other.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(other), f"{page.name}: {target}"


def test_every_page_that_code_names_is_there() -> None:
    root = README.parent
    for file in [*(root / "ci").rglob("*.py"), root / "ci" / "project" / "schema.json"]:
        for page in re.findall(r"\bdocs/[\w-]+\.md\b", file.read_text(encoding="utf-8")):
            assert (root / page).exists(), f"{file.name}: {page}"


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page, those within code apart."""
    text = re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text(encoding="utf-8"))
    titles = re.findall(r"(?m)^#+ +(.+?) *$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
