"""A site's messages as time-series points: the table of measurements, how points are made, and InfluxDB."""
