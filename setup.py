"""What pyproject.toml cannot say: the wheel carries what deploys the functions, which lies beside the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DEPLOYMENT = ("template.yaml", "samconfig.toml", "layers", "scripts/build_artifact.py", "events")
"""`tollgate deploy` writes these from `tollgate/deployment`, and the package as src/."""


class BuildWithDeployment(build_py):
    """Copies the package, and DEPLOYMENT into it."""

    def run(self) -> None:
        """See build_py."""
        super().run()
        if self.editable_mode:  # the checkout itself is deployed
            return
        for name in DEPLOYMENT:
            source, target = Path(name), Path(self.build_lib, "tollgate/deployment", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)


setup(cmdclass={"build_py": BuildWithDeployment})
