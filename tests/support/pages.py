"""Pages with parts that come from elsewhere: files as they stand, tables of settings.

A part stands between `<!-- part: NAME -->` and `<!-- end -->`. `settled` puts every part in its
place, so that a page is true when it is equal to itself settled.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from ci.cli.settings import SETTINGS, Setting
from ci.cli.workflow import OUTPUTS, variable_of
from ci.door.settings import SETTINGS as ACTION

ROOT = Path(__file__).parents[2]
_PART = re.compile(r"<!-- part: (?P<name>[^\n]+?) -->\n.*?<!-- end -->", re.DOTALL)


def settled(page: str) -> str:
    """The page with its parts in place. KeyError or OSError for a part that there is not."""
    return _PART.sub(
        lambda found: f"<!-- part: {found['name']} -->\n{part(found['name'])}\n<!-- end -->", page
    )


def parts(page: str) -> tuple[str, ...]:
    return tuple(found["name"] for found in _PART.finditer(page))


def part(name: str) -> str:
    tables: Mapping[str, str] = {
        "inputs": _table(
            ("input", "default", "means"),
            [
                (f"`{s.name}`", f"`{s.default}`" if s.default else "", s.description)
                for s in SETTINGS
            ],
        ),
        "outputs": _table(
            ("output", "means"), [(f"`{name}`", text) for name, text in OUTPUTS.items()]
        ),
        "variables": _table(
            ("variable", "default", "means"),
            [(f"`{each.variable}`", _default(each), each.description) for each in SETTINGS],
        ),
        "action": _table(
            ("setting", "means"), [(f"`{name}`", text) for name, text in ACTION.items()]
        ),
        "exported": _table(
            ("variable", "means"),
            [(f"`{variable_of(name)}`", text) for name, text in OUTPUTS.items()],
        ),
    }
    if name in tables:
        return tables[name]
    text = (ROOT / name).read_text(encoding="utf-8")
    return f"```yaml\n{text.rstrip()}\n```"


def _default(setting: Setting) -> str:
    return f"`{setting.default}`" if setting.default else ""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
