"""The reference of the command line is made from the parsers themselves."""

import argparse
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.cli.arguments import Parser, add_global_options, load_command, parse_arguments
from ci.cli.commands import COMMANDS
from ci.cli.examples import CODES, EXAMPLES, epilog
from ci.cli.settings import SETTINGS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
HEAD = """\
# Commands

Made from the command line itself. Every command also takes `--json` (one JSON document on standard
output, also for errors) and `--project-file FILE` (default: the nearest `sagemaker-gitops.yaml`
upwards from here), before its name or after it. With `--json` what came of a command stands in the
document alone; standard error has what is done on the way, warnings and errors. The exit codes
stand in the [README](../README.md#commands), what to do about each in
[troubleshooting](troubleshooting.md).

An option that names a variable takes it as its default, where the variable is set: that is how the
action and the buildspec hand on their inputs.
"""


def reference() -> str:
    return "\n".join([HEAD, *(line for name in COMMANDS for line in section(name))]) + "\n"


def section(name: str) -> Iterator[str]:
    parser = Parser(output=io.StringIO())
    load_command(name).add_arguments(parser)
    summary = COMMANDS[name]
    yield f"## `{name}`\n"
    yield f"{summary[:1].upper()}{summary[1:]}.\n"
    yield from ("| argument | variable | means |", "|---|---|---|")
    yield from (row(action) for action in parser._actions if action.dest != "help")
    yield f"\n```\n{epilog(name)}\n```\n"


def row(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    told = [action.help or ""]
    if action.choices:
        told.append("one of " + ", ".join(f"`{choice}`" for choice in action.choices))
    default = action.default
    if default not in (None, "", False, [], argparse.SUPPRESS) and "default" not in told[0]:
        told.append(f"default: `{default}`")
    variables = {each.option: each.variable for each in SETTINGS if each.option}
    found = [f"`{variables[each]}`" for each in action.option_strings if each in variables]
    cells = (f"`{names}{placeholder(action)}`", "".join(found), "; ".join(told))
    return "| " + " | ".join(cell.replace("%%", "%").replace("|", r"\|") for cell in cells) + " |"


def placeholder(action: argparse.Action) -> str:
    if not action.option_strings or action.nargs == 0:
        return ""
    return " " + str(action.metavar or action.dest.upper())


def test_the_page_is_the_command_lines_own(request: pytest.FixtureRequest) -> None:
    expected = reference()
    if request.config.getoption("--update-golden"):
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_told(name: str) -> None:
    parser = Parser(output=io.StringIO())
    load_command(name).add_arguments(parser)
    silent = [action.dest for action in parser._actions if not action.help]
    assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_one_that_the_command_takes(name: str) -> None:
    assert CODES.keys() <= COMMANDS.keys()
    for words in EXAMPLES[name]:
        assert len(f"  sagemaker-gitops {name} {words}") <= 80
        command, _ = parse_arguments([name, *shlex.split(words)], {}, io.StringIO())
        assert command is load_command(name)


@pytest.mark.parametrize("page", ["README.md", *(p.name for p in PAGE.parent.glob("*.md"))])
def test_the_docs_name_no_command_or_option_that_is_not_there(page: str) -> None:
    root = PAGE.parents[1]
    text = (root / page if page == "README.md" else PAGE.parent / page).read_text(encoding="utf-8")
    for name, rest in re.findall(r"sagemaker-gitops ([a-z]+)((?: +[^\s`|]+)*)", text):
        if name not in COMMANDS:
            continue
        parser = Parser(output=io.StringIO())
        add_global_options(parser)
        load_command(name).add_arguments(parser)
        known = {option for action in parser._actions for option in action.option_strings}
        for option in re.findall(r"(?<!\S)--[a-z-]+", rest):
            assert option in known, f"{page}: {name} {option}"
