"""Writes reports to files: the comment as it is posted, and the whole report."""

import json
from dataclasses import dataclass
from pathlib import Path

from ci.report.document import report_to_json
from ci.report.html import render_html
from ci.report.junit import render_junit
from ci.report.markdown import render_comment
from ci.report.model import Report
from ci.session.writing import write_whole
from ci.text.redact import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """`<base>.md` is the comment as it is posted, `.json` and `.html` the whole report,
    `.junit.xml` what report groups read. With several pipelines each gets a base of its own."""

    base: Path
    several: bool
    redactor: Redactor

    def write(self, report: Report) -> Path:
        """The comment's file. UsageError where the folder cannot be written."""
        base = self.base
        if self.several:
            base = base.with_name(f"{base.name}-{report.pipeline}")
        document = report_to_json(report, redactor=self.redactor)
        texts = {
            ".md": render_comment(report, redactor=self.redactor),
            ".json": json.dumps(document, indent=2, ensure_ascii=False) + "\n",
            ".html": render_html(report, redactor=self.redactor),
            ".junit.xml": render_junit(report, redactor=self.redactor),
        }
        fix = "Name a folder that can be written: --report build/report"
        for suffix, text in texts.items():
            file = base.with_name(base.name + suffix)
            write_whole(file, text, what="the report", fix=fix)
        return base.with_name(base.name + ".md")


def default_base(root: Path, environment: str) -> Path:
    return root / ".sagemaker-gitops" / "reports" / environment
