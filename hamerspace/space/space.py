"""The space of one study, as suggestions and as recipes."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from optuna.trial import BaseTrial

from hamerspace.errors import ConfigError
from hamerspace.recipe import Mask, Recipe, Scalar
from hamerspace.space.choice import Choice


class Space:
    """Conditional choices in the order of the decisions.

    Args:
        name: For messages.
        choices: Ordered so that every condition looks back.
        masks: What was taken out, with reasons, to be told to people.

    Raises:
        ConfigError: No recipe is left.
    """

    def __init__(self, name: str, choices: Sequence[Choice], masks: Sequence[Mask] = ()) -> None:
        self.name = name
        self.choices = tuple(choices)
        self.masks = tuple(masks)
        if next(iter(self._walk({}, 0)), None) is None:
            reasons = "; ".join(sorted({m.reason for m in masks}))
            raise ConfigError(
                f"space '{name}' holds no recipe for this model"
                + (f": {reasons}" if reasons else "")
                + "; choose another space or widen this one"
            )

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of those that are left to choose from."""
        return next(tuple(map(str, c.values)) for c in self.choices if c.name == "backend")

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe that a trial's sampler chooses."""
        return self._recipe(self._chosen(lambda choice: choice.suggest(trial)))

    def recipes(self) -> Iterator[Recipe]:
        """Every distinct recipe; continuous ranges contribute their ends only."""
        return (self._recipe(chosen) for chosen in self._walk({}, 0))

    def count(self) -> int | None:
        """Number of distinct recipes; ``None`` where a range is continuous."""
        return self._count

    @cached_property
    def _count(self) -> int | None:
        if any(choice.continuous for choice in self.choices):
            return None
        return self._count_from({}, 0, {})

    def _count_from(
        self, chosen: dict[str, Scalar], position: int, known: dict[tuple[object, ...], int]
    ) -> int:
        """Ways to choose from ``position`` on; they depend on what later conditions look at."""
        if position == len(self.choices):
            return 1
        key = (position, *(chosen.get(name) for name in self._looked_at[position]))
        if key not in known:
            choice = self.choices[position]
            if choice.active(chosen):
                known[key] = sum(
                    self._count_from({**chosen, choice.name: value}, position + 1, known)
                    for value in choice.values
                )
            else:
                known[key] = self._count_from(chosen, position + 1, known)
        return known[key]

    @cached_property
    def _looked_at(self) -> list[tuple[str, ...]]:
        """Of each position, the parameters that its condition or a later one looks at."""
        found: list[tuple[str, ...]] = []
        names: set[str] = set()
        for choice in reversed(self.choices):
            names |= {name for condition in choice.when for name in condition.parameters}
            found.append(tuple(sorted(names)))
        return found[::-1]

    def complete(self, partial: Mapping[str, Scalar]) -> Recipe | None:
        """The recipe with these values and otherwise defaults (or the first value left).

        ``None`` where the space rules one of the values out, or it would be inert.
        """
        chosen = self._filled(partial)
        if chosen is None or not partial.items() <= chosen.items():
            return None
        return self._recipe(chosen)

    def draw(self, source: random.Random) -> Recipe:
        """A recipe whose choices are drawn one by one, each evenly."""
        return self._recipe(self._chosen(lambda choice: choice.draw(source)))

    def neighbours(self, recipe: Recipe) -> Iterator[Recipe]:
        """The recipes that differ in one choice, and in what that switches on or off.

        What becomes active takes its default, or the first value left; of continuous ranges the
        ends and the middle are tried.
        """
        own = self.suggestions(recipe)
        for choice in self.choices:
            if choice.name not in own:
                continue
            for value in choice.listed:
                if value != own[choice.name]:
                    changed = self._filled({**own, choice.name: value})
                    if changed is not None:
                        yield self._recipe(changed)

    def suggestions(self, recipe: Recipe) -> dict[str, Scalar]:
        """The part of a recipe that is asked of a trial: where there is a choice."""
        parameters = recipe.parameters
        chosen = self._chosen(lambda c: parameters.get(c.name, c.parameter.default))
        return {c.name: chosen[c.name] for c in self.choices if c.asked and c.name in chosen}

    def _chosen(self, choose: Callable[[Choice], Scalar]) -> dict[str, Scalar]:
        """A value for each parameter that those before it make active."""
        chosen: dict[str, Scalar] = {}
        for choice in self.choices:
            if choice.active(chosen):
                chosen[choice.name] = choose(choice)
        return chosen

    def _filled(self, wanted: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """These values where they are active and left, else defaults or the first value left.

        ``None`` where nothing is left of what is active.
        """

        def choose(choice: Choice) -> Scalar:
            value = wanted.get(choice.name, choice.parameter.default)
            return value if choice.contains(value) else choice.listed[0]

        try:
            return self._chosen(choose)
        except IndexError:
            return None

    def _recipe(self, chosen: Mapping[str, Scalar]) -> Recipe:
        """What was chosen, less the values that do nothing."""
        idle = {c.name: c.parameter.default for c in self.choices if c.parameter.optional}
        return Recipe({n: v for n, v in chosen.items() if n not in idle or v != idle[n]})

    def _walk(self, chosen: dict[str, Scalar], position: int) -> Iterator[Mapping[str, Scalar]]:
        """Every way to choose from ``position`` on; ``chosen`` itself is changed and yielded."""
        if position == len(self.choices):
            yield chosen
            return
        choice = self.choices[position]
        if not choice.active(chosen):
            yield from self._walk(chosen, position + 1)
            return
        for value in (choice.low, choice.high) if choice.continuous else choice.values:
            chosen[choice.name] = value
            yield from self._walk(chosen, position + 1)
        chosen.pop(choice.name, None)
