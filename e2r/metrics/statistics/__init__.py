"""From per-query values to intervals, tests and frontiers; knows no run and no file."""
