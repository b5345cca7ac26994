"""Where AWS shows an execution, its jobs, logs and models. Nothing local has such a place."""

import re
from dataclasses import replace
from urllib.parse import quote

from ci.report.model import Link
from ci.sagemaker.model import ModelPackage

_LOCAL_ACCOUNT = "000000000000"
_ARN = re.compile(r"arn:(aws[a-z-]*):([a-z0-9-]+):([a-z0-9-]+):(\d{12}):(.+)\Z")
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_JOBS = {
    "processing-job": "processing-jobs",
    "training-job": "jobs",
    "transform-job": "transform-jobs",
    "hyper-parameter-tuning-job": "hyper-tuning-jobs",
    "endpoint": "endpoints",
    "model": "models",
}


def execution_link(arn: str, *, studio_domain: str | None = None) -> Link | None:
    """The execution in SageMaker Studio, which alone shows one. Its address holds the domain's id
    (`d-...`); without one the console's page that leads to Studio is given."""
    found = _parse(arn)
    resource = found and re.fullmatch(r"pipeline/([^/]+)/execution/([^/]+)", found.resource)
    if found is None or not resource:
        return None
    page = f"pipelines/view/{quote(resource[1])}/executions/{quote(resource[2])}/graph"
    return _studio(found, studio_domain, page) or _landing(found)


def model_link(package: ModelPackage, *, studio_domain: str | None = None) -> Link | None:
    """The package's group in Studio, which alone shows it; none without the domain's id."""
    found = _parse(package.arn)
    if found is None or not package.group:
        return None
    page = f"models/registered-models/{quote(package.group, safe='')}/versions"
    place = _studio(found, studio_domain, page)
    return replace(place, label="Model in Studio") if place else None


def object_link(uri: str, arn: str, *, label: str) -> Link | None:
    """An object of S3 in the console of the partition and region of `arn`."""
    found, address = _parse(arn), re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)", uri)
    if found is None or address is None:
        return None
    query = f"region={found.region}&prefix={quote(address[2], safe='')}"
    return Link(label=label, url=f"{found.console}/s3/object/{address[1]}?{query}")


def _studio(found: "_Arn", domain: str | None, page: str) -> Link | None:
    if not domain or found.partition != "aws":
        return None
    host = f"studio-{quote(domain, safe='')}.studio.{found.region}.sagemaker.aws"
    return Link(label="Studio", url=f"https://{host}/{page}")


def _landing(found: "_Arn") -> Link:
    page = f"sagemaker/home?region={found.region}#/studio-landing"
    return Link(label="Studio", url=f"{found.console}/{page}")


def job_link(arn: str, *, label: str | None = None) -> Link | None:
    """A job, model or endpoint in the SageMaker console."""
    found = _parse(arn)
    if found is None or found.service != "sagemaker":
        return None
    kind, _, name = found.resource.partition("/")
    if kind not in _JOBS or not name:
        return None
    page = f"sagemaker/home?region={found.region}#/{_JOBS[kind]}/{quote(name, safe='')}"
    return Link(label=label or name, url=f"{found.console}/{page}")


def log_link(
    arn: str, group: str, stream: str | None = None, *, prefix: str | None = None
) -> Link | None:
    """A log stream in CloudWatch, or a group's streams that begin with `prefix`, in the region and
    partition of `arn`."""
    found = _parse(arn)
    if found is None:
        return None
    page = f"cloudwatch/home?region={found.region}#logsV2:log-groups/log-group/{_twice(group)}"
    if stream:
        page += f"/log-events/{_twice(stream)}"
    elif prefix:
        page += f"$3FlogStreamNameFilter$3D{_twice(prefix)}"
    return Link(label="CloudWatch", url=f"{found.console}/{page}")


class _Arn:
    """The parts of an ARN that the console's addresses are made of."""

    def __init__(self, found: re.Match[str]) -> None:
        self.partition, self.service, self.region, self.account, self.resource = found.groups()
        self.console = f"https://{self.region}.{_CONSOLES.get(self.partition, '')}"


def _parse(arn: str) -> _Arn | None:
    found = _ARN.match(arn)
    if found is None or found[1] not in _CONSOLES or found[4] == _LOCAL_ACCOUNT:
        return None
    return _Arn(found)


def _twice(name: str) -> str:
    """CloudWatch's fragment: percent-encoded twice, with `$` for the outer percent sign."""
    return quote(quote(name, safe=""), safe="").replace("%", "$")
