"""Statistics of sets of runs: confidence intervals, and paired differences on common random numbers."""
