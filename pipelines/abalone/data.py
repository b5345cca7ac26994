"""Write the abalone measurements as CSV: `python data.py abalone.csv`.

The data ships inside the scikit-lego package; nothing is downloaded. See README.md for where it
comes from. The same file comes out every time, so its digest can stand for it.
"""

import argparse
from pathlib import Path

from sklego.datasets import load_abalone

ROWS = 4177


def write_csv(file: Path) -> int:
    """Write header and rows; returns the number of rows."""
    frame = load_abalone(as_frame=True)
    if len(frame) != ROWS:
        raise SystemExit(f"scikit-lego holds {len(frame)} rows of abalone data, not {ROWS}")
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(file, index=False, lineterminator="\n")
    return len(frame)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    file = parser.parse_args().file
    try:
        print(f"{write_csv(file)} rows in {file}")
    except OSError as error:
        parser.error(f"{file} cannot be written: {error.strerror}")
