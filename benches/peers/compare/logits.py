"""What one engine says of many pictures.

    python -m compare.logits ENGINE FILE PICTURES.npy OUTPUT.npy
"""

import sys
from pathlib import Path

import numpy as np

from .engines import LOADERS


def main():
    engine, file, pictures, target = sys.argv[1:]
    bind = LOADERS[engine](Path(file), 1)
    # Copies: an engine may write its next answer over the last one.
    rows = [np.array(bind(picture[None])(), np.float32).reshape(-1) for picture in np.load(pictures)]
    np.save(target, np.stack(rows))


if __name__ == "__main__":
    main()
