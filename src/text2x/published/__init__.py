"""Networks that others published, in ours: names of their weights, readers of their settings and of their folders."""
