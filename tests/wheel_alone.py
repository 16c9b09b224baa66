"""Build the wheel, install it in an empty environment, and run the verifier's tests there.

`python -m tests.wheel_alone`. From the repository the source tree would win over the wheel, so the
tests are copied to an empty folder; Django is not in that environment at all.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent


def pins() -> list[str]:
    """Return `name==version` of everything that requirements/dev.txt pins."""
    text = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    return [line.split(" ")[0] for line in text.splitlines() if re.match(r"[a-z0-9].*==", line)]


def run(*command: str | Path, cwd: Path) -> None:
    """Run, and end this program with the command's exit code when it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def main() -> None:
    """Build, install, copy, test."""
    with tempfile.TemporaryDirectory(prefix="assay-wheel-") as name:
        work = Path(name)
        build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", work)
        run(sys.executable, *build, ROOT, cwd=ROOT)
        venv.create(work / "venv", with_pip=True)
        python = work / "venv" / "bin" / "python"
        # The same pinned versions as everywhere, as constraints: hashes stay out of constraints.
        (work / "pins.txt").write_text("\n".join(pins()) + "\n", encoding="utf-8")
        wheel = next(work.glob("*.whl"))
        install = ("-m", "pip", "install", "-q", "--disable-pip-version-check")
        run(python, *install, "-c", work / "pins.txt", wheel, "pytest", "hypothesis", cwd=work)
        for folder in ("assay", "forgeries", "fuzz", "vectors"):
            shutil.copytree(ROOT / "tests" / folder, work / "tests" / folder)
        # What a stranger downloads from any site, by its digest, to run a model again.
        runtime = Path("static") / "vendor" / "onnxruntime-web-1.30.0"
        shutil.copytree(ROOT / runtime, work / runtime)
        (work / "tests" / "__init__.py").touch()
        absent = "import importlib.util as u; assert u.find_spec('django') is None"
        run(python, "-c", absent, cwd=work)
        tests = ("tests/assay", "tests/forgeries/test_python.py")
        run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=work)


if __name__ == "__main__":
    main()
