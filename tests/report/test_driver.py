"""What of a failed step's log is SageMaker's own and left out, and what the rest ends in."""

import pytest

from ci.report.driver import is_drivers_reason, leave_out_driver, raised_at_last

# What SDK v3 writes around a script that fails, shortened.
BEFORE = """\
Starting training script
+ /usr/bin/python3 --version
+ echo /opt/ml/input/config/resourceconfig.json:
/opt/ml/input/config/resourceconfig.json:
+ cat /opt/ml/input/config/resourceconfig.json
{"current_host": "algo-1"}
+ echo 'Setting up environment variables'
Setting up environment variables
+ /usr/bin/python3 /opt/ml/input/data/sm_drivers/scripts/environment.py
No GPUs detected (normal if no gpus installed)
Environment Variables:
PATH=/usr/bin
CERTIFICATE=first line
second line
SM_TRAINING_ENV={"job_name": "a"}
SM_MODEL_DIR=/opt/ml/model
SM_HPS={"alpha": 1}
SM_TRAINING_ENV={"job_name": "a"}
+ set +x
+ cd /opt/ml/input/data/code
+ echo 'Running Basic Script driver'
Running Basic Script driver
+ /usr/bin/python3 /opt/ml/input/data/sm_drivers/distributed_drivers/basic_script_driver.py
""".splitlines()
SCRIPT = """\
Executing command: /usr/bin/python3 train.py --alpha 1
alpha=1
SM_MODEL_DIR=/opt/ml/model
+ python prepare.py
{"epoch": 1}
Traceback (most recent call last):
File "/opt/ml/input/data/code/train.py", line 8, in <module>
column(frame, "rings")
KeyError: "no such column: 'rings'"
""".splitlines()
TRACE = """\
Command failed with exit code 1. Traceback: Traceback (most recent call last):
  File "/opt/ml/input/data/sm_drivers/common/utils.py", line 193, in execute_commands
    raise subprocess.CalledProcessError(exitcode, commands)
subprocess.CalledProcessError: Command '['python3', 'train.py']' returned non-zero exit status 1.
""".splitlines()
AFTER = """\
++ handle_error
++ EXIT_STATUS=1
++ echo 'An error occurred with exit code 1'
An error occurred with exit code 1
++ '[' '!' -s /opt/ml/output/failure ']'
++ exit 1
""".splitlines()

# What sagemaker-training writes around a script in script mode, shortened.
TOOLKIT = "2026-03-02 09:00:00,000 sagemaker-training-toolkit "
TOOLKIT_BEFORE = f"""\
{TOOLKIT}INFO     No GPUs detected (normal if no gpus installed)
{TOOLKIT}INFO     Invoking user script

Training Env:

{{
    "hyperparameters": {{
        "alpha": 1
    }},
    "topology": []
}}

Environment variables:

SM_HOSTS=["localhost"]
SM_TRAINING_ENV={{"hyperparameters":{{"alpha":1}}}}
SM_HP_ALPHA=1

Invoking script with the following command:

""".splitlines()
TOOLKIT_AFTER = f"""\
{TOOLKIT}ERROR    Reporting training FAILURE
{TOOLKIT}ERROR    ExecuteUserScriptError:
ExitCode 1
ErrorMessage "KeyError: 'rings'
"
Command "/usr/bin/python3 train.py --alpha 1"
{TOOLKIT}ERROR    Encountered exit_code 1
""".splitlines()
TOOLKIT_SCRIPT = """\
/usr/bin/python3 -- train.py --alpha 1
alpha=1
Traceback (most recent call last):
  File "/opt/ml/code/train.py", line 8, in <module>
    column(frame, "rings")
KeyError: 'rings'
""".splitlines()


def note(count: int) -> str:
    return f"… {count} line{'' if count == 1 else 's'} of SageMaker's own left out"


def test_the_script_is_left_with_its_traceback() -> None:
    shown = leave_out_driver([*BEFORE, *SCRIPT, *TRACE, *AFTER])
    assert shown == (note(len(BEFORE)), *SCRIPT, note(len(TRACE) + len(AFTER)))


def test_a_tail_that_begins_within_the_dump() -> None:
    cut = BEFORE[-7:]
    assert cut[0].startswith("SM_HPS=")
    assert leave_out_driver([*cut, *SCRIPT]) == (note(7), *SCRIPT)


def test_a_script_that_writes_the_same_names_keeps_its_lines() -> None:
    said = [*SCRIPT[:1], "ready", 'SM_TRAINING_ENV={"job_name": "a"}', "done"]
    assert leave_out_driver([*BEFORE, *said]) == (
        note(len(BEFORE)), *said[:2], note(1), "done"
    )  # fmt: skip


def test_what_ended_by_a_signal_is_told() -> None:
    killed = [*TRACE[:-1], TRACE[-1].replace("returned non-zero exit status 1", "died with KILL")]
    assert leave_out_driver(killed) == tuple(killed)


def test_any_other_log_stays_as_it_is() -> None:
    assert leave_out_driver(SCRIPT) == tuple(SCRIPT)
    assert leave_out_driver([]) == ()


@pytest.mark.parametrize("first", [0, 4, 8, 15, len(TOOLKIT_BEFORE)])
def test_script_mode_is_left_with_the_script_wherever_the_tail_begins(first: int) -> None:
    before = TOOLKIT_BEFORE[first:]
    shown = leave_out_driver([*before, *TOOLKIT_SCRIPT, *TOOLKIT_AFTER])
    notes = [note(len(before))] if before else []
    assert shown == (*notes, *TOOLKIT_SCRIPT, note(len(TOOLKIT_AFTER)))


def test_what_the_toolkit_says_of_anything_else_stays() -> None:
    other = [f"{TOOLKIT}ERROR    InstallRequirementsError:", "ExitCode 1", 'ErrorMessage "no pip"']
    open_ended = [f"{TOOLKIT}ERROR    ExecuteUserScriptError:", "ExitCode 1", *TOOLKIT_SCRIPT]
    for lines in (other, open_ended):
        assert leave_out_driver(lines) == tuple(lines)


@pytest.mark.parametrize(
    ("log", "raised"),
    [
        ([*BEFORE, *SCRIPT, *TRACE, *AFTER], SCRIPT[-1]),
        ([*TOOLKIT_BEFORE, *TOOLKIT_SCRIPT, *TOOLKIT_AFTER], "KeyError: 'rings'"),
        ([*SCRIPT, "", "During handling of another:", "", *TOOLKIT_SCRIPT[2:-1], "Stop"], "Stop"),
        ([*SCRIPT, "going on without it"], None),
        ([*SCRIPT, "loss: 0.4"][-2:], None),
        (["Traceback (most recent call last):", "ValueError: of no frame"], None),
        (["epoch 1", "loss: 0.4"], None),
        (TRACE, None),
        ([], None),
    ],
)
def test_the_exception_that_a_log_ends_in(log: list[str], raised: str | None) -> None:
    assert raised_at_last(log) == raised


def test_the_drivers_own_reason_is_known() -> None:
    theirs = "\n".join(["AlgorithmError: Traceback", *TRACE[1:]])
    assert is_drivers_reason(f"{theirs}, exit code: 1")
    assert not is_drivers_reason("AlgorithmError: KeyError: 'rings', exit code: 1")
