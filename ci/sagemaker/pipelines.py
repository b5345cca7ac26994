"""Pipelines and their versions: read, create, update, label, tag, delete."""

from collections.abc import Mapping
from dataclasses import dataclass

from ci.errors import AwsError
from ci.sagemaker.artifacts import Artifacts
from ci.sagemaker.clients import Clients
from ci.sagemaker.model import DeployedPipeline, PipelineVersion
from ci.sagemaker.read import parse_pipeline
from ci.sagemaker.retry import is_gone

INLINE_LIMIT = 100 * 1024  # bytes of a definition that CreatePipeline takes inline

_SERVICE = "sagemaker"
_CONFLICT = frozenset({"ConflictException"})
# Tags given at a create spread with a delay; until then the service may answer AccessDenied.
_SPREADING = _CONFLICT | {"AccessDeniedException", "AccessDenied"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRequest:
    """What a pipeline is to be. `bucket` and `prefix` take a definition over INLINE_LIMIT.

    `token` makes the creation idempotent (32-128 characters).
    """

    name: str
    definition: bytes
    role: str
    token: str
    bucket: str
    prefix: str
    description: str | None = None
    parallelism: int | None = None
    tags: Mapping[str, str]


class Pipelines:
    def __init__(self, clients: Clients, artifacts: Artifacts) -> None:
        self._clients = clients
        self._artifacts = artifacts

    def find(self, name: str) -> DeployedPipeline | None:
        """The pipeline with its tags and the number of its newest version; None if there is
        none."""
        try:
            answer = self._clients.call(
                _SERVICE, "DescribePipeline", {"PipelineName": name}, where=name
            )
        except AwsError as error:
            if is_gone(error):
                return None
            raise
        tags = self.tags(answer["PipelineArn"])
        return parse_pipeline(answer, tags=tags, version_id=self.newest_version(name))

    def definition_of(self, name: str, version: int) -> bytes:
        answer = self._clients.call(
            _SERVICE,
            "DescribePipeline",
            {"PipelineName": name, "PipelineVersionId": version},
            where=f"{name} version {version}",
        )
        definition: str = answer["PipelineDefinition"]
        return definition.encode()

    def create(self, request: PipelineRequest) -> str:
        """Create it; its ARN. The same token again answers the same pipeline."""
        tags = [{"Key": key, "Value": value} for key, value in sorted(request.tags.items())]
        arguments = self._arguments(request) | {
            "RoleArn": request.role,
            "ClientRequestToken": request.token,
            **({"Tags": tags} if tags else {}),
        }
        answer = self._clients.call(
            _SERVICE, "CreatePipeline", arguments, where=request.name, retry_on=_CONFLICT
        )
        arn: str = answer["PipelineArn"]
        return arn

    def update(self, request: PipelineRequest) -> int | None:
        """Make it so; the number of the version this made, None where the API has none."""
        answer = self._clients.call(
            _SERVICE,
            "UpdatePipeline",
            self._arguments(request) | {"RoleArn": request.role},
            where=request.name,
            retry_on=_SPREADING,
        )
        return answer.get("PipelineVersionId")

    def delete(self, name: str, *, token: str) -> bool:
        """Delete it and its history; False if there is none. Refused while executions run."""
        try:
            self._clients.call(
                _SERVICE,
                "DeletePipeline",
                {"PipelineName": name, "ClientRequestToken": token},
                where=name,
                retry_on=_CONFLICT,
            )
        except AwsError as error:
            if is_gone(error):
                return False
            raise
        return True

    def names(self, prefix: str = "") -> tuple[str, ...]:
        """Every pipeline whose name starts with `prefix`."""
        return tuple(self.arns(prefix))

    def arns(self, prefix: str = "") -> dict[str, str]:
        """The ARN of every pipeline whose name starts with `prefix`, by name."""
        request = {"PipelineNamePrefix": prefix} if prefix else {}
        pages = self._clients.pages(_SERVICE, "ListPipelines", request, items="PipelineSummaries")
        return {item["PipelineName"]: item["PipelineArn"] for item in pages}

    def versions(self, name: str, *, limit: int | None = None) -> tuple[PipelineVersion, ...]:
        """Newest first. Empty where the installed botocore knows no versions."""
        if not self._clients.knows(_SERVICE, "ListPipelineVersions"):
            return ()
        found: list[PipelineVersion] = []
        size: dict[str, object] = {} if limit is None else {"MaxResults": min(limit, 100)}
        for item in self._clients.pages(
            _SERVICE,
            "ListPipelineVersions",
            {"PipelineName": name, "SortOrder": "Descending", **size},
            items="PipelineVersionSummaries",
            where=name,
        ):
            found.append(
                PipelineVersion(
                    number=item["PipelineVersionId"],
                    display_name=item.get("PipelineVersionDisplayName"),
                    description=item.get("PipelineVersionDescription"),
                    created=item.get("CreationTime"),
                    aliases=tuple(item.get("PipelineVersionAliases") or ()),
                )
            )
            if limit is not None and len(found) >= limit:
                break
        return tuple(found)

    def newest_version(self, name: str) -> int | None:
        found = self.versions(name, limit=1)
        return found[0].number if found else None

    def label_version(self, arn: str, version: int, *, name: str, description: str) -> None:
        """Write display name and description (the commit) on a version."""
        self._clients.call(
            _SERVICE,
            "UpdatePipelineVersion",
            {
                "PipelineArn": arn,
                "PipelineVersionId": version,
                "PipelineVersionDisplayName": name,
                "PipelineVersionDescription": description,
            },
            where=f"{arn} version {version}",
            retry_on=_CONFLICT,
        )

    def knows_aliases(self) -> bool:
        """Whether the installed botocore can move an alias."""
        operation = "UpdatePipelineVersion"
        return self._clients.knows(_SERVICE, operation) and self._clients.takes(
            _SERVICE, operation, "PipelineVersionAliasOperations"
        )

    def change_alias(self, arn: str, version: int, operation: str, alias: str) -> None:
        """`Add` or `Remove` an alias of a version. One that another version holds has to be
        removed there first."""
        self._clients.call(
            _SERVICE,
            "UpdatePipelineVersion",
            {
                "PipelineArn": arn,
                "PipelineVersionId": version,
                "PipelineVersionAliasOperations": {operation: [alias]},
            },
            where=f"{arn} version {version}",
        )

    def tags(self, arn: str) -> dict[str, str]:
        pages = self._clients.pages(
            _SERVICE, "ListTags", {"ResourceArn": arn}, items="Tags", where=arn
        )
        return {item["Key"]: item["Value"] for item in pages}

    def add_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add or overwrite; tags that are not named stay."""
        if not tags:
            return
        self._clients.call(
            _SERVICE,
            "AddTags",
            {
                "ResourceArn": arn,
                "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
            },
            where=arn,
            retry_on=_CONFLICT,
        )

    def _arguments(self, request: PipelineRequest) -> dict[str, object]:
        arguments: dict[str, object] = {"PipelineName": request.name}
        if request.description:
            arguments["PipelineDescription"] = request.description[:3072]
        if request.parallelism is not None:
            arguments["ParallelismConfiguration"] = {
                "MaxParallelExecutionSteps": request.parallelism
            }
        if len(request.definition) <= INLINE_LIMIT:
            return arguments | {"PipelineDefinition": request.definition.decode()}
        key = self._artifacts.put_bytes(
            request.definition, "definition.json", bucket=request.bucket, prefix=request.prefix
        )
        return arguments | {
            "PipelineDefinitionS3Location": {"Bucket": request.bucket, "ObjectKey": key}
        }
