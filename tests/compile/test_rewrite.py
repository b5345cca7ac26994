"""Uploads rewritten to content-addressed keys, wherever their URI stands."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.compile.rewrite import Rewritten, folder_hash, rewrite

B = "s3://bucket"
A, C = "a" * 64, "c" * 64


def run(
    document: object, uploads: dict[str, str] | None = None, folders: tuple[str, ...] = ()
) -> Rewritten:
    uploads = {f"{B}/job/code.py": A} if uploads is None else uploads
    return rewrite(document, uploads=uploads, folders=folders, bucket="bucket", prefix="p")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{B}/job/code.py", f"{B}/p/{A}/code.py"),
        (f'"{B}/job/code.py"', f'"{B}/p/{A}/code.py"'),
        (f"x={B}/job/code.py y", f"x={B}/p/{A}/code.py y"),
        (f"{B}/job/code.py,{B}/job/code.py", f"{B}/p/{A}/code.py,{B}/p/{A}/code.py"),
        (f"copy {B}/job/code.py.", f"copy {B}/p/{A}/code.py."),
        (f"{B}/job/code.pyc", f"{B}/job/code.pyc"),
        (f"{B}/job/code.py.bak", f"{B}/job/code.py.bak"),
        (f"{B}/job/code.py-2", f"{B}/job/code.py-2"),
        (f"{B}/job/code.py/x", f"{B}/job/code.py/x"),
        (f"{B}2/job/code.py", f"{B}2/job/code.py"),
        ("s3://", "s3://"),
        ("s3://s3://bucket/job/code.py", f"s3://{B}/p/{A}/code.py"),
        ("", ""),
    ],
)
def test_a_uri_in_a_text(text: str, expected: str) -> None:
    assert run([text]).document == [expected]


def test_keys_of_an_object_are_rewritten_too() -> None:
    assert run({f"{B}/job/code.py": 1}).document == {f"{B}/p/{A}/code.py": 1}


def test_json_in_json_in_a_text() -> None:
    uploads = {f"{B}/é/ö.py": A}
    inner = json.dumps({"uri": f"{B}/é/ö.py"})
    text = run([inner], uploads).document[0]  # type: ignore[index]
    assert json.loads(text) == {"uri": f"{B}/p/{A}/ö.py"}


@pytest.mark.parametrize(
    ("on", "values", "expected"),
    [
        ("/", ["s3:/", "bucket", "job", "code.py"], [f"{B}/p/{A}/code.py"]),
        ("", [B, "/job/", "code.py"], [f"{B}/p/{A}/code.py"]),
        (" ", ["see", f"{B}/job/code.py", {"Get": "x"}], [f"see {B}/p/{A}/code.py", {"Get": "x"}]),
        ("/", [{"Get": "x"}, "job", "code.py"], [{"Get": "x"}, "job", "code.py"]),
        ("/", [B, "out", {"Get": "x"}, "y"], [B, "out", {"Get": "x"}, "y"]),
        ("/", [B, "job", {"Get": "x"}, "code.py"], [B, "job", {"Get": "x"}, "code.py"]),
        ("", [None, 1, True], [None, 1, True]),
    ],
)
def test_joins(on: str, values: list[object], expected: list[object]) -> None:
    join = {"Std:Join": {"On": on, "Values": values}}
    assert run([join]).document == [{"Std:Join": {"On": on, "Values": expected}}]


def test_declared_folders_travel_whole_and_their_files_point_into_them() -> None:
    uploads = {f"{B}/f/a.py": A, f"{B}/f/sub/c.py": C, f"{B}/other/a.py": A}
    base = f"p/{folder_hash({'a.py': A, 'sub/c.py': C})}"
    result = run([f"{B}/f", f"{B}/f/", f"{B}/f/sub/c.py", f"{B}/f2"], uploads, (f"{B}/f",))
    assert result.document == [f"{B}/{base}", f"{B}/{base}/", f"{B}/{base}/sub/c.py", f"{B}/f2"]
    assert [(place.uri, place.key) for place in result.placements] == [
        (f"{B}/f/a.py", f"{base}/a.py"),
        (f"{B}/f/sub/c.py", f"{base}/sub/c.py"),
    ]
    assert result.unnamed == (f"{B}/other/a.py",)


def test_what_is_no_source_never_travels() -> None:
    uploads = {f"{B}/f/a.py": A, f"{B}/f/__pycache__/a.cpython-311.pyc": C, f"{B}/x.pyc": C}
    uploads |= {f"{B}/f/.git/HEAD": C, f"{B}/f/.sagemaker-gitops/reports/main/p.md": C}
    result = run([f"{B}/f"], uploads, (f"{B}/f",))
    assert result.document == [f"{B}/p/{folder_hash({'a.py': A})}"]
    assert result.unnamed == ()


def test_folders_filled_file_by_file_are_recognised_where_they_are_read() -> None:
    uploads = {f"{B}/job/code/a.sh": A, f"{B}/job/code/b.tar.gz": C}
    read = {"S3Input": {"S3Uri": f"{B}/job/code/"}}
    base = f"p/{folder_hash({'a.sh': A, 'b.tar.gz': C})}"
    assert run(read, uploads).document == {"S3Input": {"S3Uri": f"{B}/{base}/"}}


@pytest.mark.parametrize(
    "document",
    [
        {"OutputDataConfig": {"S3OutputPath": f"{B}/job"}},
        {"S3Output": {"S3Uri": f"{B}/job"}},
        {"S3Uri": f"{B}/"},
        {"S3Uri": B},
        {"S3Uri": f"{B}/jo"},
    ],
)
def test_places_that_are_written_or_lie_above_stay(document: object) -> None:
    assert run(document).document == document


def test_a_data_folder_above_the_code_stays() -> None:
    uploads = {f"{B}/abalone/code/{A}/prepare.py": A}
    document = {"S3Input": {"S3Uri": f"{B}/abalone"}}
    assert run(document, uploads).document == document


def test_equal_content_of_two_names_is_kept_twice() -> None:
    result = run([f"{B}/1/a.py", f"{B}/2/b.py"], {f"{B}/1/a.py": A, f"{B}/2/b.py": A})
    assert result.document == [f"{B}/p/{A}/a.py", f"{B}/p/{A}/b.py"]
    assert len(result.placements) == 2


def test_folder_hash_tells_names_and_contents_apart() -> None:
    hashes = [
        folder_hash(files)
        for files in ({}, {"a": A}, {"b": A}, {"a": C}, {"a": A, "b": A}, {"a/b": A})
    ]
    assert len(set(hashes)) == len(hashes)
    assert folder_hash({"a": A, "b": C}) == folder_hash({"b": C, "a": A})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@given(values)
def test_what_names_no_upload_is_not_touched(document: object) -> None:
    assert run(document).document == document


names = st.text("ab./-_é ", min_size=1, max_size=6).map(lambda text: text.strip("/. ") or "x")


@given(st.dictionaries(names, st.sampled_from([A, C]), min_size=1, max_size=5))
def test_every_upload_that_stands_alone_is_placed(files: dict[str, str]) -> None:
    uploads = {f"{B}/{name}": sha for name, sha in files.items()}
    result = run(sorted(uploads), uploads)
    placed = {place.uri: place.key for place in result.placements}
    assert result.document == [f"{B}/{placed[uri]}" for uri in sorted(uploads)]
    assert all(key.split("/")[1] == uploads[uri] for uri, key in placed.items())
