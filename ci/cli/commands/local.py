"""`local`: the endpoint that answers in place of AWS on this machine."""

import argparse
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from ci.cli.shell import Shell
from ci.errors import ExitCode, LocalError, UsageError

_HOME = Path(".sagemaker-gitops") / "local"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=list(_ACTIONS),
        help="up starts it, or says where it runs; env prints the variables that bring AWS tools"
        " there; down ends it and keeps its state; status says whether it runs; reset ends it and"
        " deletes all that it kept",
    )
    parser.add_argument("--port", type=_port, help="default: the port of last time, else any")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        type=_image,
        metavar="PATTERN=FOLDER",
        help="the Python environment that stands for an image, over the project file's; "
        "may be given again",
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return _ACTIONS[arguments.action](arguments, shell)


def local_home(shell: Shell) -> Path:
    """The folder of the local endpoint's state, beside the project file."""
    return shell.find_project().parent / _HOME


def _port(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) < 6 else 0
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return number


def _image(text: str) -> tuple[str, Path]:
    pattern, equals, folder = text.partition("=")
    if not (pattern and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is no mapping; write PATTERN=FOLDER")
    return pattern, Path(folder)


def _up(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.local.lifecycle import up
    from ci.session.session import LOCAL_REGION

    project = shell.load_project()
    given = [(pattern, _environment(shell.cwd / folder)) for pattern, folder in arguments.image]
    endpoint = up(
        project.root / _HOME,
        port=arguments.port,
        images=(*given, *project.local.images),
        region=project.region or LOCAL_REGION,
        environ=shell.environ,
    )
    shell.show(
        f"the local endpoint {'is up' if endpoint.started else 'was up'}: {endpoint.address}"
    )
    shell.show('AWS tools of this shell go there with:  eval "$(sagemaker-gitops local env)"')
    shell.emit(
        {
            "address": endpoint.address,
            "pid": endpoint.pid,
            "home": str(endpoint.home),
            "region": endpoint.region,
            "started": endpoint.started,
        }
    )
    return ExitCode.OK


def _environment(folder: Path) -> Path:
    if not (folder / "bin" / "python").exists():
        raise UsageError(
            "the folder of an image is no Python environment",
            where=f"--image {folder}",
            why="it holds no bin/python",
            fix=f"python3 -m venv {shlex.quote(str(folder))}",
        )
    return folder


def _env(_: argparse.Namespace, shell: Shell) -> int:
    """What points AWS tools at the endpoint, as lines that a shell can read."""
    from ci.local.lifecycle import status
    from ci.session.session import client_environment

    endpoint = status(local_home(shell)).endpoint
    if endpoint is None:
        raise LocalError("no local endpoint is running", fix="sagemaker-gitops local up")
    variables = client_environment(endpoint.address, endpoint.region)
    if not shell.json:
        # As they are, for a shell: the secret key of the endpoint is nobody's secret.
        shell.stdout.writelines(f"export {n}={shlex.quote(v)}\n" for n, v in variables.items())
    shell.emit(variables)
    return ExitCode.OK


def _down(_: argparse.Namespace, shell: Shell) -> int:
    from ci.local.lifecycle import down

    stopped = down(local_home(shell))
    shell.show("the local endpoint is down" if stopped else "no local endpoint was running")
    shell.emit({"stopped": stopped})
    return ExitCode.OK


def _status(_: argparse.Namespace, shell: Shell) -> int:
    from ci.local.lifecycle import status
    from ci.session.session import client_environment

    found = status(local_home(shell))
    endpoint = found.endpoint
    if endpoint is None:
        shell.show("no local endpoint is running")
    else:
        word = "ready" if found.ready else "starting"
        shell.show(f"the local endpoint is {word}: {endpoint.address} (process {endpoint.pid})")
    shell.emit(
        {
            "home": str(found.home),
            "running": endpoint is not None,
            "ready": found.ready,
            "address": endpoint.address if endpoint else None,
            "environment": client_environment(endpoint.address, endpoint.region)
            if endpoint
            else None,
            "pid": endpoint.pid if endpoint else None,
        }
    )
    return ExitCode.OK


def _reset(_: argparse.Namespace, shell: Shell) -> int:
    from ci.local.lifecycle import reset

    home = local_home(shell)
    reset(home)
    shell.show(f"everything the local endpoint kept is gone: {home}")
    shell.emit({"home": str(home), "reset": True})
    return ExitCode.OK


_ACTIONS: Mapping[str, Callable[[argparse.Namespace, Shell], int]] = {
    "up": _up,
    "env": _env,
    "down": _down,
    "status": _status,
    "reset": _reset,
}
