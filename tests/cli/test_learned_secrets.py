"""What a command learns while it runs: tokens and accounts to hide, and that its time is up."""

import io
import math
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ci.cli.main import main
from ci.cli.outcome import tell_error
from ci.cli.shell import Shell
from ci.errors import ForgeError

TOKEN = "glpat-in-no-pattern 1234"


def shell(out: io.StringIO) -> Shell:
    return Shell(
        environ={},
        cwd=Path(),
        stdout=out,
        stderr=out,
        clock=lambda: 0.0,
        sleep=lambda _: None,
        json=True,
        secrets=("known-before",),
    )


def test_what_was_learned_is_shown_nowhere() -> None:
    out = io.StringIO()
    before = shell(out)
    later = replace(before, project_file=Path("x"))
    later.learn(TOKEN)
    for each in (before, later):
        each.say(f"it says {TOKEN}")
        each.warn(f"it warns {TOKEN}")
        each.emit({TOKEN: [TOKEN, "known-before"]})
    assert TOKEN not in out.getvalue()
    assert "known-before" not in out.getvalue()
    assert TOKEN not in repr(later)
    assert later.hidden == ("known-before", TOKEN)


@pytest.mark.parametrize(
    ("argv", "environ"),
    [
        (["--parameter", "StoreToken=hunter2=more", "--parameter=StoreToken=x"], {}),
        ([], {"SAGEMAKER_GITOPS_PARAMETERS": "Rate=1\nStoreToken=hunter2=more\n"}),
    ],
)
def test_a_parameter_is_as_secret_as_its_name(
    tmp_path: Path, argv: list[str], environ: dict[str, str]
) -> None:
    out = io.StringIO()
    named = ["--project-file", "under-hunter2=more/x.yaml"]
    assert main(["plan", *argv, *named], environ, stdout=out, stderr=out, cwd=tmp_path) == 2
    assert "under-[redacted]" in out.getvalue()
    assert "hunter2" not in out.getvalue()


def test_learning_nothing_or_twice_changes_nothing() -> None:
    one = shell(io.StringIO())
    for value in ("", TOKEN, TOKEN):
        one.learn(value)
    assert one.hidden == ("known-before", TOKEN)


def test_accounts_are_hidden_from_people_and_told_to_programs() -> None:
    out = io.StringIO()
    one = shell(out)
    one.say("Found arn:aws:sagemaker:us-east-1:123456789012:x")
    one.mask_accounts()
    one.say("Found arn:aws:sagemaker:us-east-1:123456789012:x")
    one.emit({"arn": "arn:aws:sagemaker:us-east-1:123456789012:x"})
    assert out.getvalue().count("123456789012") == 2
    assert "us-east-1:xxxxxxxxxxxx:x" in out.getvalue()


def test_waits_have_seconds_left_once_the_job_is_ending() -> None:
    waited: list[float] = []
    one = replace(shell(io.StringIO()), sleep=waited.append, clock=lambda: sum(waited))
    one.pause(60)
    assert sum(waited) == 60
    assert one.left() == math.inf
    one.hurry()
    one.pause(4)
    one.hurry()
    one.pause(1)
    assert one.left() == 1
    with pytest.raises(ForgeError, match="asks to wait 2 seconds"):
        one.pause(2)
    assert sum(waited) == 65


def test_a_wait_that_has_begun_ends_with_the_job() -> None:
    one = replace(shell(io.StringIO()), sleep=time.sleep)
    ended: list[ForgeError] = []

    def wait() -> None:
        try:
            one.pause(60)
        except ForgeError as error:
            ended.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    time.sleep(0.1)
    one.hurry()
    thread.join(10)
    assert [error.why for error in ended] == ["this job is ending"]


def test_what_others_say_of_an_error_acts_on_no_terminal() -> None:
    out = io.StringIO()
    error = ForgeError("refused", why="\x1b[2J\u202egnissim si elor\u202c", fix="a\nb")
    assert tell_error(error, replace(shell(out), json=False)) == 6
    told = out.getvalue()
    assert "gnissim si elor" in told
    assert not {"\x1b", "\u202e", "\u202c"} & set(told)
    assert len(told.splitlines()) > 3
