"""What of a failure reason is told on one line."""

import pytest

from ci.execution.reason import short_reason

FRAME = '  File "train.py", line 8, in <module>\n    column(frame)\n'
TRACE = f"Traceback (most recent call last):\n{FRAME}KeyError: 'rings'"


def script_error(said: str) -> str:
    return (
        f'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "{said}"\n'
        'Command "/usr/bin/python3 train.py --alpha 1", exit code: 1'
    )


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("See job logs", "See job logs"),
        ("two\nlines", "two\nlines"),
        (f"AlgorithmError: {TRACE}, exit", "AlgorithmError: KeyError: 'rings', exit"),
        (
            f"AlgorithmError: {TRACE}\n\nDuring handling of it:\n\n{TRACE[:-17]}\nOSError: no disk",
            "AlgorithmError: OSError: no disk",
        ),
        (f"{TRACE.splitlines()[0]}\n{FRAME}", f"{TRACE.splitlines()[0]}\n{FRAME}"),
        (script_error("KeyError: 'rings'\n"), "AlgorithmError: KeyError: 'rings', exit code: 1"),
        (script_error(f"alpha=1\n{TRACE}\n"), "AlgorithmError: KeyError: 'rings', exit code: 1"),
        (script_error(""), "AlgorithmError: ExitCode 1, exit code: 1"),
    ],
)  # fmt: skip
def test_what_was_raised_and_not_where(reason: str, told: str) -> None:
    assert short_reason(reason) == told
