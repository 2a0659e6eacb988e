"""`python -m text2x`: the same as the command `text2x`."""

import sys

from text2x.cli import main

sys.exit(main())
