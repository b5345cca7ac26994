"""A report survives its JSON: whatever was shown before is shown again."""

import json
from typing import Any

import pytest
from support.reports import REPORTS, renderings

from ci.report.document import report_to_json
from ci.report.reading import report_from_json


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_every_rendering_is_the_same_again(name: str) -> None:
    document = json.loads(json.dumps(report_to_json(REPORTS[name])))
    again = report_from_json(document)
    assert report_to_json(again) == document
    assert renderings(again) == renderings(REPORTS[name])


@pytest.mark.parametrize(
    "change", [{"state": "eaten"}, {"trigger": {}}, {"generated": "soon"}, {"logs": [{"x": 1}]}]
)
def test_what_is_no_report_is_told(change: dict[str, Any]) -> None:
    document = {**report_to_json(REPORTS["success"]), **change}
    with pytest.raises((KeyError, TypeError, ValueError)):
        report_from_json(document)
