"""A chaos drill: a plan of faults, played on a site of real processes, and judged by what was heard."""
