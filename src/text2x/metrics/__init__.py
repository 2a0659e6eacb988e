"""Metrics, one file a metric: a figure is a `Metric`, with a 95 % interval, its N and the name of its feature space."""
