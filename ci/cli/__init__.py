"""The command line: argument parsing, composition, and the only place where errors become codes."""


def entry_point() -> int:
    """What the installed command runs."""
    from ci.cli.main import run_process

    return run_process()
