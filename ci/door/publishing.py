"""Where a job's reports go: the pull request's comment, and the action's output artifact."""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ci.delivery.forging import Comments
from ci.delivery.publish import ReportFiles
from ci.door.invocation import Invocation
from ci.errors import GitOpsError
from ci.report.model import Report
from ci.sagemaker.clients import Clients
from ci.sagemaker.codepipeline import put_object
from ci.text.redact import Redactor

_FOLDER = "report"


class Publisher:
    """One for each call. Reports are files until `upload`, which makes one zip of them."""

    def __init__(
        self,
        comments: Comments | None,
        redactor: Redactor,
        *,
        several: bool,
        warn: Callable[[str], None],
    ) -> None:
        self._comments = comments
        self._warn = warn
        self._folder = Path(tempfile.mkdtemp(prefix="sagemaker-gitops-report-"))
        base = self._folder / _FOLDER
        self._files = ReportFiles(base=base, several=several, redactor=redactor)

    def publish(self, report: Report) -> None:
        """What cannot be written ends nothing: an execution may be running."""
        try:
            self._files.write(report)
        except GitOpsError as error:
            self._warn(str(error))
        if self._comments is not None:
            self._comments.post(report)

    def upload(self, invocation: Invocation, clients: Clients) -> Mapping[str, str]:
        """Hand the files to the action's first output artifact, where it has one; the variable
        that tells where."""
        if not invocation.outputs:
            return {}
        artifact = invocation.outputs[0]
        put_object(clients, artifact.bucket, artifact.key, pack(self._folder), kms=invocation.key)
        return {"report": artifact.uri}

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def pack(folder: Path) -> bytes:
    """The folder's files as a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as held:
        for file in sorted(folder.iterdir()):
            held.write(file, file.name)
    return out.getvalue()
