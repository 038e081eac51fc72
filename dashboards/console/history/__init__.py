"""What the live page is given of a run so far: totals of each tick, events, and the latest messages."""
