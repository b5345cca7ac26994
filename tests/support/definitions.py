"""A small pipeline definition that breaks no rule, as a document to be changed by tests."""

import copy
import json
from typing import Any

from ci.definition.model import Definition
from ci.definition.parse import parse_definition

_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:1"
_ROLE = "arn:aws:iam::000000000000:role/sagemaker-gitops-local"


def processing(name: str, **members: Any) -> dict[str, Any]:
    arguments = {
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 30,
            }
        },
        "AppSpecification": {"ImageUri": _IMAGE, "ContainerArguments": ["--rows", "10"]},
        "RoleArn": _ROLE,
        "ProcessingInputs": [s3_input("data", {"Get": "Parameters.Data"})],
        "ProcessingOutputConfig": {"Outputs": [s3_output("train"), s3_output("report")]},
        "Environment": {"LEVEL": "info"},
    }
    return {"Name": name, "Type": "Processing", "Arguments": arguments, **members}


def s3_input(name: str, uri: object) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def s3_output(name: str, uri: object = None) -> dict[str, Any]:
    where = {
        "Std:Join": {"On": "/", "Values": ["s3://b", {"Get": "Execution.PipelineExecutionId"}]}
    }
    return {
        "OutputName": name,
        "S3Output": {
            "S3Uri": where if uri is None else uri,
            "LocalPath": f"/opt/ml/processing/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }


def training(name: str, source: object, **members: Any) -> dict[str, Any]:
    channel = {
        "ChannelName": "train",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
    }
    arguments = {
        "AlgorithmSpecification": {"TrainingImage": _IMAGE, "TrainingInputMode": "File"},
        "RoleArn": _ROLE,
        "InputDataConfig": [channel],
        "OutputDataConfig": {"S3OutputPath": "s3://b/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "HyperParameters": {"depth": "3"},
    }
    return {"Name": name, "Type": "Training", "Arguments": arguments, **members}


def small_pipeline() -> dict[str, Any]:
    """Prepare -> Train -> Evaluate -> Better? -> Register, Deploy | Worse. The first two cached."""
    cache = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
    evaluate = processing(
        "Evaluate",
        PropertyFiles=[
            {"PropertyFileName": "Report", "OutputName": "report", "FilePath": "evaluation.json"}
        ],
    )
    model = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}
    evaluate["Arguments"]["ProcessingInputs"] = [s3_input("model", model)]
    mse = {
        "Std:JsonGet": {
            "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"},
            "Path": "metrics.mse.value",
        }
    }
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": "group",
            "InferenceSpecification": {
                "Containers": [{"Image": _IMAGE, "ModelDataUrl": copy.deepcopy(model)}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        },
    }
    deploy = {
        "Name": "Deploy",
        "Type": "Lambda",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:deploy",
        "OutputParameters": [{"OutputName": "status", "OutputType": "String"}],
        "Arguments": {"package": {"Get": "Steps.Register.ModelPackageArn"}},
    }
    better = {
        "Name": "Better",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                {
                    "Type": "LessThanOrEqualTo",
                    "LeftValue": mse,
                    "RightValue": {"Get": "Parameters.Bound"},
                }
            ],
            "IfSteps": [register, deploy],
            "ElseSteps": [
                {"Name": "Worse", "Type": "Fail", "Arguments": {"ErrorMessage": "mse too high"}}
            ],
        },
    }
    train_data = {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"}
    return {
        "Version": "2020-12-01",
        "Parameters": [
            {"Name": "Data", "Type": "String", "DefaultValue": "s3://b/data.csv"},
            {"Name": "Bound", "Type": "Float", "DefaultValue": 6.0},
            {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        ],
        "Steps": [
            processing("Prepare", **copy.deepcopy(cache)),
            training("Train", train_data, **copy.deepcopy(cache)),
            evaluate,
            better,
        ],
    }


def parsed(document: object) -> Definition:
    return parse_definition(json.dumps(document))
