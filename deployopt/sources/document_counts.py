"""How many documents of a text are for what; light, as `plan` says them too."""

from typing import Final

SEARCH_DOCUMENTS: Final = 24
GATE_DOCUMENTS: Final = 128
CALIBRATION_DOCUMENTS: Final = 64
CALIBRATION_DOCUMENTS_MIN: Final = 16
"""With fewer left, nothing is calibrated: what judges comes first."""
DOCUMENTS_MIN: Final = 24
