"""A comment on its way from a job that may not write to one that may.

A pull request from a fork runs without a token that can write. Its job leaves the comment in a
file; a `workflow_run` job, which runs the default branch's code, posts it. The file comes from
code that nobody reviewed: it is text of limited size with a marker, and nothing in it says where
it is posted. The pull request's number comes from the `workflow_run` event.
"""

from pathlib import Path

from ci.errors import ForgeError
from ci.report.marker import parse_marker

LARGEST = 4 * 65_536


def read_comment_file(file: Path, *, commit: str) -> str:
    """The comment, if it is one and is about `commit`. ForgeError says what is wrong with it."""
    try:
        with file.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
        body = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ForgeError(
            "the comment file cannot be read", where=str(file), why=str(error)
        ) from error
    if len(raw) > LARGEST:
        raise ForgeError("the comment file is too large", where=str(file))
    marker = parse_marker(body)
    if marker is None:
        raise ForgeError("the comment file holds no comment of this program", where=str(file))
    if marker.commit != commit:
        raise ForgeError(
            "the comment file is about another commit",
            where=str(file),
            why=f"{marker.commit[:40]} in the file, {commit} in the event",
        )
    return body
