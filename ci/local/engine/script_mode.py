"""The training toolkit's contract: what `sagemaker_program` implies in an image that carries
sagemaker-training, and the SM_* variables a script reads there.

Facts from the documentation of sagemaker-training (ENVIRONMENT_VARIABLES.md) and its
`environment`, `mapping` and `errors` modules.
"""

import json
import os
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ci.definition.resolve import to_text
from ci.local.engine.failure import StepFailure

_OWN = "sagemaker_"
HOST = "algo-1"


def decode(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Hyperparameters as the toolkit reads them: JSON where it is JSON, text elsewhere."""
    return {name: _decoded(text) for name, text in hyperparameters.items()}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def user_parameters(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those a script gets: without the toolkit's own."""
    return {k: v for k, v in hyperparameters.items() if not k.startswith(_OWN)}


def command(hyperparameters: Mapping[str, Any]) -> list[str]:
    """The command line of a `sagemaker_program`."""
    program = str(hyperparameters["sagemaker_program"])
    arguments = to_arguments(user_parameters(hyperparameters))
    if program.endswith(".py"):
        return ["python3", program, *arguments]
    return ["/bin/sh", "-c", f'exec ./{program} "$@"', program, *arguments]


def to_arguments(parameters: Mapping[str, Any]) -> list[str]:
    """`--name value`, `-n value` for one letter, sorted by name as the toolkit has it."""
    arguments: list[str] = []
    for name in sorted(parameters):
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}", _argument(parameters[name])]
    return arguments


def _argument(value: Any) -> str:
    return str(value) if isinstance(value, bool | float | int | None) else to_text(value)


def unpack_code(uri: str, code: Path, fetch: Callable[[str, Path], None], scratch: Path) -> None:
    """The tarball of `sagemaker_submit_directory` into /opt/ml/code."""
    archive = scratch / "sourcedir.tar.gz"
    fetch(uri, archive)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(code, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise StepFailure(f"ClientError: {uri} is not a tarball of code: {error}") from None


def environment(
    *,
    job: str,
    channels: Sequence[str],
    hyperparameters: Mapping[str, Any],
    input_config: Mapping[str, Any],
    resource_config: Mapping[str, Any],
    instance: str,
) -> dict[str, str]:
    """SM_* variables. `hyperparameters` are decoded, the toolkit's own included."""
    user = user_parameters(hyperparameters)
    framework = {k: v for k, v in hyperparameters.items() if k.startswith(_OWN)}
    program = str(hyperparameters.get("sagemaker_program", ""))
    cpus = os.cpu_count() or 1
    folders = {name: f"/opt/ml/input/data/{name}" for name in channels}
    values: dict[str, Any] = {
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_INPUT_DIR": "/opt/ml/input",
        "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
        "SM_OUTPUT_DIR": "/opt/ml/output",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": "/opt/ml/output/intermediate",
        "SM_CHANNELS": list(channels),
        "SM_HPS": user,
        "SM_USER_ARGS": to_arguments(user),
        "SM_FRAMEWORK_PARAMS": framework,
        "SM_INPUT_DATA_CONFIG": input_config,
        "SM_RESOURCE_CONFIG": resource_config,
        "SM_CURRENT_HOST": HOST,
        "SM_HOSTS": [HOST],
        "SM_MASTER_ADDR": HOST,
        "SM_CURRENT_INSTANCE_TYPE": instance,
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_NUM_CPUS": cpus,
        "SM_NUM_GPUS": 0,
        "SM_NUM_NEURONS": 0,
        "SM_LOG_LEVEL": hyperparameters.get("sagemaker_container_log_level", 20),
        "SM_USER_ENTRY_POINT": program,
        "SM_MODULE_NAME": program.removesuffix(".py"),
        "SM_MODULE_DIR": hyperparameters.get("sagemaker_submit_directory", "/opt/ml/code"),
        **{f"SM_CHANNEL_{name.upper()}": folder for name, folder in folders.items()},
        **{f"SM_HP_{name.upper()}": value for name, value in user.items()},
    }
    values["SM_TRAINING_ENV"] = {
        "job_name": job,
        "hyperparameters": user,
        "channel_input_dirs": folders,
        "input_data_config": input_config,
        "resource_config": resource_config,
        "model_dir": values["SM_MODEL_DIR"],
        "output_dir": values["SM_OUTPUT_DIR"],
        "output_data_dir": values["SM_OUTPUT_DATA_DIR"],
        "input_dir": values["SM_INPUT_DIR"],
        "input_config_dir": values["SM_INPUT_CONFIG_DIR"],
        "current_host": HOST,
        "current_instance_type": instance,
        "hosts": [HOST],
        "network_interface_name": "lo",
        "num_cpus": cpus,
        "num_gpus": 0,
        "num_neurons": 0,
        "module_name": values["SM_MODULE_NAME"],
        "module_dir": values["SM_MODULE_DIR"],
        "user_entry_point": program,
        "is_master": True,
        "master_hostname": HOST,
    }
    return {name: to_text(value) for name, value in values.items()}
