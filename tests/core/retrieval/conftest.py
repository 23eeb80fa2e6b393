import sys
from pathlib import Path

# The workers of Ray and the tiny towers are importable modules, as a plugin's classes are.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "hub")]
