"""CloudFormation stacks by change sets: propose, read, execute, and why one failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ci.errors import AwsError
from ci.sagemaker.clients import Clients

_SERVICE = "cloudformation"
_MISSING = ("does not exist",)
_NOTHING = ("didn't contain changes", "no updates are to be performed")
_FOLLOWS = "Resource creation cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack as it stands. `parameters` are what it was deployed with."""

    name: str
    id: str
    status: str
    reason: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def moving(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and not self.empty

    @property
    def empty(self) -> bool:
        """Made by a change set that was never executed."""
        return self.status == "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a change set is to be made of. `body` is the template, or with `url` where it stands
    in S3. `known` are parameters that keep the stack's value."""

    stack: str
    change_set: str
    body: str
    parameters: Mapping[str, str]
    known: Sequence[str] = ()
    capabilities: Sequence[str] = ()
    create: bool = False
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """`action` is Add, Modify, Remove; `replacement` True, False, Conditional or None."""

    action: str
    resource: str
    kind: str
    replacement: str | None = None
    scope: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """`nothing`: the stack holds what is proposed."""

    status: str
    reason: str
    changes: tuple[ResourceChange, ...] = ()

    @property
    def pending(self) -> bool:
        return self.status in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}

    @property
    def nothing(self) -> bool:
        reason = self.reason.lower()
        return self.status == "FAILED" and any(words in reason for words in _NOTHING)


class Stacks:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def find(self, name: str) -> Stack | None:
        """The stack; None where there is none, or only the remains of a deleted one."""
        try:
            answer = self._call("DescribeStacks", {"StackName": name}, name)
        except AwsError as error:
            if error.code == "ValidationError" and any(each in error.what for each in _MISSING):
                return None
            raise
        found = answer["Stacks"][0]
        if found["StackStatus"] == "DELETE_COMPLETE":
            return None
        return Stack(
            name=found["StackName"],
            id=found["StackId"],
            status=found["StackStatus"],
            reason=found.get("StackStatusReason"),
            parameters={
                each["ParameterKey"]: each.get("ParameterValue") or ""
                for each in found.get("Parameters") or ()
            },
            outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs") or ()},
        )

    def propose(self, proposal: Proposal) -> None:
        """Make the change set; it takes a while until it can be read. One of the same name that
        was left behind is replaced."""
        self.discard(proposal.stack, proposal.change_set)
        given: list[dict[str, object]] = [
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in proposal.parameters.items()
        ]
        given += [{"ParameterKey": key, "UsePreviousValue": True} for key in proposal.known]
        request: dict[str, object] = {
            "StackName": proposal.stack,
            "ChangeSetName": proposal.change_set,
            "ChangeSetType": "CREATE" if proposal.create else "UPDATE",
            **({"TemplateURL": proposal.url} if proposal.url else {"TemplateBody": proposal.body}),
            "Parameters": given,
            "Capabilities": list(proposal.capabilities),
        }
        if proposal.create:
            # What did not come up leaves nothing that the next try would stumble over.
            request["OnStackFailure"] = "DELETE"
        self._call("CreateChangeSet", request, proposal.stack)

    def read(self, stack: str, change_set: str) -> ChangeSet:
        request: dict[str, object] = {"StackName": stack, "ChangeSetName": change_set}
        changes: list[ResourceChange] = []
        while True:
            answer = self._call("DescribeChangeSet", request, stack)
            changes += [_change(each["ResourceChange"]) for each in answer.get("Changes") or ()]
            token = answer.get("NextToken")
            if not token or token == request.get("NextToken"):
                break
            request["NextToken"] = token
        return ChangeSet(
            status=answer["Status"],
            reason=answer.get("StatusReason") or "",
            changes=tuple(changes),
        )

    def execute(self, stack: str, change_set: str) -> None:
        request = {"StackName": stack, "ChangeSetName": change_set}
        self._call("ExecuteChangeSet", request, stack)

    def discard(self, stack: str, change_set: str) -> None:
        """Delete a change set; nothing where there is none."""
        request = {"StackName": stack, "ChangeSetName": change_set}
        try:
            self._call("DeleteChangeSet", request, stack)
        except AwsError as error:
            gone = any(words in error.what for words in (*_MISSING, "ChangeSetNotFound"))
            if not gone and error.code != "ChangeSetNotFound":
                raise

    def forget(self, stack: Stack) -> None:
        """Delete a stack that never came to hold anything."""
        if stack.empty:
            self._call("DeleteStack", {"StackName": stack.id}, stack.name)

    def failures(self, stack_id: str) -> tuple[str, ...]:
        """Why up to ten resources failed in the last operation, the first cause first."""
        answer = self._call("DescribeStackEvents", {"StackName": stack_id}, stack_id)
        found = []
        for event in answer.get("StackEvents") or ():  # newest first
            own = event.get("PhysicalResourceId") == stack_id
            if own and event["ResourceStatus"] in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}:
                break
            reason = event.get("ResourceStatusReason") or "no reason is given"
            if event["ResourceStatus"].endswith("_FAILED") and _FOLLOWS not in reason:
                found.append(f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
        return tuple(found[::-1][:10])

    def _call(self, operation: str, request: Mapping[str, object], where: str) -> dict[str, Any]:
        return self._clients.call(_SERVICE, operation, request, where=where)


def _change(found: Mapping[str, object]) -> ResourceChange:
    replacement, scope = found.get("Replacement"), found.get("Scope")
    return ResourceChange(
        action=str(found["Action"]),
        resource=str(found["LogicalResourceId"]),
        kind=str(found["ResourceType"]),
        replacement=str(replacement) if replacement else None,
        scope=tuple(scope) if isinstance(scope, list) else (),
    )
