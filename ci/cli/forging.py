"""Opens the forge of a command's repository, and hides the token that was read for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ci.cli.shell import Shell

if TYPE_CHECKING:
    from ci.forge.model import Forge
    from ci.session.session import Session
    from ci.trigger.model import Trigger


def open_session_forge(
    shell: Shell, session: "Session", *, warn: Callable[[str], None]
) -> "Forge | None":
    """None where the repository has none, or no token is at hand. What is wrong with it is told,
    and ends nothing."""
    from ci.errors import ForgeError

    try:
        return session.forge(sleep=shell.pause, learn=shell.learn)
    except ForgeError as error:
        warn(str(error))
        return None


def vouched(shell: Shell, trigger: "Trigger") -> "Trigger":
    """The trigger, as the forge knows it: CodeBuild does not tell where a pull request comes
    from. Asked with the environment's token alone, since the project file is not trusted yet."""
    from ci.forge.vouching import ask_where_from, is_doubtful

    if not is_doubtful(trigger):
        return trigger
    from ci.errors import ForgeError
    from ci.forge.opening import open_forge

    try:
        forge = open_forge(trigger, shell.environ, sleep=shell.pause)
        return trigger if forge is None else ask_where_from(forge, trigger)
    except ForgeError as error:
        shell.warn(f"warning: {error}")
        return trigger
