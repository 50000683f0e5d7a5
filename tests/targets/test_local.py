import platform

import pytest

from hamerspace.targets.local import LocalTarget
from hamerspace.testing.targets import TargetConformance


class TestLocalTarget(TargetConformance):
    @pytest.fixture(scope="class")
    def target(self):
        return LocalTarget(1, 60.0)

    def test_it_knows_its_machine(self, target):
        assert target.host().machine == platform.machine()
        assert target.host().cpu_flags, "told by kernels of x86 and of ARM alike"
        assert target.environment()["threads per inference"] == "1"
        assert target.environment()["processor"]
