import ast
from importlib import import_module


def load_pipeline(module, kwargs):
    return import_module(module).get_pipeline(**ast.literal_eval(kwargs or "{}"))


def job_name(prefix, step):
    return f"{prefix}/{step}"
