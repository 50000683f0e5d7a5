"""``hamerspace show``."""

from hamerspace.cli import options


def show(run: options.Run, json: options.Json = False) -> None:
    """Show what a run has found so far: the verdict, the final table, the front."""
    from hamerspace.cli.outcome import print_outcome
    from hamerspace.search.run import Run

    print_outcome(Run.load(run), as_json=json)
