"""Plans as folders: written for a reviewer by `plan --out`, read by `--against` and `--plan`.

FOLDER/<pipeline>/       a bundle (`ci.compile.store`), and beside it
    plan.json            the plan, and the settings that were planned
    deployed.json        what it was compared with, where there was something
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ci.compile.bundle import Bundle
from ci.compile.store import read_bundle, write_bundle
from ci.definition.parse import definition_of
from ci.delivery.planning import Planned
from ci.errors import UsageError
from ci.plan.document import plan_to_json
from ci.plan.model import FunctionState, PipelineState
from ci.plan.naming import is_plan_name
from ci.plan.states import wanted_state

_PLAN, _DEPLOYED = "plan.json", "deployed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A plan that was written down. `digest` is None where the folder holds a bundle alone,
    `before` where there was no pipeline (or nothing was compared with)."""

    folder: Path
    bundle: Bundle
    wanted: PipelineState
    digest: str | None = None
    pipeline: str | None = None
    before: PipelineState | None = None


def write_plan(planned: Planned, folder: Path) -> None:
    """Write it; a folder that exists must be empty or hold an earlier plan, which is replaced.
    UsageError where it cannot be written."""
    try:
        write_bundle(planned.bundle, folder)
        target = planned.target
        settings = {
            "role": target.role,
            "parallelism": target.environment.parallelism,
            "tags": dict(target.tags),
        }
        document = {**plan_to_json(planned.plan), "settings_planned": settings}
        _write(folder / _PLAN, document)
        (folder / _DEPLOYED).unlink(missing_ok=True)
        if planned.before is not None:
            _write(folder / _DEPLOYED, _state(planned.before))
    except OSError as error:
        raise UsageError(
            f"the plan cannot be written: {error.strerror}",
            where=str(error.filename or folder),
            fix="Name a folder that can be written: --out build/plan",
        ) from error


def find_recorded(folder: Path, pipeline: str) -> Recorded:
    """What a folder of `plan --out` (or the folder of one pipeline in it) holds of a pipeline.
    UsageError or CompileError where it is none, or was changed."""
    own = folder / pipeline
    if not (own / "bundle.json").exists() and (folder / "bundle.json").exists():
        own = folder
    bundle = read_bundle(own)
    plan, deployed = _read(own / _PLAN), _read(own / _DEPLOYED)
    settings = plan.get("settings_planned") or {}
    try:
        digest = plan.get("digest")
        return Recorded(
            folder=own,
            bundle=bundle,
            wanted=wanted_state(
                bundle,
                role=settings.get("role"),
                parallelism=settings.get("parallelism"),
                tags=settings.get("tags") or {},
            ),
            digest=digest if digest is None or is_plan_name(digest) else None,
            pipeline=plan.get("pipeline"),
            before=_parse_state(deployed, own / _DEPLOYED) if deployed else None,
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(
            "the recorded plan is damaged",
            where=str(own),
            why=f"{type(error).__name__}: {error}",
            fix="Make it again: sagemaker-gitops plan --out FOLDER",
        ) from None


def as_baseline(recorded: Recorded, role: str) -> PipelineState:
    """The recorded bundle as if it were deployed; a bundle alone tells no settings."""
    wanted = recorded.wanted
    return replace(wanted, identity=None, role=wanted.role or role)


def _state(state: PipelineState) -> dict[str, object]:
    return {
        "definition": state.definition.raw,
        "role": state.role,
        "parallelism": state.parallelism,
        "tags": dict(state.tags),
        "functions": None
        if state.functions is None
        else {
            name: {"sha256": each.sha256, "configuration": dict(each.configuration)}
            for name, each in state.functions.items()
        },
    }


def _parse_state(document: Mapping[str, Any], where: Path) -> PipelineState:
    functions = document["functions"]
    return PipelineState(
        definition=definition_of(document["definition"], where=str(where)),
        role=document["role"],
        parallelism=document["parallelism"],
        tags=dict(document["tags"]),
        functions=None
        if functions is None
        else {
            name: FunctionState(sha256=each["sha256"], configuration=each["configuration"])
            for name, each in functions.items()
        },
    )


def _write(file: Path, document: object) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    file.write_text(text, encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    """Empty where there is no such file."""
    try:
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            "the recorded plan cannot be read", where=str(file), why=str(error)
        ) from None
    return document if isinstance(document, dict) else {}
