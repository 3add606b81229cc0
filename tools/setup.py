"""`make setup`: checks what this machine must have, makes .venv and installs the locked requirements into it.

It uses only the standard library and syntax that old Pythons can read, so that it can say that Python is too old.
"""

import ctypes
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".ready")
LOCK = os.path.join(ROOT, "requirements", "dev.txt")


def main():
    check_python()
    check_libraries()
    make_venv()
    install()
    with open(STAMP, "w") as stamp:
        stamp.write("")
    print("ready: try `make demo`")


def check_python():
    if sys.version_info < (3, 11):
        fail(
            f"Python 3.11 or later is needed; {sys.executable} is {sys.version.split()[0]}.",
            "install it, then: make setup PYTHON=python3.13",
        )
    try:
        import ensurepip  # noqa: F401, PLC0415
        import venv  # noqa: F401, PLC0415
    except ImportError:
        fail("this Python has no venv module.", "apt-get install python3-venv")


def check_libraries():
    """Checks the libraries that the embedded mongod links against. Without them it would fail later and say less."""
    if not sys.platform.startswith("linux") or os.environ.get("MONGODB_URI"):
        return
    for library, package in (("libcurl.so.4", "libcurl4"), ("libssl.so.3", "libssl3")):
        try:
            ctypes.CDLL(library)
        except OSError:
            fail(
                f"{library} is missing; the embedded MongoDB needs it.",
                f"apt-get install {package}   (or set MONGODB_URI to a replica set of yours)",
            )


def make_venv():
    if not os.path.exists(PYTHON):
        run(sys.executable, "-m", "venv", VENV)


def install():
    uv = shutil.which("uv")
    if uv:
        pip = [uv, "pip", "install", "--quiet", "--python", PYTHON]
    else:
        pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    print("installing the locked requirements with {}".format("uv" if uv else "pip (about half a minute)"), flush=True)
    run(*pip, "--require-hashes", "-r", LOCK)
    run(*pip, "--no-deps", "--no-build-isolation", "-e", ROOT)


def run(*command):
    code = subprocess.call(command)
    if code:
        sys.exit(code)


def fail(reason, line):
    sys.exit(f"setup: {reason}\n  type: {line}")


if __name__ == "__main__":
    main()
