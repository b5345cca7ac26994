"""boto3's clients for the emulator, each made when it is first needed."""

import threading
from typing import Any


class Clients:
    """Opens them at `address`. One attempt for each call: whoever asks decides about another."""

    def __init__(self, address: str, region: str) -> None:
        self._address = address
        self._region = region
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}

    def get(self, service: str) -> Any:
        with self._lock:
            if service not in self._made:
                import botocore.session
                from botocore.config import Config

                session = botocore.session.Session()
                self._made[service] = session.create_client(
                    service,
                    endpoint_url=self._address,
                    region_name=self._region,
                    aws_access_key_id="local",
                    aws_secret_access_key="local",  # noqa: S106 - opens nothing
                    config=Config(
                        retries={"total_max_attempts": 1},
                        read_timeout=960,
                        s3={"addressing_style": "path"},
                        max_pool_connections=50,
                    ),
                )
            return self._made[service]
