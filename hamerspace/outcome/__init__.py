"""What became of a trial: the values that search, report, dashboard and command line share."""
