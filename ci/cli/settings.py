"""The settings: one table for the action's inputs, the environment's names and the options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An input of the action, the variable it reaches Python by, and the option it stands for.

    `option` is the command line's name (`destination` its attribute); None where the setting is
    not an option. `many` splits the value into words at white space and commas.
    """

    name: str
    variable: str
    description: str
    option: str | None = None
    default: str = ""
    many: bool = False

    @property
    def destination(self) -> str:
        return (self.option or self.name).lstrip("-").replace("-", "_")


def _setting(name: str, description: str, **more: object) -> Setting:
    variable = "SAGEMAKER_GITOPS_" + name.upper().replace("-", "_")
    return Setting(**{"name": name, "variable": variable, "description": description, **more})  # type: ignore[arg-type]  # checked by the tests of the table


SETTINGS: tuple[Setting, ...] = (
    _setting("command", "what to do; auto reads the event and picks", default="auto"),
    _setting("pipelines", "names of pipelines; default: those that the commit touches", many=True),
    _setting("environment", "name of the environment", option="--environment"),
    _setting("parameters", "pipeline parameters, one Name=value a line", option="--parameter"),
    _setting("project-file", "path of the project file", option="--project-file"),
    _setting("deadline", "how long to follow: 90, 30m, 6h", option="--deadline"),
    _setting("on-cancel", "stop or detach", option="--on-cancel"),
    _setting("queue", "SQS queue that EventBridge sends SageMaker's events to", option="--queue"),
    _setting("comment", "false posts no comment", option="--comment"),
    _setting("github-token", "the token that comments are posted with", variable="GITHUB_TOKEN"),
    _setting("role-to-assume", "role assumed by OIDC", option="--role-to-assume"),
    _setting("region", "AWS region, before what the project file names", option="--region"),
    _setting("python", "Python that compiles modules without one of their own", option="--python"),
    _setting("args", "further arguments, quoted as in a shell"),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def settings_in(environ: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Option destinations and their values, as far as the environment names them."""
    found: dict[str, str | list[str]] = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable, "").strip()
        if not text or (setting.option is None and not setting.many):
            continue
        if setting.name == "parameters":
            found[setting.destination] = [
                line.strip() for line in text.splitlines() if line.strip()
            ]
        else:
            found[setting.destination] = re.split(r"[\s,]+", text) if setting.many else text
    return found
