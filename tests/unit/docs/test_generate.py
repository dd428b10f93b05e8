"""Generated pages of the documentation are what the code says."""

import subprocess
import sys
from pathlib import Path

GENERATE = Path(__file__).parents[3] / "docs" / "generate.py"


def test_generated_pages_are_up_to_date():
    checked = subprocess.run([sys.executable, str(GENERATE), "--check"], capture_output=True, text=True)

    assert (checked.returncode, checked.stdout) == (0, "")
