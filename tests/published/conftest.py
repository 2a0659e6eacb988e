"""The reference implementation of what is published."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def diffusers() -> Any:
    """The package; its import takes seconds."""
    return pytest.importorskip("diffusers")
