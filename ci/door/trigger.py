"""The commit that a Lambda action is for, as a Trigger. Pure.

The source artifact holds files and no history. Its revision is the commit where the source action
tells it; else the action's settings do, from the source action's variables.
"""

from urllib.parse import quote

from ci.door.invocation import Artifact
from ci.door.settings import WHERE, Settings
from ci.errors import TriggerError
from ci.trigger.model import Door, Event, Trigger
from ci.trigger.values import checked_commit, known_commit


def parse_trigger(settings: Settings, source: Artifact, *, region: str) -> Trigger:
    """A push to the branch that the pipeline watches. TriggerError where the commit or the
    repository is unknown, or where the artifact's own revision contradicts the settings."""
    revision = known_commit(source.revision)
    if settings.commit is None and revision is None:
        raise TriggerError(
            "nothing tells which commit the source artifact is of",
            where=f"{WHERE}: commit",
            fix='{"commit": "#{SourceVariables.CommitId}"}, with Namespace: SourceVariables on the '
            "source action",
        )
    commit = revision if settings.commit is None else checked_commit(settings.commit, WHERE)
    if settings.repository is None:
        raise TriggerError(
            "nothing tells which repository the source artifact is of",
            where=f"{WHERE}: repository",
            why="what is deployed is marked as this repository's own, by its name",
            fix='{"repository": "#{SourceVariables.FullRepositoryName}"}, or for CodeCommit\n'
            '{"repository": "#{SourceVariables.RepositoryName}"}',
        )
    if commit is None or (revision is not None and revision != commit):
        raise TriggerError(
            f"the source artifact is of {revision}, not of {commit}", where=f"{WHERE}: commit"
        )
    return Trigger(
        door=Door.CODEPIPELINE,
        event=Event.PUSH,
        commit=commit,
        branch=settings.branch,
        is_default_branch=True,
        repository=settings.repository,
        run_url=run_url(settings.pipeline, settings.execution, region=region),
    )


def run_url(pipeline: str | None, execution: str | None, *, region: str) -> str | None:
    """The console's page of a pipeline execution; None where it is not known."""
    if not pipeline or not execution:
        return None
    place = f"https://{region}.console.aws.amazon.com/codesuite/codepipeline/pipelines"
    name, run = quote(pipeline, safe=""), quote(execution, safe="")
    return f"{place}/{name}/executions/{run}/timeline?region={region}"
