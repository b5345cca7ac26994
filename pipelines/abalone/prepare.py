"""Prepare: raw measurements -> cleaned train, validation and test sets.

Which set a row belongs to is decided by a hash of the row itself: the split does not depend on
the order of rows or files, survives new data, and never puts equal rows on both sides.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import pandas as pd

TARGET = "rings"
SEXES = ("F", "I", "M")
MEASURES = (
    "length",
    "diameter",
    "height",
    "whole_weight",
    "shucked_weight",
    "viscera_weight",
    "shell_weight",
)
COLUMNS = ("sex", *MEASURES, TARGET)
SHARES = (("train", 70), ("validation", 85), ("test", 100))  # upper ends, in percent
MESSAGE = Path("/opt/ml/output/message")


class BadData(Exception):
    """The data cannot be used; the text says which file, which line and why."""


def read_all(folder: Path) -> pd.DataFrame:
    """All CSV files of a folder, in the order of their names."""
    files = sorted(folder.rglob("*.csv"))
    if not files:
        raise BadData(f"{folder}: no *.csv file; is InputData the S3 location of the data?")
    return pd.concat([read_file(file) for file in files], ignore_index=True)


def read_file(file: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(file, dtype=str, encoding="utf-8", skip_blank_lines=False)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise BadData(f"{file.name}: not a CSV file: {str(error).strip()}") from error
    frame.columns = [str(column).strip() for column in frame.columns]
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise BadData(
            f"{file.name}: no column {', '.join(missing)}; the first line must name "
            + ", ".join(COLUMNS)
        )
    frame = frame[list(COLUMNS)].apply(lambda column: column.str.strip())
    for column in (*MEASURES, TARGET):
        frame[column] = numbers(frame[column], file.name)
    unknown = frame["sex"].notna() & ~frame["sex"].isin(SEXES)
    if unknown.any():
        raise BadData(f"{at(file.name, unknown)}: sex is one of {', '.join(SEXES)}")
    return frame


def numbers(column: pd.Series, file: str) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce")
    unread = (column.notna() & values.isna()) | values.isin([float("inf"), float("-inf")])
    if unread.any():
        raise BadData(
            f"{at(file, unread)}: {column.name} is not a number: {column[unread].iloc[0]!r}"
        )
    return values


def at(file: str, rows: pd.Series) -> str:
    """`file:line` of the first marked row; line 1 is the header."""
    return f"{file}:{int(rows.to_numpy().argmax()) + 2}"


def clean(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with a missing value go, and rows with a measure of zero: no abalone is 0 mm high."""
    whole = frame.dropna()
    measured = whole[(whole[list(MEASURES)] > 0).all(axis=1)]
    print(
        f"rows: {len(frame)} read, {len(frame) - len(whole)} incomplete,"
        f" {len(whole) - len(measured)} with a measure that is not positive"
    )
    return measured


def split(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each row's set, from 0-99 that its text hashes to."""
    text = frame.astype(str).agg("|".join, axis=1)
    bucket = text.map(lambda row: int(hashlib.sha256(row.encode()).hexdigest(), 16) % 100)
    sets, lower = {}, 0
    for name, upper in SHARES:
        sets[name] = frame[(bucket >= lower) & (bucket < upper)]
        if sets[name].empty:
            raise BadData(f"{len(frame)} usable rows leave the {name} set empty; bring more data")
        lower = upper
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, default=Path("/opt/ml/processing/input/raw"))
    parser.add_argument("--output", type=Path, default=Path("/opt/ml/processing/output"))
    arguments = parser.parse_args()
    for name, rows in split(clean(read_all(arguments.input))).items():
        folder = arguments.output / name
        folder.mkdir(parents=True, exist_ok=True)
        rows.to_csv(folder / f"{name}.csv", index=False)
        print(f"{name}: {len(rows)} rows")


if __name__ == "__main__":
    try:
        main()
    except BadData as error:
        if MESSAGE.parent.is_dir():
            MESSAGE.write_text(str(error), encoding="utf-8")  # SageMaker shows it as ExitMessage
        sys.exit(f"prepare: {error}")
