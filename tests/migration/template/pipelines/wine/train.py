import os
import pathlib

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

if __name__ == "__main__":
    table = np.loadtxt(
        pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]) / "train.csv", delimiter=",", ndmin=2
    )
    model = LinearRegression().fit(table[:, 1:], table[:, 0])
    joblib.dump(model, pathlib.Path(os.environ["SM_MODEL_DIR"]) / "model.joblib")
