"""What a backend, a technique or a conversion needs to be installed."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from hamerspace.environments.base import environment_python, environment_versions, install_hint


class Requirements:
    """Packages of the interpreter at hand, or a tool environment.

    Attributes:
        modules: Top-level modules that must be importable.
        distributions: Package names whose versions enter the store's keys.
        extra: The extra of ``pip install 'hamerspace[EXTRA]'`` that brings them.
        build_modules: Further modules that building imports. The build worker imports them once,
            instead of in each build.
        environment: Name of the tool environment in which it runs, where its dependencies clash
            with ours; see :mod:`hamerspace.environments`.
    """

    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    extra: str
    build_modules: tuple[str, ...] = ()
    environment: str | None = None

    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed, or the environment that is not."""
        if self.environment is not None:
            here = environment_python(self.environment) is not None
            return () if here else (self.environment,)
        return tuple(name for name in self.modules if find_spec(name) is None)

    def hint(self) -> str | None:
        """The command that installs what is missing; ``None`` where nothing is."""
        if not self.missing():
            return None
        if self.environment is not None:
            return install_hint(self.environment)
        return f"pip install 'hamerspace[{self.extra}]'"

    def versions(self) -> dict[str, str]:
        """Installed versions of what decides the result."""
        if self.environment is not None:
            return environment_versions(self.environment)
        return installed_versions(self.distributions)


def installed_versions(distributions: tuple[str, ...]) -> dict[str, str]:
    """Versions of packages; those that are not installed are left out."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
