"""How the values of metrics are kept in the metadata of a model package.

`CustomerMetadataProperties` holds 50 entries, keys of 128 and values of 256 characters in letters,
digits, space and `_.:/=+-@` (botocore's service model). A name that does not fit is told by a hash.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping

from ci.project.names import OWN
from ci.registry.packages import keep_metadata
from ci.sagemaker.model import ModelPackage
from ci.sagemaker.packages import Packages

PREFIX = f"{OWN}metric-"
MOST = 20
# Entries of this program that come before: where a package comes from, and who decided on it.
_OTHERS = 15
_LONGEST = 128 - len(PREFIX)
_UNSAFE = re.compile(r"[^\w .:/=+\-@]")


def measure_key(metric: str) -> str:
    """The key of one metric: the same name, the same key; two names, two keys."""
    safe = _UNSAFE.sub("-", metric)
    if safe == metric and len(metric) <= _LONGEST:
        return PREFIX + metric
    digest = hashlib.sha256(metric.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{PREFIX}{safe[: _LONGEST - 13]}-{digest}"


def measures_metadata(values: Mapping[str, float]) -> dict[str, str]:
    """The first twenty: the package's other metadata needs room as well."""
    finite = ((name, value) for name, value in values.items() if math.isfinite(value))
    return {measure_key(name): repr(float(value)) for name, value in list(finite)[:MOST]}


def read_measures(metadata: Mapping[str, str], metrics: Iterable[str]) -> dict[str, float]:
    """The values of these metrics, as far as the metadata tells them."""
    found = {}
    for name in metrics:
        try:
            value = float(metadata[measure_key(name)])
        except (KeyError, ValueError):
            continue
        if math.isfinite(value):
            found[name] = value
    return found


def stamp_measures(packages: Packages, package: ModelPackage, values: Mapping[str, float]) -> bool:
    """Write the values into the package, as far as it has room for them; False where nothing was
    written. Raises AwsError."""
    wanted = measures_metadata(values)
    missing = {key: value for key, value in wanted.items() if package.metadata.get(key) != value}
    return keep_metadata(packages, package, missing, spare=_OTHERS)
