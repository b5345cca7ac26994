"""Says what a decision will do before it is made: to the package, and to the endpoint."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from ci.approval.consequence import asks_for_more, describe_expected
from ci.approval.subject import Subject
from ci.errors import AwsError
from ci.metrics.model import MetricSource, MetricValue
from ci.metrics.words import describe_metric
from ci.registry.measures import read_measures
from ci.sagemaker.model import ApprovalStatus, ModelPackage


def announce(subject: Subject, approval: ApprovalStatus) -> Iterator[str]:
    """Lines. What the endpoint serves is read for them, where the decision may change it."""
    held, target = subject.package, subject.job.target
    changes = f"will be {approval}; it is {held.approval}"
    if held.approval is approval:
        changes = f"is {approval} already"
    place = f"{target.pipeline.name} in {target.environment.name}"
    commit = subject.job.identity.commit[:12]
    yield f"{held.group} v{held.version} of {place} (commit {commit}) {changes}"
    wanted = replace(held, approval=approval)
    yield describe_expected(target.environment, wanted, target.pipeline.endpoint)
    if asks_for_more(target.environment, wanted):
        with suppress(AwsError):
            yield from _served(subject)


def _served(subject: Subject) -> Iterator[str]:
    """The model that the endpoint serves, and what the package measured against it."""
    name, packages = subject.job.target.pipeline.endpoint, subject.adapter.packages
    if name is None:
        return
    endpoint = packages.endpoint(name)
    if endpoint is None:
        yield f"there is no endpoint {name} yet"
    elif endpoint.model_package is None:
        yield f"the endpoint {name} is {endpoint.status}, and serves no model package"
    elif endpoint.model_package == subject.package.arn:
        yield f"the endpoint {name} is {endpoint.status}, and serves it"
    else:
        served = packages.describe(endpoint.model_package)
        other = f"{served.group} v{served.version}"
        yield f"the endpoint {name} is {endpoint.status}, and serves {other}"
        sources = subject.job.target.pipeline.metrics
        yield from compare_measures(sources, subject.package, served, name=other)


def compare_measures(
    sources: Sequence[MetricSource], package: ModelPackage, other: ModelPackage, *, name: str
) -> Iterator[str]:
    """What a package measured against another one, which is called `name`: as the metadata of both
    tells, which each run's report has stamped."""
    own, theirs = (
        read_measures(each.metadata, [source.name for source in sources])
        for each in (package, other)
    )
    for source in sources:
        if source.name in own:
            value = own[source.name]
            metric = MetricValue(source=source, value=value, champion=theirs.get(source.name))
            yield describe_metric(metric, name)
