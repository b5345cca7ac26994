"""The reference page is what the schema says."""

from pathlib import Path

import pytest

from ci.project.reference import render_reference
from ci.project.validate import project_schema

PAGE = Path(__file__).parents[2] / "docs" / "project-file.md"


def test_the_page_is_rendered_from_the_schema(request: pytest.FixtureRequest) -> None:
    text = render_reference(project_schema())
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text


def test_every_field_of_the_schema_stands_on_the_page() -> None:
    text = render_reference(project_schema())
    schema = project_schema()
    for part in (schema, *schema["$defs"].values()):
        for name in part.get("properties", {}):
            assert f"| `{name}`" in text
