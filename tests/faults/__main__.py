"""``python -m tests.faults``: put faults into a finished run and its inputs, and see what the program makes of them."""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as tests/conftest.py: the bytes depend on it
sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does: the helpers of the tests are modules at the top

from faults.campaign import main

sys.exit(main())
