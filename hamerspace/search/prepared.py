"""What is known of a study before anything is built or measured."""

import os
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path

from hamerspace.backends import wrap_source
from hamerspace.backends.base import Host
from hamerspace.backends.candidate import Candidate
from hamerspace.build.builder import prepare
from hamerspace.build.holds import Holds
from hamerspace.build.store import Store
from hamerspace.build.worker import Worker
from hamerspace.config.loading import parse_space_file
from hamerspace.config.space import SpaceConfig
from hamerspace.config.study import AUTO_GOAL, AUTO_SPACE, LoadedStudy
from hamerspace.space.assemble import assemble_space
from hamerspace.space.catalog import choose_space, find_space_file
from hamerspace.space.goals import narrow, refuse_idle_goal
from hamerspace.space.space import Space
from hamerspace.targets import TARGETS, Target
from hamerspace.tasks.task import Task


class Prepared(ExitStack):
    """A study's task and device, and what its space comes to for them; close it when done.

    Each is found out when it is first asked for. No run folder is needed. Closing it ends every
    process and keeps the store within its bound, each whatever the others raise.

    Args:
        loaded: The study.
        store: Keeps the task, and what is built from it; kept within its bound when this closes.
        backends: Restrict the space to these.
        log: Receives what reading the model and the data prints.

    Attributes:
        worker: Reads the model, and builds from it.
        holds: Of the task, and of what else the store must keep while this is open.
    """

    def __init__(
        self,
        loaded: LoadedStudy,
        store: Store,
        backends: tuple[str, ...] | None = None,
        log: Path = Path(os.devnull),
    ) -> None:
        super().__init__()
        self.loaded = loaded
        self.config = loaded.config
        self.constraints = loaded.config.constraints.constraints()
        self.store = store
        self.callback(store.evict)
        self.holds = self.enter_context(Holds())
        self.worker = self.enter_context(Worker())
        self._backends = backends
        self._log = log

    @cached_property
    def task(self) -> Task:
        """The inspected model and the split data."""
        return prepare(self.loaded, self.store, self.worker, self._log, self.holds)

    @cached_property
    def target(self) -> Target:
        """Where candidates are measured."""
        budget, target = self.config.budget, self.config.target
        make = TARGETS.load(target.name)
        made = make(target.threads, budget.measure_timeout_s, hardware=target.hardware)
        return self.enter_context(closing(made))

    @cached_property
    def host(self) -> Host:
        """What of the target decides which choices make sense."""
        return self.target.host()

    @cached_property
    def space(self) -> Space:
        """What the space file means for this model on this target."""
        task, goal = self.task, self.config.goal
        space = assemble_space(
            self.space_config,
            task.info,
            self.host,
            task.loss,
            self._backends,
            self.config.target.hardware,
        )
        if goal != AUTO_GOAL:
            refuse_idle_goal(space, goal)
        return space

    @cached_property
    def space_config(self) -> SpaceConfig:
        """What the space file declares, as far as the goal leaves it."""
        declared = parse_space_file(find_space_file(self._space_choice[0], self.loaded.root))
        return narrow(declared, self.config.goal)

    @property
    def space_reason(self) -> str:
        """Why ``auto`` took this space; empty where the study names one."""
        return self._space_choice[1]

    @cached_property
    def _space_choice(self) -> tuple[str, str]:
        name = self.config.space
        if name != AUTO_SPACE:
            return name, ""
        return choose_space(self.task.info, self.config.target.hardware, self.host.machine)

    @cached_property
    def source(self) -> Candidate:
        """The source model as its user runs it."""
        return wrap_source(self.task.source)
