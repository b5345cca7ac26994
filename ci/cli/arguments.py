"""Arguments in two passes: the global ones and the command's name, then the command's own."""

import argparse
import difflib
import json
import shlex
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import IO, Any, NoReturn, Protocol, cast

from ci import __version__
from ci.cli.commands import COMMANDS
from ci.cli.examples import epilog
from ci.cli.settings import BY_NAME, SETTINGS, settings_in
from ci.cli.shell import Shell
from ci.errors import UsageError

PROGRAM = "sagemaker-gitops"


class Command(Protocol):
    """What a module under `ci.cli.commands` has."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, arguments: argparse.Namespace, shell: Shell, /) -> int: ...


class Parser(argparse.ArgumentParser):
    """Raises UsageError in place of ending the process, and knows what it was given to parse."""

    def __init__(self, *, output: IO[str] | None = None, **settled: Any) -> None:
        self.output = output
        self.destinations: set[str] = set()
        self.options: list[str] = []
        self.choices: dict[str, tuple[str, ...]] = {}
        super().__init__(**{"allow_abbrev": False, **settled})

    def add_argument(self, *names: str, **settled: Any) -> argparse.Action:
        action = super().add_argument(*names, **settled)
        self.destinations.add(action.dest)
        self.options.extend(action.option_strings)
        if action.choices:
            self.choices[action.dest] = tuple(map(str, action.choices))
        return action

    def print_help(self, file: Any = None) -> None:
        super().print_help(file or self.output)

    def error(self, message: str) -> NoReturn:
        raise UsageError(message + self._guess(message), fix=f"{self.prog} --help")

    def _guess(self, message: str) -> str:
        _, unknown, words = message.partition("unrecognized arguments: ")
        for word in words.split() if unknown else ():
            name = word.partition("=")[0]
            close = difflib.get_close_matches(name, self.options, n=1)
            if name.startswith("--") and close:
                return f"; did you mean `{close[0]}`?"
        return ""


def parse_arguments(
    argv: Sequence[str], environ: Mapping[str, str], output: IO[str]
) -> tuple[Command | None, argparse.Namespace]:
    """The command's module and its arguments; no command where help or version was asked for.

    The environment's settings are the options' defaults. SystemExit(0) where the help was shown.
    """
    first = _first_pass(output).parse_args(argv)
    name = first.command or environ.get(BY_NAME["command"].variable, "").strip()
    if first.version:
        output.write(f"{PROGRAM} {__version__}\n")
        return None, first
    if first.help or not name:
        output.write(
            json.dumps({"commands": COMMANDS}, indent=2) + "\n" if first.json else _overview()
        )
        if first.project_file and not (first.help or name):
            raise UsageError("a command is missing", fix=f"{PROGRAM} --help")
        return None, first
    command = load_command(name)
    summary = COMMANDS[name]
    description = f"{summary[:1].upper()}{summary[1:]}."
    parser = Parser(
        output=output,
        prog=f"{PROGRAM} {name}",
        description=description,
        epilog=epilog(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_global_options(parser)
    command.add_arguments(parser)
    settled = settings_in(environ)
    _check_choices(parser, settled)
    parser.set_defaults(**{key: settled[key] for key in settled.keys() & parser.destinations})
    more = environ.get(BY_NAME["args"].variable, "") if not first.command else ""
    arguments = parser.parse_args([*first.rest, *_words(more)])
    _merge(arguments, first)
    return command, arguments


def load_command(name: str) -> Command:
    """The module of a command. UsageError names the nearest one."""
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean `{close[0]}`?" if close else ""
        raise UsageError(f"there is no command {name!r}{hint}", fix=f"{PROGRAM} --help")
    return cast(Command, import_module(f"ci.cli.commands.{name.replace('-', '_')}"))


def add_global_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="one JSON document on standard output, also for errors"
    )
    parser.add_argument(
        "--project-file",
        metavar="FILE",
        help="default: the nearest sagemaker-gitops.yaml upwards from here",
    )


def _first_pass(output: IO[str]) -> Parser:
    parser = Parser(output=output, prog=PROGRAM, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    add_global_options(parser)
    parser.add_argument("command", nargs="?")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def _check_choices(parser: Parser, settled: Mapping[str, object]) -> None:
    """argparse looks at the choices of arguments alone: a setting is held to them here."""
    for name, choices in parser.choices.items():
        value = settled.get(name)
        if value is not None and value not in choices:
            variable = next(each.variable for each in SETTINGS if each.destination == name)
            raise UsageError(
                f"{value!r} is not one of {', '.join(choices)}",
                where=variable,
                fix=f"{name.replace('_', '-')}: {choices[0]}",
            )


def _merge(arguments: argparse.Namespace, first: argparse.Namespace) -> None:
    """Global options count before the command's name as well as after it."""
    arguments.json = arguments.json or first.json
    if first.project_file is not None:
        arguments.project_file = first.project_file


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(
            f"`args` cannot be read: {error}", where=BY_NAME["args"].variable
        ) from None


def _overview() -> str:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    return (
        f"usage: {PROGRAM} [--json] [--project-file FILE] COMMAND ...\n\n"
        f"GitOps for Amazon SageMaker Pipelines.\n\ncommands:\n{listed}\n\n"
        "options:\n"
        "  --json               one JSON document on standard output, also for errors\n"
        "  --project-file FILE  default: the nearest sagemaker-gitops.yaml upwards from here\n"
        "  --version            show the version\n"
        f"  -h, --help           show this; {PROGRAM} COMMAND --help shows a command's options\n"
    )
