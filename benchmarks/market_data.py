"""`make bench`, market data: what loading candles costs (loads.py), in a home and a database that are thrown away."""

import os
import subprocess
import sys
import tempfile

START = "import sys, django; django.setup(); from benchmarks import loads; sys.exit(loads.main(sys.argv[1]))"


def main() -> int:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HINDSIGHT_")}
    with tempfile.TemporaryDirectory(prefix="hindsight-bench-") as home:
        own = {"HINDSIGHT_HOME": home, "HINDSIGHT_SECRET_KEY": "bench", "DATABASE_URL": ""}
        environment = {**inherited, **own, "DJANGO_SETTINGS_MODULE": "config.settings"}
        return subprocess.call([sys.executable, "-W", "ignore:No directory at", "-c", START, home], env=environment)


if __name__ == "__main__":
    sys.exit(main())
