import argparse
import pathlib
import random
from urllib.parse import urlsplit

import boto3

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--input-data", required=True)
    place = urlsplit(parser.parse_args().input_data)
    base = pathlib.Path("/opt/ml/processing")
    base.joinpath("data").mkdir(parents=True, exist_ok=True)
    table = base / "data" / "wine.csv"
    boto3.resource("s3").Bucket(place.netloc).download_file(place.path[1:], str(table))
    rows = table.read_text().splitlines()
    random.Random(1).shuffle(rows)
    cut = int(len(rows) * 0.8)
    for name, part in (("train", rows[:cut]), ("test", rows[cut:])):
        base.joinpath(name, f"{name}.csv").write_text("\n".join(part) + "\n")
