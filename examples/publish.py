"""Publish the three example models on a running site, as any publisher would.

    ASSAY_TOKEN=… python examples/publish.py --url URL --owner examples --key key.pem

`make run` calls it at each start; what is published already stays as it is.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from examples.client import Client, load_or_make_key, publish

HERE = Path(__file__).parent
MODELS = ("digits", "wine", "diabetes")


def main() -> None:
    """Publish each folder beside this file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", required=True, help="address of the site, without a final slash")
    parser.add_argument("--owner", required=True, help="the name to publish under")
    parser.add_argument("--key", type=Path, required=True, help="P-256 key file, made when absent")
    options = parser.parse_args()
    client = Client(url=options.url, token=os.environ["ASSAY_TOKEN"])  # noqa: TID251 (a secret stays out of the process list)
    key = load_or_make_key(options.key)
    for name in MODELS:
        version = publish(client, key, options.owner, name, HERE / name)
        print(f"{options.owner}/{name} {version}")  # noqa: T201 (a script's report)


if __name__ == "__main__":
    main()
