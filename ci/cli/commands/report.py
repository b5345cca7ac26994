"""`report`: show an execution's report again, by ARN, commit or pull request, or from its JSON."""

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ci.cli.options import add_place_options
from ci.cli.shell import Shell
from ci.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from ci.report.model import Report
    from ci.text.redact import Redactor

FORMATS = ("terminal", "markdown", "html", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "execution",
        nargs="?",
        metavar="ARN|PIPELINE|FILE.json",
        help="an execution, or a report that was written; default: the project's only pipeline",
    )
    parser.add_argument("--commit", help="of this commit (7 digits are enough); default: HEAD")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="default: terminal")
    parser.add_argument("--out", metavar="FILE", help="write it there and show nothing")
    add_place_options(parser)
    parser.set_defaults(deadline=None)


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from ci.report.document import report_to_json
    from ci.session.writing import write_whole

    named = arguments.execution or ""
    held = named.endswith(".json") and not named.startswith("arn:")
    report, redactor = _held(shell, named) if held else _looked_up(arguments, shell)
    text = _rendered(report, arguments.format, shell, redactor)
    if arguments.out:
        write_whole(shell.cwd / arguments.out, text, what="the report")
    else:
        shell.show(text.rstrip("\n"))
    shell.emit({"reports": [report_to_json(report, redactor=redactor)]})
    return int(ExitCode.OK)


def _held(shell: Shell, named: str) -> "tuple[Report, Redactor]":
    """The report that a JSON file holds: of `--report`, or what `--json` printed."""
    import jsonschema

    from ci.report.document import load_schema
    from ci.report.reading import report_from_json
    from ci.text.redact import Redactor

    file = shell.cwd / named
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        reports = document.get("reports") if isinstance(document, dict) else None
        found = reports[0] if isinstance(reports, list) and reports else document
        jsonschema.Draft202012Validator(load_schema()).validate(found)
        return report_from_json(found), Redactor(shell.hidden)
    except OSError as error:
        raise UsageError(
            f"the report cannot be read: {error.strerror}",
            where=named,
            fix="Name what --report wrote (.sagemaker-gitops/reports/ENVIRONMENT-PIPELINE.json), or"
            "\nan execution: report ARN | PIPELINE",
        ) from error
    except jsonschema.ValidationError as error:
        why = f"{error.json_path}: {error.message[:200]}"
        raise UsageError("the file holds no report of this program", where=named, why=why) from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            "the file holds no report of this program", where=named, why=str(error)[:200]
        ) from error


def _looked_up(arguments: argparse.Namespace, shell: Shell) -> "tuple[Report, Redactor]":
    import time
    from datetime import UTC, datetime

    from ci.cli.picking import settle_execution
    from ci.delivery.looking import look_back
    from ci.text.redact import Redactor

    # What is said on the way is no part of the report.
    session, arn, job = settle_execution(arguments, replace(shell, stdout=shell.stderr))
    report = look_back(
        session,
        arn,
        job,
        clock=time.monotonic,
        sleep=shell.sleep,
        now=lambda: datetime.fromtimestamp(shell.clock(), UTC),
    )
    masked = session.project.report.mask_accounts
    return report, Redactor(shell.hidden, mask_accounts=masked)


def _rendered(report: "Report", form: str, shell: Shell, redactor: "Redactor") -> str:
    from ci.report.document import report_to_json
    from ci.report.html import render_html
    from ci.report.markdown import render_comment
    from ci.report.terminal import render_terminal

    match form:
        case "markdown":
            return render_comment(report, redactor=redactor)
        case "html":
            return render_html(report, redactor=redactor)
        case "json":
            document = report_to_json(report, redactor=redactor)
            return json.dumps(document, indent=2, ensure_ascii=False)
        case _:
            return render_terminal(
                report, width=shell.columns, color=shell.color, redactor=redactor
            )
