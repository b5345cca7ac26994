"""Definition files compile as they are, with no child and no SDK."""

import json
import os
from pathlib import Path

import pytest
from support.compiling import BUCKET, make_target

from ci.compile.compile import compile_pipeline
from ci.errors import CompileError, DefinitionError

DOCUMENT = {"Version": "2020-12-01", "Parameters": [], "Steps": [{"Name": "é", "Type": "Fail"}]}


def compile_text(tmp_path: Path, text: str | bytes, name: str = "pipeline.json") -> bytes:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    bundle = compile_pipeline(make_target(file), environ={}, scratch=tmp_path / "scratch")
    assert (bundle.artifacts, bundle.functions, bundle.bucket) == ({}, (), BUCKET)
    return bundle.definition


def test_json_and_yaml_of_one_document_are_one_definition(tmp_path: Path) -> None:
    yaml = "Version: '2020-12-01'\nParameters: []\nSteps:\n  - {Name: é, Type: Fail}\n"
    expected = json.dumps(
        DOCUMENT, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()
    assert compile_text(tmp_path, json.dumps(DOCUMENT, indent=2)) == expected
    assert compile_text(tmp_path, yaml, "pipeline.yaml") == expected
    assert compile_text(tmp_path, yaml, "PIPELINE.YML") == expected


def test_anchors_are_resolved(tmp_path: Path) -> None:
    text = "Version: '2020-12-01'\nSteps:\n  - &a {Name: x}\n  - *a\n"
    assert json.loads(compile_text(tmp_path, text, "p.yaml"))["Steps"] == [{"Name": "x"}] * 2


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("{", "p.json", "not JSON"),
        ("", "p.json", "not JSON"),
        (b"\xff\xfe\x00", "p.json", ""),
        (LFS, "p.json", "only its pointer"),
        (LFS, "p.yaml", "only its pointer"),
        ("[]", "p.json", "no Steps"),
        ('{"Version": "1"}', "p.json", "no Steps"),
        ('{"Steps": [NaN]}', "p.json", "NaN"),
        ('{"Steps": [], "Steps": []}', "p.json", "Steps"),
        ("", "p.yaml", "no Steps"),
        ("Steps: [a", "p.yaml", "not YAML"),
        ("Steps: !!python/object/apply:os.getcwd []", "p.yaml", "not YAML"),
        ("Steps: [2024-01-01]", "p.yaml", "JSON does not have"),
        ("Steps: [.nan]", "p.yaml", "JSON does not have"),
        ("Steps: &a [*a]", "p.yaml", ""),
        ("Steps: [" * 2000, "p.yaml", ""),
        (b"Steps: [\x00]", "p.yaml", "not YAML"),
        (b"Steps: [\xff]", "p.yaml", "not YAML"),
        ("Steps: []\n? {a: b}\n: 1", "p.yaml", ""),
    ],
)
def test_what_is_no_definition_is_told(
    tmp_path: Path, text: str | bytes, name: str, message: str
) -> None:
    with pytest.raises((CompileError, DefinitionError)) as caught:
        compile_text(tmp_path, text, name)
    assert message in str(caught.value)
    assert name in str(caught.value.where)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="cannot be read") as caught:
        compile_pipeline(make_target(tmp_path / "gone.json"), environ=os.environ)
    assert caught.value.where == str(tmp_path / "gone.json")
