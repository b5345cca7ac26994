"""Models and endpoint configurations: what may be served, and by which share of the traffic."""

from collections.abc import Iterable

from ci.local.api.listing import page, select
from ci.local.api.registry import find_package
from ci.local.api.tags import put_tags
from ci.local.context import ApiError, Context, Operations
from ci.local.serving.deployment import DEFAULT_STARTUP, Container, Variant
from ci.local.store import Document

MODEL = "model"
CONFIG = "endpoint_config"


def create_model(context: Context, request: Document) -> Document:
    name = request["ModelName"]
    arn = context.arn(f"model/{name}")
    for container in _containers(request):
        _check_container(context, container)
    body = {key: value for key, value in request.items() if key != "Tags"} | {
        "ModelArn": arn,
        "CreationTime": context.clock(),
        "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
    }
    with context.store.transaction():
        if context.store.get(MODEL, name):
            raise ApiError("ValidationException", f'Cannot create already existing model "{arn}".')
        context.store.put(MODEL, name, body)
        put_tags(context, arn, request.get("Tags", []))
    return {"ModelArn": arn}


def _containers(request: Document) -> list[Document]:
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if (primary is None) == (not several):
        raise ApiError(
            "ValidationException",
            "Exactly one of PrimaryContainer and Containers must be provided for a model.",
        )
    return [primary] if primary is not None else list(several or [])


def _check_container(context: Context, container: Document) -> None:
    if container.get("Mode") == "MultiModel":
        raise unsupported("Containers with Mode MultiModel", "Mode SingleModel")
    if container.get("AdditionalModelDataSources"):
        raise unsupported("AdditionalModelDataSources", "one archive that holds all")
    if "ModelPackageName" in container:
        package = find_package(context, container["ModelPackageName"])
        if not package.get("InferenceSpecification"):
            raise ApiError(
                "ValidationException",
                f"ModelPackage {package['ModelPackageArn']} has no InferenceSpecification.",
            )
    elif "Image" not in container:
        raise ApiError("ValidationException", "A container needs either Image or ModelPackageName.")


def unsupported(what: str, instead: str) -> ApiError:
    return ApiError(
        "ValidationException",
        f"{what}: not supported by the local endpoint. Use {instead}, or run this against AWS.",
    )


def describe_model(context: Context, request: Document) -> Document:
    return find_model(context, request["ModelName"])


def find_model(context: Context, name: str) -> Document:
    body = context.store.get(MODEL, name)
    if body is None:
        arn = context.arn(f"model/{name}")
        raise ApiError("ValidationException", f'Could not find model "{arn}".')
    return body


def list_models(context: Context, request: Document) -> Document:
    chosen, more = _page(context.store.all(MODEL), request, name="ModelName")
    fields = ("ModelName", "ModelArn", "CreationTime")
    return {"Models": [{field: model[field] for field in fields} for model in chosen], **more}


def delete_model(context: Context, request: Document) -> Document:
    arn = find_model(context, request["ModelName"])["ModelArn"]
    context.store.delete(MODEL, request["ModelName"])
    context.store.delete("tags", arn)
    return {}


def create_config(context: Context, request: Document) -> Document:
    name = request["EndpointConfigName"]
    arn = context.arn(f"endpoint-config/{name}")
    _check_config(context, request)
    body = {key: value for key, value in request.items() if key != "Tags"} | {
        "EndpointConfigArn": arn,
        "CreationTime": context.clock(),
    }
    with context.store.transaction():
        if context.store.get(CONFIG, name):
            raise ApiError(
                "ValidationException",
                f'Cannot create already existing endpoint configuration "{arn}".',
            )
        context.store.put(CONFIG, name, body)
        put_tags(context, arn, request.get("Tags", []))
    return {"EndpointConfigArn": arn}


def _check_config(context: Context, request: Document) -> None:
    if request.get("AsyncInferenceConfig"):
        raise unsupported("AsyncInferenceConfig", "a real-time endpoint")
    if request.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise unsupported("DataCaptureConfig with EnableCapture", "EnableCapture: false")
    if request.get("ShadowProductionVariants"):
        raise unsupported("ShadowProductionVariants", "ProductionVariants")
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    for name in names:
        if names.count(name) > 1:
            raise ApiError("ValidationException", f"Duplicate variant name {name}.")
    for variant in request["ProductionVariants"]:
        if "ModelName" not in variant:
            raise unsupported("ProductionVariants without ModelName", "a model in each variant")
        find_model(context, variant["ModelName"])


def describe_config(context: Context, request: Document) -> Document:
    return find_config(context, request["EndpointConfigName"])


def find_config(context: Context, name: str) -> Document:
    body = context.store.get(CONFIG, name)
    if body is None:
        arn = context.arn(f"endpoint-config/{name}")
        raise ApiError("ValidationException", f'Could not find endpoint configuration "{arn}".')
    return body


def list_configs(context: Context, request: Document) -> Document:
    chosen, more = _page(context.store.all(CONFIG), request, name="EndpointConfigName")
    fields = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    summaries = [{field: config[field] for field in fields} for config in chosen]
    return {"EndpointConfigs": summaries, **more}


def delete_config(context: Context, request: Document) -> Document:
    arn = find_config(context, request["EndpointConfigName"])["EndpointConfigArn"]
    context.store.delete(CONFIG, request["EndpointConfigName"])
    context.store.delete("tags", arn)
    return {}


def _page(
    items: Iterable[Document], request: Document, *, name: str
) -> tuple[list[Document], Document]:
    by_name = request.get("SortBy") == "Name"
    return page(
        select(items, request, name=name),
        request,
        key=lambda item: (item[name],) if by_name else (item["CreationTime"], item[name]),
        order="Descending",
    )


def resolve_variants(context: Context, config: Document) -> tuple[Variant, ...]:
    """The variants of a configuration with all that is needed to start them."""
    return tuple(
        Variant(
            name=variant["VariantName"],
            weight=float(variant.get("InitialVariantWeight", 1.0)),
            count=int(variant.get("InitialInstanceCount", 1)),
            containers=_resolve(context, find_model(context, variant["ModelName"])),
            startup=int(
                variant.get("ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP)
            ),
        )
        for variant in config["ProductionVariants"]
    )


def _resolve(context: Context, model: Document) -> tuple[Container, ...]:
    given = _containers(model)
    resolved = [
        _resolved(source, container.get("Environment", {}))
        for container in given
        for source in _sources(context, container)
    ]
    names = (
        ["primary"] if len(resolved) == 1 else [f"container-{i + 1}" for i in range(len(resolved))]
    )
    return tuple(
        Container(
            image=image,
            hostname=hostname or name,
            model_data=data,
            environment=environment,
        )
        for name, (image, hostname, data, environment) in zip(names, resolved, strict=True)
    )


def _sources(context: Context, container: Document) -> list[Document]:
    """A container itself, or the containers of the package that it names."""
    if "ModelPackageName" not in container:
        return [container]
    package = find_package(context, container["ModelPackageName"])
    return list(package["InferenceSpecification"]["Containers"])


def _resolved(
    source: Document, environment: dict[str, str]
) -> tuple[str, str | None, str | None, dict[str, str]]:
    s3 = source.get("ModelDataSource", {}).get("S3DataSource", {})
    data = source.get("ModelDataUrl") or s3.get("S3Uri")
    if data and s3.get("S3DataType") == "S3Prefix" and s3.get("CompressionType") == "None":
        data = data.rstrip("/") + "/"
    return (
        source.get("Image", ""),
        source.get("ContainerHostname"),
        data,
        {**source.get("Environment", {}), **environment},
    )


OPERATIONS: Operations = {
    "CreateModel": create_model,
    "DescribeModel": describe_model,
    "ListModels": list_models,
    "DeleteModel": delete_model,
    "CreateEndpointConfig": create_config,
    "DescribeEndpointConfig": describe_config,
    "ListEndpointConfigs": list_configs,
    "DeleteEndpointConfig": delete_config,
}
