"""Train: a regression from an abalone's measurements to its rings, and the code that serves it.

What comes out is `model.joblib` and `code/inference.py`; together they are the model, so that an
endpoint or an evaluation needs nothing but the archive. Same data and arguments, same model.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

TARGET = "rings"
CHANNELS = Path("/opt/ml/input/data")
FAILURE = Path("/opt/ml/output/failure")


class BadInput(Exception):
    """A channel or an argument that cannot be used."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("ridge", "forest", "boosting", "mean"), default="ridge")
    parser.add_argument("--alpha", type=float, default=1.0, help="ridge: strength of the penalty")
    parser.add_argument("--trees", type=int, default=200, help="forest, boosting: how many")
    parser.add_argument("--depth", type=int, default=6, help="forest, boosting: how deep")
    parser.add_argument("--learning-rate", type=float, default=0.05, help="boosting: per tree")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--train", type=Path, default=channel("train"))
    parser.add_argument("--validation", type=Path, default=channel("validation"))
    parser.add_argument(
        "--model-dir", type=Path, default=Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    )
    return parser.parse_args()


def channel(name: str) -> Path:
    return Path(os.environ.get(f"SM_CHANNEL_{name.upper()}", CHANNELS / name))


def read_channel(folder: Path) -> pd.DataFrame:
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise BadInput(f"{folder}: no *.csv file in this channel")
    frame = pd.concat([pd.read_csv(file) for file in files], ignore_index=True)
    if TARGET not in frame.columns or frame.empty:
        raise BadInput(f"{folder}: no rows with a column {TARGET}")
    if frame.isna().to_numpy().any():
        raise BadInput(f"{folder}: rows with missing values; prepare leaves none")
    return frame


def build(arguments: argparse.Namespace) -> Pipeline:
    """The untrained model that the arguments ask for."""
    seed = arguments.random_state
    if arguments.model == "mean":
        regressor = DummyRegressor(strategy="mean")
    elif arguments.model == "ridge":
        regressor = Ridge(alpha=arguments.alpha)
    elif arguments.model == "forest":
        regressor = RandomForestRegressor(
            n_estimators=arguments.trees, max_depth=arguments.depth, random_state=seed
        )
    else:
        regressor = HistGradientBoostingRegressor(
            max_iter=arguments.trees,
            max_depth=arguments.depth,
            learning_rate=arguments.learning_rate,
            random_state=seed,
        )
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["sex"]),
        remainder=StandardScaler(),
        sparse_threshold=0,
    )
    return make_pipeline(columns, regressor)


def rmse(model: Pipeline, frame: pd.DataFrame) -> float:
    """Root mean squared error, in rings."""
    errors = model.predict(frame.drop(columns=TARGET)) - frame[TARGET].to_numpy()
    value = float(np.sqrt(np.mean(errors**2)))
    if not np.isfinite(value):
        raise BadInput("the trained model does not predict finite numbers")
    return value


def main() -> None:
    arguments = parse_arguments()
    with threadpool_limits(limits=1):  # for data this small threads cost more than they bring
        train_model(arguments)


def train_model(arguments: argparse.Namespace) -> None:
    train, validation = read_channel(arguments.train), read_channel(arguments.validation)
    model = build(arguments).fit(train.drop(columns=TARGET), train[TARGET])

    # The lines that MetricDefinitions look for.
    print(f"train:rmse={rmse(model, train):.6f}")
    print(f"validation:rmse={rmse(model, validation):.6f}")

    code = arguments.model_dir / "code"
    code.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, arguments.model_dir / "model.joblib")
    shutil.copy(Path(__file__).resolve().parent / "inference.py", code / "inference.py")


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        if FAILURE.parent.is_dir():
            FAILURE.write_text(str(error), encoding="utf-8")  # SageMaker shows it as FailureReason
        sys.exit(f"train: {error}")
