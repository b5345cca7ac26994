"""Decides where a project file stands in its repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci.project.load import FILE_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`root` is the repository's; `project` the file's path below it, None for the one that stands
    at the root under its own name: a repository's only project is not told apart."""

    root: Path
    project: str | None

    def below(self, file: Path) -> str | None:
        """A file's path as the forge names it; None for one that is not in the repository."""
        try:
            return file.resolve().relative_to(self.root).as_posix()
        except ValueError:
            return None


def find_place(file: Path, environ: Mapping[str, str]) -> Place:
    """`file` is the project's. A source without history (a zip of CodePipeline) begins where the
    job says that it put it."""
    file = file.resolve()
    given = (environ.get(name) for name in ("GITHUB_WORKSPACE", "CODEBUILD_SRC_DIR"))
    begins = {Path(folder).resolve() for folder in given if folder}
    roots = [each for each in file.parents if (each / ".git").exists() or each in begins]
    place = Place(root=roots[0] if roots else file.parent, project=None)
    path = place.below(file)
    return place if path in {None, FILE_NAME} else Place(root=place.root, project=path)
