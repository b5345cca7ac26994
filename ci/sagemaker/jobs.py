"""What processing, training and transform jobs tell of themselves."""

from typing import Any

from ci.sagemaker.clients import Clients

_SERVICE = "sagemaker"


class Jobs:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def processing(self, name: str) -> dict[str, Any]:
        """DescribeProcessingJob's answer."""
        return self._clients.call(
            _SERVICE, "DescribeProcessingJob", {"ProcessingJobName": name}, where=name
        )

    def training(self, name: str) -> dict[str, Any]:
        """DescribeTrainingJob's answer."""
        return self._clients.call(
            _SERVICE, "DescribeTrainingJob", {"TrainingJobName": name}, where=name
        )

    def transform(self, name: str) -> dict[str, Any]:
        """DescribeTransformJob's answer."""
        return self._clients.call(
            _SERVICE, "DescribeTransformJob", {"TransformJobName": name}, where=name
        )
