"""Everything about the package stands in settings.ini."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
parser = ConfigParser()
parser.read(HERE / "settings.ini", encoding="utf-8")
cfg = parser["DEFAULT"]

extras = {key.removesuffix("_requirements"): cfg[key].split() for key in cfg if key.endswith("_requirements")}
extras["all"] = [name for extra, names in extras.items() if extra not in ("cuda12", "cuda13", "dev") for name in names]
readme = HERE / "README.md"
minors = range(int(cfg["min_python"].split(".")[1]), int(cfg["max_python"].split(".")[1]) + 1)
statuses = ["Planning", "Pre-Alpha", "Alpha", "Beta", "Production/Stable", "Mature", "Inactive"]


class BuildWithNotebooks(build_py):
    """In a wheel the jobs lie in sru_nb/nbs; an editable install finds them in nbs."""

    def run(self):
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib, cfg["lib_path"], "nbs")
            folder.mkdir(exist_ok=True)
            for path in sorted(path for pattern in cfg["installed_nbs"].split() for path in HERE.glob(pattern)):
                self.copy_file(str(path), str(folder / path.name))


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    keywords=cfg["keywords"],
    author=cfg["author"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        f"Development Status :: {cfg['status']} - {statuses[int(cfg['status']) - 1]}",
        f"Intended Audience :: {cfg['audience']}",
        "License :: OSI Approved :: Apache Software License",
        "Framework :: Jupyter",
        f"Natural Language :: {cfg['language']}",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in minors),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    project_urls=dict(line.split() for line in cfg["links"].splitlines() if line),
    python_requires=">=" + cfg["min_python"],
    packages=find_packages(include=[cfg["lib_path"], cfg["lib_path"] + ".*"]),
    package_data={cfg["lib_path"]: ["py.typed"]},
    cmdclass={"build_py": BuildWithNotebooks},
    install_requires=cfg["requirements"].split(),
    extras_require=extras,
    entry_points={"console_scripts": cfg["console_scripts"].split()},
    zip_safe=False,
)
