"""A model server under SageMaker's inference contract: GET /ping, POST /invocations.

Run by the Python that an image is mapped to, so it keeps to the standard library and to Python
3.8. It loads `<model>/code/<SAGEMAKER_PROGRAM>` and calls its model_fn, input_fn, predict_fn and
output_fn, or transform_fn; what the script leaves out does what the scikit-learn container does.

    python model_server.py <fd of a listening socket> <model folder>

Standard input is a lifeline: at its end, when whoever started this has died, the process group
ends too.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

JSON, CSV, NPY = "application/json", "text/csv", "application/x-npy"
ANY = ("", "*/*", "application/*")


class Refused(Exception):
    """A request that the default functions cannot read (415) or answer (406)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def default_model_fn(model_dir: str) -> Any:
    raise NotImplementedError(
        f"the inference script defines no model_fn(model_dir), so nothing in {model_dir} is loaded"
    )


def default_input_fn(body: Any, content_type: str) -> Any:
    np = importlib.import_module("numpy")

    if content_type == JSON:
        return np.array(json.loads(body))
    if content_type == CSV:
        return np.genfromtxt(io.StringIO(body), dtype=np.float32, delimiter=",")
    if content_type == NPY:
        return np.load(io.BytesIO(body), allow_pickle=False).astype(np.float32)
    raise Refused(415, f"content type {content_type} is not one of {JSON}, {CSV}, {NPY}")


def default_predict_fn(data: Any, model: Any) -> Any:
    return model.predict(data)


def default_output_fn(prediction: Any, accept: str) -> Any:
    np = importlib.import_module("numpy")

    if accept == JSON:
        rows = prediction.tolist() if hasattr(prediction, "tolist") else prediction
        return json.dumps(rows), JSON
    if accept == CSV:
        text = io.StringIO()
        np.savetxt(text, np.asarray(prediction), delimiter=",", fmt="%s")
        return text.getvalue(), CSV
    if accept == NPY:
        data = io.BytesIO()
        np.save(data, np.asarray(prediction))
        return data.getvalue(), NPY
    raise Refused(406, f"cannot answer as {accept}: not one of {JSON}, {CSV}, {NPY}")


class Model:
    """The loaded model and the script's functions. One request at a time, as in the container."""

    def __init__(self, folder: Path) -> None:
        script = load_script(folder)
        self._lock = threading.Lock()
        self._input = getattr(script, "input_fn", default_input_fn)
        self._predict = getattr(script, "predict_fn", default_predict_fn)
        self._output = getattr(script, "output_fn", default_output_fn)
        self._transform: Callable[..., Any] = getattr(script, "transform_fn", self._three_steps)
        self._model = getattr(script, "model_fn", default_model_fn)(str(folder))

    def _three_steps(self, model: Any, body: Any, content_type: str, accept: str) -> Any:
        prediction = self._predict(self._input(body, content_type), model)
        return self._output(prediction, accept)

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """The response's body and content type."""
        textual = content_type.startswith((JSON, "text/"))
        content: Any = body.decode("utf-8") if textual else body
        with self._lock:
            result = self._transform(self._model, content, content_type, accept)
        return as_response(result, accept)


def as_response(result: Any, accept: str) -> tuple[bytes, str]:
    """A script may give data, `(data, content type)`, or a response object as Flask's."""
    kind = accept
    if isinstance(result, tuple):
        result, kind = result
    elif hasattr(result, "get_data"):
        kind, result = result.mimetype, result.get_data()
    if isinstance(result, (bytes, bytearray)):
        return bytes(result), kind
    if isinstance(result, str):
        return result.encode("utf-8"), kind
    raise TypeError(f"output_fn gave {type(result).__name__}; it must give text or bytes")


def load_script(folder: Path) -> Any:
    code = Path(os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY") or folder / "code")
    program = os.environ.get("SAGEMAKER_PROGRAM") or "inference.py"
    if not (code / program).is_file():
        raise SystemExit(
            f"no {program} in {code}: put the inference script into code/ of the model archive and"
            " name it in SAGEMAKER_PROGRAM"
        )
    sys.path.insert(0, str(code))
    return importlib.import_module(
        program[:-3].replace("/", ".") if program[-3:] == ".py" else program
    )


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_GET(self) -> None:
        self.reply(200 if self.path == "/ping" else 404, b"", JSON)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/invocations":
            self.reply(404, b"", JSON)
            return
        accept = self.headers.get("Accept", "")
        if accept in ANY:
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        content_type = self.headers.get("Content-Type") or JSON
        try:
            answer, kind = self.model.answer(body, content_type, accept)
        except Refused as error:
            self.reply(error.status, str(error).encode(), "text/plain")
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            traceback.print_exc()
            told = {
                "error": type(error).__name__,
                "error-message": str(error),
                "stack-trace": traceback.format_exc(),
            }
            self.reply(500, json.dumps(told).encode(), JSON)
        else:
            self.reply(200, answer, kind)

    def reply(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind.replace("\r", "").replace("\n", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, text: str, *arguments: Any) -> None:
        if self.path != "/ping":
            print(text % arguments, flush=True)


class Server(ThreadingHTTPServer):
    """Serves on a socket that listens already, so that no port is ever raced for."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()


def end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    listener, folder = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])
    threading.Thread(target=end_with_parent, daemon=True).start()
    Handler.model = Model(folder)
    Server(listener).serve_forever()


if __name__ == "__main__":
    main()
