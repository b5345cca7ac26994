"""`python -m ci`, for environments without the installed command."""

import sys

from ci.cli import entry_point

sys.exit(entry_point())
