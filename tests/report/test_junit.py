"""The report as JUnit XML: for every kind of report a document that counts what it holds."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reports import REPORTS

from ci.report.junit import render_junit
from ci.report.model import Report
from ci.text.redact import Redactor

OUTCOMES = {"failure", "error", "skipped"}


def cases(report: Report) -> dict[tuple[str, str], ET.Element]:
    suites = ET.fromstring(render_junit(report))
    [suite] = suites
    found = suite.findall("testcase")
    for element in (suites, suite):
        assert int(element.attrib["tests"]) == len(found)
        for kind, total in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(element.attrib[total]) == len(suite.findall(f"testcase/{kind}"))
    return {
        (case.attrib["classname"].rpartition(".")[2], case.attrib["name"]): case for case in found
    }


def result(case: ET.Element) -> str:
    return next((child.tag for child in case if child.tag in OUTCOMES), "passed")


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_every_report_is_a_suite(name: str) -> None:
    report = REPORTS[name]
    held = cases(report)
    steps = {case for group, case in held if group == "steps"}
    if report.execution is not None:
        assert len(steps) >= min(len(report.execution.steps), 1)
    assert ("definition", "is valid") in held


def test_success_passes_and_a_failed_gate_fails() -> None:
    held = {key: result(case) for key, case in cases(REPORTS["success"]).items()}
    assert {key for key, kind in held.items() if kind != "passed"} == {("steps", "NotGoodEnough")}
    failed = {key: result(case) for key, case in cases(REPORTS["gate-failed"]).items()}
    assert "failure" in {kind for (group, _), kind in failed.items() if group == "gates"}
    assert failed["verdict", "gate_failed"] == "failure"


def test_a_failed_step_shows_its_reason_and_its_log() -> None:
    report = REPORTS["step-failed"]
    failures = [c for (g, _), c in cases(report).items() if g == "steps" and result(c) == "failure"]
    assert failures
    [told] = failures[0].findall("failure")
    assert told.attrib["message"]
    assert report.logs
    assert report.logs[0].text.splitlines()[-1].strip()[:20] in (told.text or "")


def test_what_runs_is_neither_passed_nor_failed() -> None:
    held = cases(REPORTS["running"])
    assert result(held["verdict", "running"]) == "skipped"


@given(st.text())
def test_no_text_breaks_the_document(text: str) -> None:
    report = REPORTS["gate-failed"]
    assert report.verdict is not None
    [first, *rest] = report.verdict.gates
    hostile = replace(
        report,
        pipeline=text + "]]>\x00\x1b[31m\ud800",
        notes=(text,),
        verdict=replace(report.verdict, sentence=text, gates=(replace(first, reason=text), *rest)),
    )
    cases(hostile)


def test_secrets_are_hidden() -> None:
    report = replace(REPORTS["success"], notes=("the token is s3cr3t-t0ken",))
    assert "s3cr3t-t0ken" in render_junit(report)
    assert "s3cr3t-t0ken" not in render_junit(report, redactor=Redactor(["s3cr3t-t0ken"]))
