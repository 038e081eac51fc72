"""A whole site: the same every time, the same over a broker, in the right shape, and never out of balance."""
