"""A search without models: for tests of samplers and gates, and to measure bookkeeping."""

import hashlib
from dataclasses import dataclass

from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Latency, Measurement, Quality
from hamerspace.outcome.record import Evaluation
from hamerspace.recipe import Recipe


class NothingBuilt:
    """The build stages of a study whose store is empty."""

    def missing(self, recipe: Recipe) -> tuple[str, ...]:
        """Labels of the stages of a recipe, roughly as a real one has them."""
        techniques = ("prune", "recover") if "prune.ratio" in recipe.parameters else ()
        return (*techniques, f"build {recipe.backend}")

    def known_to_fail(self, recipe: Recipe) -> bool:  # noqa: ARG002
        """Nothing is known."""
        return False


@dataclass(frozen=True)
class SimulatedEvaluator:
    """Stands in for building and measuring: figures that depend on the recipe alone.

    Every parameter value multiplies size and latency by a factor drawn from its digest, and adds
    to the drop, so that some recipes are better than others and choices have effects of their own.

    Attributes:
        failing: Share of recipes whose build fails, between 0 and 1.
        seed: Of the figures.
    """

    failing: float = 0.05
    seed: int = 0

    def __call__(self, recipe: Recipe, *, always_timed: bool = False) -> Evaluation:  # noqa: ARG002
        """Figures of a recipe; equal recipes have equal figures."""
        if self._draw(recipe.id) < self.failing:
            return Evaluation(recipe, Measurement(Gate.BUILD, "simulated failure", failed=True))
        size_mb, ratio, drop = 4.0, 1.0, 0.0
        for name, value in recipe.parameters.items():
            size_mb *= 0.6 + 0.6 * self._draw(f"size {name} {value}")
            ratio *= 0.5 + 0.8 * self._draw(f"latency {name} {value}")
            drop += 0.6 * self._draw(f"drop {name} {value}") ** 3
        latency = Latency(
            ratio=Interval(ratio, 0.98 * ratio, 1.02 * ratio),
            latency_ms=Interval(ratio, 0.98 * ratio, 1.02 * ratio),
            p50_ms=ratio,
            p90_ms=1.1 * ratio,
            p99_ms=None,
            cpu_p50_ms=ratio,
            cpu_p90_ms=1.1 * ratio,
            runs=100,
            blocks=10,
            wall_over_cpu=1.0,
            basis="wall",
            throughput_per_s=1000 / ratio,
            p90_ratio=Interval(ratio, 0.96 * ratio, 1.04 * ratio),
            p90_latency_ms=Interval(1.1 * ratio, 1.05 * ratio, 1.15 * ratio),
        )
        quality = Quality(
            0.92 - drop / 100, 0.92, Interval(drop, drop - 0.3, drop + 0.3), 2000, 2000
        )
        measurement = Measurement(
            Gate.COMPLETE,
            size_mb=size_mb,
            load_time_ms=10.0,
            peak_memory_mb=3 * size_mb,
            latency=latency,
            quality=quality,
            download_mb=0.9 * size_mb,
        )
        return Evaluation(recipe, measurement)

    def _draw(self, text: str) -> float:
        digest = hashlib.sha256(f"{self.seed} {text}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64
