"""The README's tables are the code's own: commands and exit codes."""

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
    for page in [README, *sorted((root / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
