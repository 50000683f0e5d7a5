"""A study in optuna-dashboard, while it goes on and afterwards.

What is served is a copy in memory, decorated with what optuna-dashboard shows and the study's
storage does not hold: constraints in the form that it reads, notes, artifacts, figures. The run is
only ever read, so a search may hold it meanwhile, its storage may be shared, and a run of any age
is shown alike.

Needs the extra ``dashboard``; :mod:`hamerspace.dashboard.server` is where to begin.
"""
