"""Whether two runtimes give the same answer."""

import numpy as np

from .process import Failed

# Of the range of the logits. The largest found in f32 is a few millionths, with Winograd's convolutions; half precision
# anywhere would give thousandths.
TOLERANCE = 1e-4


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest between two logits of one class, as a part of their range."""
    ours, theirs = ours.ravel(), theirs.ravel()
    if ours.shape != theirs.shape:
        raise Failed(f"it gives {len(theirs)} logits, ours gives {len(ours)}")
    return float(np.abs(ours - theirs).max() / np.ptp(ours))


def agree(ours: np.ndarray, theirs: np.ndarray) -> float:
    found = difference(ours, theirs)
    if not found <= TOLERANCE:  # also if it is not a number
        raise Failed(f"its logits differ from ours by {found:.1e} of their range, above {TOLERANCE}")
    return found
