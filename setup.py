"Pass settings.ini's requirements to setuptools, and list the contents of the wheel; the rest is in pyproject.toml."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
cfg = ConfigParser()
cfg.read(root/'settings.ini', encoding='utf-8')
extras = {k: v.strip().splitlines() for k, v in cfg['requirements'].items()}

# The lessons are written in nbs/lessons, and `dogscats lessons` copies them from the installed package.
packages = [*find_packages(include=['dogscats_course', 'dogscats_course.*']), 'dogscats_course.lessons']
package_dir = {'dogscats_course.lessons': 'nbs/lessons'}
package_data = {'dogscats_course': ['assets/*'], 'dogscats_course.lessons': ['*.ipynb', 'zh/*.ipynb']}

# Read, not imported: at build time, the package's requirements are not installed.
init = (root/'dogscats_course/__init__.py').read_text(encoding='utf-8')

setup(
    version=re.search(r'^__version__ = "(.+?)"', init, re.M)[1],
    install_requires=extras.pop('install'),
    extras_require=extras,
    entry_points={'console_scripts': [f'{k}={v}' for k, v in cfg['scripts'].items()]},
    packages=packages, package_dir=package_dir, package_data=package_data, include_package_data=False,
)
