"""A bundle as a folder: written by `plan --out`, read and verified by `deploy --plan`.

bundle.json             all but the definition and the files
definition.json         the canonical bytes
artifacts/<sha256>      the files
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci.compile.bundle import Artifact, Bundle, Function
from ci.compile.digest import bundle_digest
from ci.errors import CompileError

_FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write the bundle; a folder that exists must be empty or hold a bundle, which is replaced."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "bundle.json").exists():
        raise CompileError(
            "The folder for the bundle holds something else.",
            where=str(folder),
            fix="Name a folder that is empty or does not exist.",
        )
    files = folder / "artifacts"
    if files.exists():
        shutil.rmtree(files)
    files.mkdir(parents=True)
    for artifact in bundle.artifacts.values():
        if not (files / artifact.sha256).exists():
            shutil.copyfile(artifact.path, files / artifact.sha256)
    (folder / "definition.json").write_bytes(bundle.definition)
    text = json.dumps(_document(bundle), indent=2, sort_keys=True) + "\n"
    (folder / "bundle.json").write_text(text, encoding="utf-8")


def _document(bundle: Bundle) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "digest": bundle.digest,
        "bucket": bundle.bucket,
        "prefix": bundle.prefix,
        "artifacts": [
            {"key": key, "sha256": item.sha256, "name": item.name, "size": item.size}
            for key, item in sorted(bundle.artifacts.items())
        ],
        "functions": [
            {
                "name": function.name,
                "arn": function.arn,
                "sha256": function.sha256,
                "configuration": dict(function.configuration),
            }
            for function in bundle.functions
        ],
        "volatile": list(bundle.volatile),
        "masks": list(bundle.masks),
    }


def read_bundle(folder: Path) -> Bundle:
    """The bundle of a folder. CompileError where a byte of it is not what its hashes say."""
    file = folder / "bundle.json"
    try:
        document = json.loads(file.read_bytes())
        definition = (folder / "definition.json").read_bytes()
    except FileNotFoundError as error:
        raise CompileError(
            "There is no bundle here.",
            where=str(error.filename),
            fix="sagemaker-gitops plan --out <folder>",
        ) from None
    except (ValueError, OSError) as error:
        raise CompileError("The bundle cannot be read.", where=str(file), why=str(error)) from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise CompileError(
            "This is not a bundle that this version can read.",
            where=str(file),
            fix="Make it again: sagemaker-gitops plan --out <folder>",
        )
    try:
        bundle = _bundle(document, definition, folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise CompileError(
            "The bundle is damaged.", where=str(file), why=f"{type(error).__name__}: {error}"
        ) from None
    return _verified(bundle, file)


def _bundle(document: Mapping[str, Any], definition: bytes, folder: Path) -> Bundle:
    artifacts = {}
    for item in document["artifacts"]:
        if not _SHA256.match(item["sha256"]):
            raise KeyError("sha256")
        artifacts[item["key"]] = Artifact(
            sha256=item["sha256"],
            name=item["name"],
            size=item["size"],
            path=folder / "artifacts" / item["sha256"],
            key=item["key"],
        )
    return Bundle(
        definition=definition,
        digest=document["digest"],
        bucket=document["bucket"],
        prefix=document["prefix"],
        artifacts=artifacts,
        functions=tuple(
            Function(
                name=item["name"],
                arn=item["arn"],
                sha256=item["sha256"],
                configuration=item["configuration"],
            )
            for item in document["functions"]
        ),
        volatile=tuple(document["volatile"]),
        masks=tuple(document["masks"]),
    )


def _verified(bundle: Bundle, file: Path) -> Bundle:
    for artifact in bundle.artifacts.values():
        try:
            found = hashlib.sha256(artifact.path.read_bytes()).hexdigest()
        except OSError:
            found = "nothing"
        if found != artifact.sha256:
            raise CompileError(
                f"The bundle's {artifact.name} is not the file that was compiled.",
                where=str(artifact.path),
                why=f"its SHA-256 is {found}, not {artifact.sha256}",
                fix="Make the bundle again: sagemaker-gitops plan --out <folder>",
            )
    try:
        digest = bundle_digest(
            bundle.definition,
            bundle.artifacts,
            bundle.functions,
            bucket=bundle.bucket,
            masks=bundle.masks,
        )
    except ValueError:
        digest = "none: the definition is not text"
    if digest != bundle.digest:
        raise CompileError(
            "The bundle was changed after it was compiled.",
            where=str(file),
            why=f"its digest is {digest}, not {bundle.digest}",
            fix="Make the bundle again: sagemaker-gitops plan --out <folder>",
        )
    return bundle
