import json
import pathlib
import tarfile

import joblib
import numpy as np
from sklearn.metrics import mean_squared_error

if __name__ == "__main__":
    base = pathlib.Path("/opt/ml/processing")
    with tarfile.open(base / "model" / "model.tar.gz") as archive:
        archive.extractall(base / "unpacked", filter="data")
    model = joblib.load(base / "unpacked" / "model.joblib")
    table = np.loadtxt(base / "test" / "test.csv", delimiter=",", ndmin=2)
    mse = mean_squared_error(table[:, 0], model.predict(table[:, 1:]))
    report = {"regression_metrics": {"mse": {"value": mse}}}
    (base / "evaluation" / "evaluation.json").write_text(json.dumps(report))
