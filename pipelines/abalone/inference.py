"""How the model answers: CSV or JSON in, CSV or JSON out. Travels inside the model's archive.

CSV: one abalone a line, with or without a header line; without one the columns are FEATURES in
their order. JSON: a list of such rows, a list of objects by column, or `{"instances": [...]}`.
"""

from __future__ import annotations

import io
import json
import os

import joblib
import pandas as pd
from threadpoolctl import threadpool_limits

FEATURES = [
    "sex",
    "length",
    "diameter",
    "height",
    "whole_weight",
    "shucked_weight",
    "viscera_weight",
    "shell_weight",
]


def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))  # noqa: PTH118


def input_fn(body, content_type):
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    kind = content_type.split(";")[0].strip()
    if kind == "text/csv":
        return from_csv(text)
    if kind == "application/json":
        return from_json(json.loads(text))
    raise ValueError(f"content type {content_type} is not one of text/csv, application/json")


def from_csv(text):
    named = text.split("\n", 1)[0].split(",")[0].strip().lower() in FEATURES
    frame = pd.read_csv(io.StringIO(text), header=0 if named else None, skipinitialspace=True)
    return checked(frame if named else with_names(frame))


def from_json(document):
    rows = document.get("instances") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not rows:
        raise ValueError('expected a list of rows, or {"instances": [...]}')
    frame = pd.DataFrame(rows)
    return checked(frame if isinstance(rows[0], dict) else with_names(frame))


def with_names(frame):
    if frame.shape[1] != len(FEATURES):
        raise ValueError(
            f"a row has {len(FEATURES)} values ({', '.join(FEATURES)}), not {frame.shape[1]}"
        )
    return frame.set_axis(FEATURES, axis=1)


def checked(frame):
    missing = [name for name in FEATURES if name not in frame.columns]
    if missing:
        raise ValueError(f"no column {', '.join(missing)}")
    frame = frame[FEATURES]
    measures = frame[FEATURES[1:]].apply(pd.to_numeric)  # ValueError names the text it met
    if measures.isna().to_numpy().any() or frame["sex"].isna().any():
        raise ValueError("a value is missing")
    return pd.concat([frame["sex"].astype(str).str.strip(), measures.astype(float)], axis=1)


def predict_fn(data, model):
    with threadpool_limits(limits=1):  # for requests this small threads cost more than they bring
        return model.predict(data)


def output_fn(prediction, accept):
    rings = [float(value) for value in prediction]
    wanted = [part.split(";")[0].strip() for part in (accept or "").split(",")]
    if "text/csv" in wanted:
        return "".join(f"{value}\n" for value in rings), "text/csv"
    if {"application/json", "*/*", "application/*", ""} & set(wanted):
        return json.dumps({"predictions": rings}), "application/json"
    raise ValueError(f"cannot answer as {accept}; ask for application/json or text/csv")
