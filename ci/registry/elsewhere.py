"""Decides who is kept as having decided on a model package elsewhere: in Studio, by any API call.

SageMaker tells who changed a package last and when, whatever was changed, and not who set its
approval status. So the name is kept in the same update in which this program first writes to the
package itself: after that it would be this program's own. Where the status is as it was at the
last look, a decision that came in between shows in its ApprovalDescription alone.
"""

import hashlib
import re
from datetime import datetime

from ci.project.names import OWN
from ci.sagemaker.model import ApprovalStatus, ModelPackage

DECIDED = f"{OWN}decision"
BY, AT, ON = f"{OWN}decided-by", f"{OWN}decided-at", f"{OWN}decided-on"
TEXT = f"{OWN}decided-text"
ELSEWHERE = "SageMaker"


def keeps_decision(package: ModelPackage) -> bool:
    """Whether the package's metadata says who decided on it as it is now."""
    held = package.metadata
    if held.get(DECIDED) != package.approval.value or not held.get(BY) or not held.get(AT):
        return False
    return held.get(TEXT) in {None, text_digest(package.approval_description)}


def decided_elsewhere(package: ModelPackage, *, now: datetime | None = None) -> dict[str, str]:
    """The metadata that keeps who decided; empty where it is kept, or nobody has decided. Without
    `now` a package that nobody has changed since it was made is left alone as well: it may have
    been registered with that status."""
    if package.approval is ApprovalStatus.PENDING or keeps_decision(package):
        return {}
    if now is None and (package.modified is None or package.modified_by is None):
        return {}
    at = package.modified or now
    return {
        DECIDED: package.approval.value,
        BY: package.modified_by or "someone",
        AT: "" if at is None else moment(at),
        ON: ELSEWHERE,
        TEXT: text_digest(package.approval_description),
    }


def text_digest(description: str | None) -> str:
    """Tells one ApprovalDescription from another, however its spaces are kept."""
    words = " ".join((description or "").split())
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def moment(time: datetime) -> str:
    return re.sub(r"\+00:00$", "Z", time.isoformat(timespec="seconds"))
