"""What an endpoint serves: a snapshot of its configuration, its models and their packages.

AWS lets the configuration and the model of a running endpoint be deleted; so what a deployment
needs to be started again is written down when it is made.
"""

from dataclasses import asdict, dataclass
from typing import Any

from ci.local.store import Document

DEFAULT_STARTUP = 480
"""Seconds a container has on AWS to answer its first ping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """`model_data` is an S3 URI: an archive, or a prefix ending in `/`; None where the image has
    all it needs."""

    image: str
    hostname: str
    model_data: str | None
    environment: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A share of the traffic, answered by its containers one after the other."""

    name: str
    weight: float
    count: int
    containers: tuple[Container, ...]
    startup: int = DEFAULT_STARTUP


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`number` names this attempt to serve `config`; its files lie in a folder of that name."""

    number: str
    config: str
    variants: tuple[Variant, ...]


def as_document(deployment: Deployment) -> Document:
    return asdict(deployment)


def from_document(document: Document) -> Deployment:
    return Deployment(
        number=document["number"],
        config=document["config"],
        variants=tuple(_variant(variant) for variant in document["variants"]),
    )


def _variant(document: dict[str, Any]) -> Variant:
    containers = tuple(Container(**container) for container in document["containers"])
    return Variant(**{**document, "containers": containers})
