"""Networks, one architecture a file: a Config dataclass and the module."""
