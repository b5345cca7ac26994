"""Which local Python environment stands for a container image, and what a step sees of it."""

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = ("LANG", "LC_ALL", "TZ")


def find_environment(image: str, images: Sequence[tuple[str, Path]]) -> Path | None:
    """The environment of the first pattern that matches the image's URI."""
    return next((folder for pattern, folder in images if fnmatchcase(image, pattern)), None)


def step_environment(
    *,
    folder: Path,
    environment: Path | None,
    address: str,
    region: str,
    own: Mapping[str, str],
    host: Mapping[str, str],
) -> dict[str, str]:
    """A container's environment: nothing of the endpoint's own but the language and the time
    zone, AWS calls led to `address`, with credentials that open nothing."""
    path = host.get("PATH", _SYSTEM_PATH)
    if environment is not None:
        path = f"{environment / 'bin'}{os.pathsep}{path}"
    return {
        **{name: host[name] for name in _KEPT if name in host},
        "PATH": path,
        **({} if environment is None else {"VIRTUAL_ENV": str(environment)}),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "AWS_ENDPOINT_URL": address,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        **own,
    }


def describe_missing(image: str) -> str:
    """The warning in a step's log where no pattern matches its image."""
    return (
        f"sagemaker-gitops: no local environment is mapped to the image {image}; the step runs "
        "with the python3 on PATH. Map it in sagemaker-gitops.yaml:\n"
        f"sagemaker-gitops:   local:\n"
        f"sagemaker-gitops:     images:\n"
        f'sagemaker-gitops:       "{image}": path/to/venv\n'
    )
