import subprocess
import sysconfig
from pathlib import Path

import pytest

from hamerspace.environments import environment_python
from hamerspace.environments.launch import process_variables

PYTHON = environment_python("tvm")
ROOT = Path(__file__).parents[3]
# The environment has its own packages first, and only pytest and what it needs from ours.
RUN_PYTEST = """\
import sys
sys.path += sys.argv[1:3]
import pytest
sys.exit(pytest.main(["-q", "--noconftest", "-p", "no:cacheprovider", *sys.argv[3:]]))
"""


@pytest.mark.skipif(PYTHON is None, reason="needs 'hamerspace backends install tvm'")
@pytest.mark.usefixtures("users_tools")
def test_conformance_on_the_interpreter_of_the_environment():
    ours = sysconfig.get_paths()["purelib"]
    conformance = Path(__file__).with_name("conformance.py")
    done = subprocess.run(
        [PYTHON, "-P", "-c", RUN_PYTEST, str(ROOT), ours, str(conformance)],
        env=process_variables(PYTHON),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout + done.stderr
