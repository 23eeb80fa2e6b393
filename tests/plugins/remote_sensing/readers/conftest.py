import sys
from pathlib import Path

# The trees of all layouts are shared by the tests of the readers and the one of the registry.
sys.path.append(str(Path(__file__).parent))
