"""Make the buckets of the object store, and tell its filer to sync every object; safe to repeat.

Run by compose.yaml with the product's image. Reads S3_ENDPOINT, S3_FILER and the access key from the environment,
and the files beside it.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio

HERE = Path(__file__).parent


def main() -> None:
    """Set the filer's rules first: an object that is stored before them would not be synced."""
    pool = urllib3.PoolManager(retries=urllib3.Retry(total=30, backoff_factor=0.2))
    rules = {"file": ("filer.conf", (HERE / "filer.conf").read_bytes())}
    pool.request("POST", f"{os.environ['S3_FILER']}/etc/seaweedfs/filer.conf", fields=rules)
    endpoint = urlsplit(os.environ["S3_ENDPOINT"])
    client = Minio(
        endpoint=endpoint.netloc,
        access_key=os.environ["HELIOGRAPH_S3_ACCESS_KEY"],
        secret_key=os.environ["HELIOGRAPH_S3_SECRET_KEY"],
        secure=endpoint.scheme == "https",
        region="us-east-1",
        http_client=pool,
    )
    for bucket in (HERE / "buckets").read_text().split():
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
    client.set_bucket_policy("heliograph-photos", (HERE / "public-read.json").read_text())


if __name__ == "__main__":
    main()
