"""The product's own settings, in a home that lives as long as the test process. Read before any conftest."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_home = Path(tempfile.mkdtemp(prefix="hindsight-test-"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)
(_home / "static").mkdir()  # where the web server looks for collected files
os.environ["HINDSIGHT_HOME"] = str(_home)
os.environ.setdefault("HINDSIGHT_SECRET_KEY", "a key for tests only")
# Compiled kernels outlive one run: compiling them anew costs a minute.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"hindsight-tests-numba-{os.getuid()}"))

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, HOME, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real one is slow on purpose
# No manifest: pages are tested without building the bundle.
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, not memory: only a file has the locks that the site meets.
    DATABASES["default"]["TEST"] = {"NAME": HOME / "test.sqlite3"}
