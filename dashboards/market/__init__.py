"""One tick's market, aggregated once: who sold what to whom, each cell's energy balance, totals of the site."""
