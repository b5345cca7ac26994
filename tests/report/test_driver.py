"""What of a failed training step's log is the SDK's own, and left out."""

from ci.report.driver import leave_out_driver

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


def note(count: int) -> str:
    return f"… {count} line{'' if count == 1 else 's'} of the SageMaker SDK's driver left out"


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
