"""Decides which forge a repository is on, and opens it with the token that the job has for it."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from ci.forge.github import github_from_environment
from ci.forge.model import Forge
from ci.trigger.model import Trigger


def open_forge(
    trigger: Trigger, environ: Mapping[str, str], *, sleep: Callable[[float], None]
) -> Forge | None:
    """The forge of the trigger's repository; None where there is none, or no token for it.
    ForgeError where what the environment says of it cannot be right."""
    if trigger.repository is None or not _is_github(trigger.host, environ):
        return None
    return github_from_environment(environ, trigger.repository, sleep=sleep)


def _is_github(host: str | None, environ: Mapping[str, str]) -> bool:
    """Whether a repository's host is the GitHub that the environment's token is for: the same
    owner and name on another host are somebody else's."""
    if host is None:
        return True
    addresses = (environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_API_URL"))
    known = {urlsplit(address).hostname for address in addresses if address}
    return host in known | {"github.com", "ssh.github.com"}
