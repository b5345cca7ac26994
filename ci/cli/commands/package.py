"""`package`: the zip for a Lambda function that CodePipeline invokes."""

import argparse
from pathlib import Path

from ci.cli.shell import Shell
from ci.door.packaging import DIRECT_LIMIT, HANDLER, RUNTIMES, Architecture, make_package
from ci.errors import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", required=True, metavar="FILE", help="the zip to write")
    parser.add_argument(
        "--runtime", choices=RUNTIMES, default="python3.13", help="default: python3.13"
    )
    parser.add_argument(
        "--architecture", choices=list(Architecture), default="x86_64", help="default: x86_64"
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.local.emulator import find_uv

    made = make_package(
        shell.cwd / Path(arguments.out),
        uv=find_uv(shell.environ),
        runtime=arguments.runtime,
        architecture=Architecture(arguments.architecture),
        environ=shell.environ,
        tell=shell.warn,
    )
    shell.show(f"{made.file}: {_mib(made.size)}, {_mib(made.unpacked)} unpacked (of 250 MiB)")
    shell.show(f"  handler:      {HANDLER}")
    shell.show(f"  runtime:      {arguments.runtime}, {arguments.architecture}")
    shell.show(f"  CodeSha256:   {made.code_sha256}")
    if made.size > DIRECT_LIMIT:
        shell.show("  It is too large for a request: upload it to S3, and name it from there.")
    shell.emit(
        {
            "file": str(made.file),
            "handler": HANDLER,
            "runtime": arguments.runtime,
            "architecture": arguments.architecture,
            "size": made.size,
            "unpacked": made.unpacked,
            "files": made.files,
            "code_sha256": made.code_sha256,
        }
    )
    return int(ExitCode.OK)


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
