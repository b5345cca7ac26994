"""A token that is read while a command runs is hidden from then on."""

import io
from dataclasses import replace
from pathlib import Path

from ci.cli.shell import Shell

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


def test_learning_nothing_or_twice_changes_nothing() -> None:
    one = shell(io.StringIO())
    for value in ("", TOKEN, TOKEN):
        one.learn(value)
    assert one.hidden == ("known-before", TOKEN)
