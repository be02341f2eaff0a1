"""SHA-256 of what kernels return, per kernel: `tests/core/digests.json` is the table, committed.

`python tests/digests.py FOLDER` prints it anew; a change to it is a new version of the stream law.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).parent / "core" / "digests.json"


def build(folder: Path, *options: str) -> Path:
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), *generator, "-DGUMBELFAST_DIGEST=ON", *options]
    for command in (configure, ["cmake", "--build", str(folder), "--parallel", "2"]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "gumbelfast_digest"


def digests(output: bytes) -> dict[str, str]:
    found = {}
    while output:
        head, _, output = output.partition(b"\n")
        name, size = head.split()
        found[name.decode()] = hashlib.sha256(output[: int(size)]).hexdigest()
        output = output[int(size) :]
    return found


def run(program: list[str], backend: str, threads: int) -> dict[str, str]:
    return digests(subprocess.run([*program, backend, str(threads)], check=True, stdout=subprocess.PIPE).stdout)


def check(program: list[str], expected_backends: set[str]) -> None:
    wanted = json.loads(TABLE.read_text())
    names = subprocess.run(program, check=True, capture_output=True, text=True).stdout.split()
    assert expected_backends <= set(names)
    for backend, threads in product(names, (1, 4)):
        found = run(program, backend, threads)
        assert found.keys() == wanted.keys()
        different = [name for name in wanted if found[name] != wanted[name]]
        assert not different, f"{backend} on {threads} threads differs in {different}"


if __name__ == "__main__":
    print(json.dumps(run([str(build(Path(sys.argv[1])))], "scalar", 1), indent=1, sort_keys=True))
