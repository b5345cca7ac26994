"""The project file: what it says, and every way in which it is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ci.errors import ExitCode, ProjectError
from ci.metrics.model import ChangeUnit, Goal, Origin
from ci.project.document import parse_document, walk
from ci.project.durations import parse_duration
from ci.project.load import FILE_NAME, ProjectProblems, find_project, load_project
from ci.project.model import CompileMode, DefinitionSource, ModuleSource, OnCancel, Project
from ci.project.validate import project_schema

WHOLE = """\
# yaml-language-server: $schema=schema.json
version: 1
region: us-east-1
role: arn:aws:iam::123456789012:role/ml/execution
artifacts: {bucket: acme-ml, prefix: gitops/files}
pipelines:
  abalone:
    source: pipeline.py:get_pipeline
    python: .venv/bin/python
    kwargs: {base_job_prefix: abalone, deep: {list: [1, 2.5, null, true]}}
    working_directory: .
    compile: live
    pass_environment: [DATA_VERSION]
    paths: ["pipelines/abalone/**"]
    parameters: {RmseThreshold: 2.4, Name: text, Count: 3, Flag: true, Day: 2026-01-02}
    model_package_group: abalone
    metrics:
      - {name: rmse, property_file: EvaluationReport, path: $.rmse,
         champion_path: $.champion.rmse, unit: rings}
      - {name: auc, training_step: Train, path: "validation:auc", goal: maximize}
      - {name: f1, model_package: true, path: $.f1}
      - {name: bias, s3: s3://bucket/key.json, path: $.bias}
    gates:
      - {metric: rmse, maximum: 2.4, improve_by: 2%}
      - {metric: auc, minimum: 0.5, improve_by: -0.25, required: false}
  ready:
    definition: definition.json
environments:
  main: {require_approval: true, deadline: 6h, tags: {team: rings}}
  staging: {role: "arn:aws:iam::210987654321:role/staging", region: eu-central-1, run: false}
local:
  images: {"*sagemaker-scikit-learn*": .venv-model, "*": other}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.py").write_text("")
    (tmp_path / "definition.json").write_text("{}")
    return tmp_path


def load(root: Path, text: str) -> Project:
    (root / FILE_NAME).write_text(text, encoding="utf-8")
    return load_project(root / FILE_NAME)


def problems(root: Path, text: str) -> list[str]:
    with pytest.raises(ProjectProblems) as caught:
        load(root, text)
    assert caught.value.exit_code == ExitCode.USAGE
    return [
        f"{each.mark.line}:{each.mark.column} {each.what} | {each.fix}"
        for each in caught.value.problems
    ]


def minimal(rest: str) -> str:
    return f"version: 1\npipelines:\n  a:\n    source: pipeline.py:get\n{rest}"


def test_a_whole_file_becomes_a_project(root: Path) -> None:
    project = load(root, WHOLE)
    abalone = project.pipelines["abalone"]
    assert abalone.source == ModuleSource(file=root / "pipeline.py", function="get_pipeline")
    assert abalone.line == 7
    assert abalone.python == str(root / ".venv/bin/python")
    assert abalone.compile is CompileMode.LIVE
    assert abalone.kwargs["deep"] == {"list": [1, 2.5, None, True]}
    assert abalone.parameters == {
        "RmseThreshold": 2.4,
        "Name": "text",
        "Count": 3,
        "Flag": True,
        "Day": "2026-01-02",
    }
    assert [metric.origin for metric in abalone.metrics] == [
        Origin.PROPERTY_FILE,
        Origin.TRAINING_JOB,
        Origin.MODEL_PACKAGE,
        Origin.S3,
    ]
    assert abalone.metrics[0].reference == "EvaluationReport"
    assert abalone.metrics[0].goal is Goal.MINIMIZE
    assert abalone.metrics[2].reference is None
    assert (abalone.gates[0].improve_by, abalone.gates[0].improve_unit) == (2, ChangeUnit.PERCENT)
    assert (abalone.gates[1].improve_by, abalone.gates[1].improve_unit) == (
        -0.25,
        ChangeUnit.ABSOLUTE,
    )
    assert project.pipelines["ready"].source == DefinitionSource(file=root / "definition.json")
    assert list(project.environments) == ["main", "pull_request", "staging"]
    assert project.environments["main"].deadline == 21600
    assert project.environments["main"].on_cancel is OnCancel.DETACH
    assert project.environments["pull_request"].on_cancel is OnCancel.STOP
    assert project.environments["pull_request"].pipeline_name == "{pipeline}-pr-{pull_request}"
    assert project.environments["staging"].pipeline_name == "{pipeline}-{environment}"
    assert project.artifacts.bucket == "acme-ml"
    assert project.local.images == (
        ("*sagemaker-scikit-learn*", root / ".venv-model"),
        ("*", root / "other"),
    )


def test_a_number_that_is_a_parameter_stays_the_text_that_was_written(root: Path) -> None:
    given = "{Version: 1.10, Whole: 2.50, Mask: 0x10, Plus: +5, Same: 2.5, Flag: True, Seven: 7}"
    project = load(root, minimal(f"    parameters: {given}\n"))
    assert project.pipelines["a"].parameters == {
        "Version": "1.10",
        "Whole": "2.50",
        "Mask": "0x10",
        "Plus": "+5",
        "Same": 2.5,
        "Flag": True,
        "Seven": 7,
    }


@pytest.mark.parametrize(
    ("tag", "wrong"), [('"k#": v', "k#"), ('"a\\nb": v', r"a\nb"), ("owner: a|b", "a|b")]
)
def test_a_tag_that_aws_would_refuse_when_all_is_deployed_is_refused_here(
    root: Path, tag: str, wrong: str
) -> None:
    fine = 'Kostenstelle-Süd: "1 + 2 = 3 _.:/@"'
    [said] = problems(root, minimal(f"environments: {{main: {{tags: {{{fine}, {tag}}}}}}}\n"))
    assert f"the tag '{wrong}' holds a character that AWS does not take" in said


def test_a_number_that_was_merged_in_gives_way_to_its_own(root: Path) -> None:
    shared = minimal("    parameters: &usual {Version: 1.10, Other: 1.20}\n")
    places = "environments:\n  main:\n    parameters:\n      <<: *usual\n      Version: new\n"
    found = load(root, shared + places).environments["main"].parameters
    assert found == {"Version": "new", "Other": "1.20"}


def test_the_file_is_found_from_any_folder_of_the_repository(root: Path) -> None:
    load(root, WHOLE)
    (root / ".git").mkdir()
    deep = root / "a" / "b"
    deep.mkdir(parents=True)
    assert find_project(deep) == root / FILE_NAME


def test_the_search_ends_at_the_repository(root: Path) -> None:
    load(root, WHOLE)
    inner = root / "inner" / "folder"
    inner.mkdir(parents=True)
    (root / "inner" / ".git").write_text("gitdir: elsewhere")
    with pytest.raises(ProjectError, match=r"there is no sagemaker-gitops.yaml"):
        find_project(inner)


def test_another_name_of_the_file_is_told(root: Path) -> None:
    (root / "sagemaker-gitops.yml").write_text("version: 1")
    with pytest.raises(ProjectError, match="git mv"):
        find_project(root)


def test_all_problems_are_told_at_once_with_their_places(
    root: Path, golden: Callable[[str, str], None]
) -> None:
    found = problems(
        root,
        """\
version: 2
regoin: us-east-1
pipelines:
  abalone:
    sorce: pipeline.py:get
    compile: hermetc
    gates:
      - {metric: rmse}
environments:
  main:
    deadline: soon
    on_cancel: [stop]
""",
    )
    golden("problems.txt", "\n".join(found) + "\n")


def test_what_yaml_reads_in_two_ways_hides_nothing_else(root: Path) -> None:
    told = problems(
        root,
        minimal("environments: {main: {require_approval: yes, deadlin: 3h}}\nregin: eu-west-1\n"),
    )
    assert [("`yes` means" in told[0]), ("`deadlin`" in told[1]), ("`regin`" in told[2])] == [
        True
    ] * 3
    assert len(told) == 3


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("no", "false"),
        ("On", "true"),
        ("1e3", "1000.0"),
        ("1e-7", "1.0e-07"),
        ("010", "octal number 8"),
        ("0o17", "number"),
        ("012345678901", '"012345678901"'),
        ("1_000", "or 1000 "),
        ("12:30", "base 60"),
        ("0b11", "binary"),
        (".nan", "not a finite number"),
        ("-.INF", "not a finite number"),
        ("!!python/object:os.system x", "tag"),
        ("!secret x", "tag"),
        ("9" * 41, "more than 40 digits"),
    ],
)
def test_what_yaml_reads_in_two_ways_is_refused(root: Path, written: str, said: str) -> None:
    found = problems(root, minimal(f"    parameters: {{Rate: {written}}}\n"))
    assert len(found) == 1
    assert found[0].startswith("5:24 ")
    assert said in found[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"no"', "no"),
        ("'1e3'", "1e3"),
        ("1.0e+3", 1000.0),
        ("0x1F", 31),
        ("-7", -7),
        ("2.50", 2.5),
        ("TRUE", True),
        ("y", "y"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
    ],
)
def test_what_yaml_reads_in_one_way_is_taken(root: Path, written: str, value: object) -> None:
    project = load(root, minimal(f"    kwargs: {{Rate: {written}}}\n"))
    taken = project.pipelines["a"].kwargs["Rate"]
    assert (taken, type(taken)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("# only a remark\n", "the file is empty"),
        ("- a\n- b\n", "the file is a list; it must be a mapping"),
        ("version: 1\nversion: 1\npipelines: {}\n", "2:1 `version` stands twice"),
        ("version: 1\npipelines: {}\n", "2:12 `pipelines` is empty"),
        ("version: 1\npipelines:\n", "`pipelines` is empty; it must be a mapping"),
        ("version: 1\n\tpipelines: 1\n", "2:1 not YAML"),
        ("version: 1: 2\n", "1:11 not YAML"),
        ("version: 1\n---\nversion: 1\n", "3:1 a second YAML document"),
        ("on: 1\n", "1:1 the key `on` is not text to YAML"),
        ("? [a]\n: 1\n", "a key is text"),
        ("a: &a [*a]\n", "nested more than"),
        ("[" * 100_000, "nested"),
        ("a: *missing\n", "not YAML"),
        ("version: \x07", "not YAML"),
    ],
)
def test_broken_files_are_told(root: Path, text: str, said: str) -> None:
    assert any(said in problem for problem in problems(root, text))


def test_a_way_out_of_several_lines_stands_as_one_block(root: Path) -> None:
    (root / "sagemaker-gitops.yaml").write_text("")
    with pytest.raises(ProjectError) as caught:
        load_project(root / "sagemaker-gitops.yaml")
    lines = str(caught.value).splitlines()
    first = next(number for number, line in enumerate(lines) if "fix: " in line)
    column = lines[first].index("fix: ") + 5
    assert len(lines) > first + 1
    assert all(line[:column].isspace() and line[column:] for line in lines[first + 1 :])


def test_aliases_that_grow_without_bound_end_early(root: Path) -> None:
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    found = problems(root, "\n".join(lines))
    assert "its aliases grow" in found[0]


def test_anchors_and_merge_keys_work(root: Path) -> None:
    project = load(
        root,
        minimal("")
        + "environments:\n  main: &m {run: false, deadline: 5}\n  b: {<<: *m, deadline: 90s}\n",
    )
    assert project.environments["b"].run is False
    assert project.environments["b"].deadline == 90


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("    definition: definition.json\n", "`source` and `definition` exclude each other"),
        ("    gates: [{metric: x, maximum: 1}]\n", "5:14 there is no metric `x`"),
        (
            "    metrics: [{name: rmse, path: $.a}]\n    gates: [{metric: rmsd, maximum: 1}]\n",
            "did you mean `rmse`?",
        ),
        ("    metrics: [{name: a, path: $.a}, {name: a, path: $.b}]\n", "`a` stands twice"),
        ("    metrics: [{name: a, path: b, s3: s3://b/k, training_step: T}]\n", "exclude"),
        (
            "    metrics: [{name: a, path: b}]\n    gates: [{metric: a, minimum: 2, maximum: 1}]\n",
            "above",
        ),
        ("    parameters: {bad name: 1}\n", "cannot be a name"),
        ("    parameters: {A: [1]}\n", "is a list; it must be text or a number or true or false"),
        ("    parameters: {A: }\n", "is empty; it must be"),
        ("  b:\n    source: missing.py:get\n", "6:5 `source` names `missing.py`"),
        ("  b:\n    definition: definition.json\n    kwargs: {}\n", "has no meaning"),
        ("  A_b: {source: 'pipeline.py:g'}\n  A-b: {source: 'pipeline.py:g'}\n", "one name"),
        ("environments: {main: {pipeline_name: '{nope}'}}\n", "`{nope}` is not filled in"),
        ("environments: {main: {pipeline_name: '{'}}\n", "no template"),
        ("environments: {main: {pipeline_name: '{pipeline.name}'}}\n", "not filled in"),
        ("environments: {pull_request: {pipeline_name: '{pipeline}'}}\n", "over each other"),
        ("environments: {main: {tags: {'aws:x': y}}}\n", "which are taken"),
        ("environments: {main: {deadline: 9999d}}\n", "between one second and a year"),
        ("environments: {main: {deadline: 0}}\n", "the least is 1"),
        ("environments: {main: }\n", "is empty; it must be a mapping"),
        ("role: arn:aws:iam::12:role/x\n", "right form"),
        ("artifacts: {bucket: UPPER}\n", "right form"),
    ],
)
def test_what_the_file_may_not_say_is_told(root: Path, rest: str, said: str) -> None:
    found = problems(root, minimal(rest))
    assert any(said in problem for problem in found), found


def test_unreadable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no such project file") as caught:
        load_project(tmp_path / FILE_NAME)
    assert "--project-file" in (caught.value.fix or "")
    (tmp_path / FILE_NAME).write_bytes(b"version: 1\n# \xff")
    with pytest.raises(ProjectError, match="not UTF-8") as caught:
        load_project(tmp_path / FILE_NAME)
    assert caught.value.where == f"{tmp_path / FILE_NAME}:2"
    (tmp_path / "folder").mkdir()
    with pytest.raises(ProjectError, match="cannot be read"):
        load_project(tmp_path / "folder")


def test_a_byte_order_mark_is_taken(root: Path) -> None:
    (root / FILE_NAME).write_bytes(b"\xef\xbb\xbf" + minimal("").encode())
    assert list(load_project(root / FILE_NAME).pipelines) == ["a"]


def test_hostile_text_is_shown_inert(root: Path) -> None:
    found = problems(root, minimal('    "a\\u001b[31m\\n::error::x": 1\n'))
    assert len(found) == 1
    assert "\x1b" not in found[0]
    assert "\n" not in found[0]


def test_the_schema_is_a_schema_and_describes_every_field() -> None:
    schema = project_schema()
    Draft202012Validator.check_schema(schema)
    for path, value in walk(schema):
        if len(path) > 1 and path[-2] == "properties":
            assert isinstance(value, dict), path
            assert value.get("description"), path


def test_examples_of_the_schema_are_valid() -> None:
    schema = project_schema()
    for path, value in walk(schema):
        if len(path) > 1 and path[-2] == "properties" and isinstance(value, dict):
            field = {**value, "$defs": schema["$defs"]}
            for example in value.get("examples", []):
                assert not list(Draft202012Validator(field).iter_errors(example)), path


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    document = parse_document(text)
    assert isinstance(document.problems, list)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_VALUES)
def test_json_is_read_as_json(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    document = parse_document(text)
    if not document.problems:
        assert document.data == value
    else:
        # JSON writes 1e+16 without a point, which YAML 1.1 takes for text.
        assert all("YAML 1.1" in problem.what for problem in document.problems)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("6h", 21600), ("1h30m", 5400), ("1.5d", 129600)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1", "0", "1w", "1 h", "nan", "inf", "1e9", "9" * 400])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|between"):
        parse_duration(text)
