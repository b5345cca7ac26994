"""Where a job's reports go: the repository's host, and the action's output artifact."""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ci.door.invocation import Invocation
from ci.door.world import World
from ci.errors import ForgeError, GitOpsError
from ci.forge.model import Forge
from ci.posting.board import Board, open_board
from ci.posting.place import find_place
from ci.posting.publish import ReportFiles
from ci.report.model import Report
from ci.sagemaker.clients import Clients
from ci.sagemaker.codepipeline import put_object
from ci.session.session import Session
from ci.text.redact import Redactor

_FOLDER = "report"


class Publisher:
    """One for each call. Reports are files until `upload`, which makes one zip of them."""

    def __init__(
        self, world: World, session: Session, root: Path, *, comment: bool, several: bool
    ) -> None:
        """`root` is the folder of the source artifact."""
        self._say = world.say
        self._trigger = session.trigger
        self.redactor = Redactor(world.secrets, mask_accounts=session.project.report.mask_accounts)
        self._place = find_place(session.project.file, {"CODEBUILD_SRC_DIR": str(root)})
        self.forge = self._open_forge(world, session)
        self._board: Board | None = None
        if self.forge is not None:
            self._board = open_board(
                self.forge,
                session,
                place=self._place,
                redactor=self.redactor,
                warn=world.say,
                comment=comment,
                oidc=False,
            )
        self._folder = Path(tempfile.mkdtemp(prefix="sagemaker-gitops-report-"))
        base = self._folder / _FOLDER
        self._files = ReportFiles(base=base, several=several, redactor=self.redactor)

    @property
    def place(self) -> str | None:
        return self._place.project

    def commit_order(self) -> Sequence[str]:
        return () if self._board is None else self._board.commit_order()

    def _open_forge(self, world: World, session: Session) -> Forge | None:
        """What is wrong with it is told, and ends nothing."""

        def learn(secret: str) -> None:
            world.redactor.learn(secret)
            self.redactor.learn(secret)

        try:
            return session.forge(sleep=world.sleep, learn=learn)
        except ForgeError as error:
            world.say(str(error))
            return None

    def publish(self, report: Report) -> None:
        """What cannot be written ends nothing: an execution may be running."""
        report = replace(report, project=self._place.project)
        try:
            self._files.write(report)
        except GitOpsError as error:
            self._say(str(error))
        if self._board is not None:
            self._board.post(report)

    def refuse(self, error: GitOpsError, pipelines: Sequence[str]) -> None:
        """What ended the job before anything was started, where the commit's check runs stand."""
        if self._board is not None:
            self._board.refuse(error, self._trigger, tuple(pipelines))

    def upload(self, invocation: Invocation, clients: Clients) -> Mapping[str, str]:
        """Hand the files to the action's first output artifact, where it has one; the variable
        that tells where."""
        if not invocation.outputs:
            return {}
        artifact = invocation.outputs[0]
        put_object(clients, artifact.bucket, artifact.key, pack(self._folder), kms=invocation.key)
        return {"report": artifact.uri}

    def close(self) -> None:
        """Wait for what is being posted, and tell what was refused."""
        if self._board is not None:
            self._board.close(self._say)
        shutil.rmtree(self._folder, ignore_errors=True)


def pack(folder: Path) -> bytes:
    """The folder's files as a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as held:
        for file in sorted(folder.iterdir()):
            held.write(file, file.name)
    return out.getvalue()
