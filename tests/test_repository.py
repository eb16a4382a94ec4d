"""The rules that hold between the notebooks. Written by hand: no single notebook could hold them."""

import ast
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import nbformat
import pytest
from run_notebooks import JOBS

from sru_nb.export import bound_and_used, export, is_patched, read_parts, read_settings
from sru_nb.run import read_parameters

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "nbs").glob("[!._]*.ipynb"))
JOB_NOTEBOOKS = [path for path in NOTEBOOKS if path.stem.startswith("4")]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_job = pytest.mark.parametrize("path", JOB_NOTEBOOKS, ids=lambda path: path.stem)


@cache
def read(path):
    return nbformat.read(path, as_version=4)


def trees(path):
    """The syntax trees of a notebook's code cells; lines that only IPython understands count as `pass`."""
    for cell in read(path).cells:
        if cell.cell_type == "code" and not cell.source.startswith("%%"):
            yield ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE))


def tracked():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True,
                            text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


# ---- layers

@cache
def homes():
    """Module -> number of the notebook that makes it: {"recurrence": "01", "kernels.cpu": "02", ...}."""
    return {parts.module: path.stem.split("_")[0] for path in NOTEBOOKS if (parts := read_parts(path)).module}


def imported(tree, modules):
    """Those of `modules` that a syntax tree imports, anywhere in it, as modules or through a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "sru_nb" and rest in modules:
                yield rest
            elif package == "sru_nb" and rest and "." not in rest:  # a public name: from sru_nb import SRU
                yield from {public_home(rest)} & set(modules)


def public_home(name):
    import sru_nb
    return getattr(getattr(sru_nb, name, None), "__module__", "").removeprefix("sru_nb.")


def layer_problem(number, module, home):
    """What is wrong with notebook `number` importing `module`, made by notebook `home`; None if nothing."""
    if number < home:
        return "a lower number imports a higher one"
    if number[0] in "23" and home[0] in "01" and module not in ("testing", "basics", "compat"):
        return "2x and 3x import nothing from 0x and 1x but testing, basics and compat"
    if number == "33" and home[0] == "2":
        return "the trainer knows no data"


def test_the_layer_check_finds_what_it_is_for():
    modules = {"testing": "00", "kernels.cpu": "02", "data.files": "20", "trainer": "33"}
    tree = ast.parse("import sru_nb.trainer\ndef f(): from sru_nb.kernels import cpu\nfrom sru_nb.data.files import x")
    assert sorted(imported(tree, modules)) == ["data.files", "kernels.cpu", "trainer"]
    assert layer_problem("10", "trainer", "33") and layer_problem("30", "kernels.cpu", "02")
    assert layer_problem("33", "data.files", "20")
    assert not layer_problem("30", "testing", "00") and not layer_problem("40", "trainer", "33")


@each_notebook
def test_a_lower_number_never_imports_a_higher_one(path):
    number = path.stem.split("_")[0]
    for tree in trees(path):
        for module in imported(tree, homes()):
            problem = layer_problem(number, module, homes()[module])
            assert problem is None, f"{path.name} imports sru_nb.{module}: {problem}"


# ---- jobs

def parameter_problems(source):
    """The lines of a parameters cell that are not `name: type = literal  # help`, with the reason."""
    for line in source.splitlines():
        match = re.fullmatch(r"([a-z]\w*): (int|float|str|bool) = (\S.*?)  # \S.*", line)
        if not match:
            yield f"{line!r}: expected `name: int|float|str|bool = literal  # help`"
            continue
        try:
            value = ast.literal_eval(match[3])
        except (ValueError, SyntaxError):
            yield f"{line!r}: the default is not a literal"
            continue
        if type(value).__name__ != match[2]:
            yield f"{line!r}: the default is of type {type(value).__name__}"


def parameters_cells(path):
    return [cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("line,good", [
    ("seed: int = 1  # of everything", True), ("rate: float = -1e-3  # a step", True), ('to: str = "a"  # b', True),
    ("seed = 1  # of everything", False), ("seed: int = 1", False), ("seed: int = 2 * n  # twice", False),
    ("rate: float = 1  # an integer", False), ("import os", False), ("", False), ("# a comment", False),
])
def test_the_parameter_check_finds_what_it_is_for(line, good):
    assert (list(parameter_problems("a: int = 1  # one\n" + line + "\nb: int = 2  # two")) == []) == good


@each_job
def test_a_job_has_one_cell_of_literal_parameters(path):
    cells = parameters_cells(path)
    assert len(cells) == 1, f"{len(cells)} cells tagged `parameters`"
    assert list(parameter_problems(cells[0].source)) == []


@each_job
def test_a_job_is_short_and_defines_nothing(path):
    assert len(read(path).cells) <= 25
    for tree in trees(path):
        for node in ast.walk(tree):
            assert not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)), node.name


@each_job
def test_a_job_printed_the_parameters_that_it_declares(path):
    declared = list(read_parameters(path))
    (start,) = [cell for cell in read(path).cells if cell.cell_type == "code" and "start_job(" in cell.source]
    lines = "".join(output.get("text", "") for output in start.outputs).partition("\nversions ")[0].splitlines()
    assert [line.split()[0] for line in lines] == declared, "run it again"


@each_job
def test_a_job_is_run_small_by_make_test(path):
    declared = {line.split(":")[0] for line in parameters_cells(path)[0].source.splitlines()}
    assert path.stem in JOBS, "say in tests/run_notebooks.py what makes it small"
    assert set(JOBS[path.stem]) | {"run_dir"} <= declared


@each_job
def test_a_job_prints_the_parameters_that_it_declares(path):
    (cell,) = [cell for cell in read(path).cells if "start_job(" in cell.source]
    printed = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
    names = [line[:18].strip() for line in printed.splitlines()]
    assert names == [*read_parameters(path), "versions", "after a crash"], "run it: its output is of other parameters"


@pytest.mark.parametrize("name", ["43_sentences", "44_squad"])
def test_a_job_reads_a_parameter_at_most_twice(name):
    path = ROOT / "nbs" / f"{name}.ipynb"
    assert len(read(path).cells) <= 20
    read_off = Counter(node.attr for tree in trees(path) for node in ast.walk(tree)
                       if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "p")
    assert set(read_off) <= set(read_parameters(path)) and max(read_off.values()) <= 2, read_off.most_common(3)


# ---- notebooks and what is made of them

def test_everything_is_in_step_with_the_notebooks():
    assert export(ROOT, check=True) == []  # clean notebooks, modules, tests, README; a ghost raises


@each_notebook
def test_a_notebook_was_executed_without_error_and_is_small(path):
    outputs = [output for cell in read(path).cells for output in cell.get("outputs", [])]
    assert outputs, "no cell has an output: run it"
    assert not [output.evalue for output in outputs if output.output_type == "error"]
    assert len(str(outputs)) < 300_000


@each_notebook
def test_a_notebook_names_its_kernel(path):  # papermill refuses parameters otherwise
    assert read(path).metadata.get("kernelspec") == {"display_name": "python3", "language": "python", "name": "python3"}


def test_no_test_is_lost_between_notebook_and_pytest(request):
    expected, collected = defaultdict(set), defaultdict(set)
    for path in NOTEBOOKS:
        parts = read_parts(path)
        for cell in parts.tests:
            names = {name for name in bound_and_used(cell.source)[0] if name.startswith(("test_", "Test"))}
            expected[f"tests/test_{parts.module.replace('.', '_')}.py"] |= names
    ids = [item.nodeid for item in request.session.items]
    if request.config.option.keyword or not expected.keys() <= {name.split("::")[0] for name in ids}:
        # this run has not collected everything
        listed = subprocess.run([sys.executable, "-m", "pytest", "-q", "--collect-only", *sorted(expected)], cwd=ROOT,
                                capture_output=True, text=True)
        assert listed.returncode == 0, listed.stdout + listed.stderr
        ids = listed.stdout.splitlines()
    for line in ids:
        name, _, test = line.partition("::")
        if name in expected:
            collected[name].add(re.match(r"\w+", test)[0])
    assert collected == expected


def test_no_star_imports():
    for path in tracked():
        if path.suffix in (".py", ".ipynb"):
            parsed = trees(path) if path.suffix == ".ipynb" else [ast.parse(path.read_text(encoding="utf-8"))]
            stars = [node.module for tree in parsed for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                     and node.names[0].name == "*"]
            assert not stars, f"{path.name} imports * from {stars}"


FOLDER = re.compile(r"(?<![\w.~:/-])/(?:home|root|work|Users)/[\w.]+")


@pytest.mark.parametrize("text,private", [
    ("/root" "/.pyenv/lib", True), ("(/home" "/me/x.py", True), ("https://host/home/me", False), ("~/work/x", False)])
def test_the_search_for_folders_finds_what_it_is_for(text, private):
    assert bool(FOLDER.search(text)) == private


def test_no_file_names_a_folder_of_its_author():
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not (folders := FOLDER.findall(text)), f"{path.relative_to(ROOT)}: {folders[:3]}"


# ---- links

def links(text):
    """Where the relative links of Markdown and HTML lead; code is left out."""
    text = re.sub(r"```.*?```|``.+?``|`[^`\n]*`|^    [^\n]*$", "", text, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"""(?:\]\(|\b(?:src|href)=["'])([^)"'\s]+)""", text)
    return [target for target in targets if not re.match(r"\w+:|/", target)]


def headings(path):
    """The anchors of a notebook or of a Markdown file, as Jupyter and as GitHub make them."""
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    for title in re.findall(r"^#+ +(.+?) *$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE):
        yield title.replace(" ", "-")
        yield re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def dead_links(path, text):
    """Those of a file's links that lead to no file, or to no heading."""
    for link in links(text):
        name, _, heading = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or heading and heading not in headings(target):
            yield link


def test_the_search_for_links_finds_what_it_is_for(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title\n```\n# no title\n```\n")
    text = ("[a](page.md#A-title) [b](page.md#a-title) <a href='gone.md'> [c](#no-title) [d](https://e.f/g) `x[1](y)`"
            "\n    x[2](z)\n[last](lost.md)")
    assert list(dead_links(page, text)) == ["gone.md", "#no-title", "lost.md"]


@each_notebook
def test_every_link_of_a_notebook_leads_somewhere(path):
    for cell in read(path).cells:
        texts = [cell.source] if cell.cell_type == "markdown" else [
            output.data["text/markdown"] for output in cell.outputs if "text/markdown" in output.get("data", {})]
        for text in texts:
            assert not list(dead_links(path, text))


@each_notebook
def test_prose_names_notebooks_that_exist(path):
    stems = {path.stem for path in NOTEBOOKS}
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            names = set(re.findall(r"`(\d\d[a-z]?_[a-z][\w.]*)(?<!\.ipynb)`", cell.source))
            assert names <= stems, f"{names - stems}"


def test_the_readme_lists_the_names_that_the_modules_export():
    """`index` is executed again after a name is added or removed."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[([\w.]+)\]\([^)]*\.ipynb\) \| (`.*`) \|$", text, re.MULTILINE)
    listed = {module: re.findall("`(.+?)`", names) for module, names in rows}
    for path, tree in modules().items():
        names = [ast.literal_eval(node.value) for node in tree.body
                 if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"]
        if names and path != "sru_nb/__init__.py":
            module = path.removeprefix("sru_nb/").removesuffix(".py").replace("/", ".")
            assert listed.get(module) == sorted(names[0]), f"{path}: run nbs/index.ipynb again"


def test_every_link_of_the_readme_leads_somewhere():
    path = ROOT / "README.md"
    assert not list(dead_links(path, path.read_text(encoding="utf-8")))


# ---- the package

HEAVY = ["numba", "llvmlite", "cupy", "accelerate", "papermill", "matplotlib", "IPython", "nbdev", "tensorboard",
         "onnx", "onnxscript", "onnxruntime", "huggingface_hub", "spacy", "tokenizers", "constriction",
         "sklearn", "PIL", "kornia"]


def modules():
    """Module -> the syntax tree of its exported file."""
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
            for path in sorted((ROOT / "sru_nb").rglob("*.py"))}


def definitions(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in tree.body if isinstance(node, kinds) and not is_patched(node)]


def test_most_of_what_is_defined_has_a_public_name():
    names = [node.name for tree in modules().values() for node in definitions(tree)]
    private = [name for name in names if re.match("_[^_]", name)]
    assert 3 * len(private) <= len(names), f"{len(private)} of {len(names)} definitions are private"


def test_no_module_imports_a_private_name_of_another():
    for path, tree in modules().items():
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                   and (node.level or (node.module or "").startswith("sru_nb"))]
        names = [alias.name for node in imports for alias in node.names if re.match("_[^_]", alias.name)]
        assert not names, f"{path} imports {names}"


def continued(tree):
    """The private classes with a single subclass in their module: one class, cut in two."""
    classes = [node for node in definitions(tree) if isinstance(node, ast.ClassDef)]
    for name in (node.name for node in classes if node.name.startswith("_")):
        if sum(any(isinstance(base, ast.Name) and base.id == name for base in node.bases) for node in classes) == 1:
            yield name


def test_no_class_is_there_to_be_continued_by_another():
    chain = "class _A: pass\nclass B(_A): pass\nclass _C: pass\nclass D(_C): pass\nclass E(_C): pass"
    assert list(continued(ast.parse(chain))) == ["_A"]
    for path, tree in modules().items():
        assert not list(continued(tree)), f"{path}: {list(continued(tree))}"


def test_import_is_light():
    code = ("import sys, sru_nb, torch\n"
            "public = [getattr(sru_nb, name) for name in getattr(sru_nb, '__all__', [])]\n"
            f"print([name for name in {HEAVY} if name in sys.modules], torch.cuda.is_initialized())")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


def test_version_is_the_one_of_the_settings():
    import sru_nb
    assert sru_nb.__version__ == read_settings(ROOT)["version"]


def test_every_requirement_of_the_tests_is_pinned():
    def normal(name):
        return re.split(r"[<>=~!;\[ ]", name)[0].lower().replace("_", "-")

    pinned = {normal(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    cfg = read_settings(ROOT)
    for key in ("requirements", "train_requirements", "dev_requirements"):
        assert {normal(name) for name in cfg[key].split()} <= pinned


def build(folder, *kinds):
    """Build distributions of what lies in a folder: the wheel's files with their hashes, and the files built."""
    code = "; ".join(["from setuptools import build_meta", *(f"print(build_meta.build_{kind}('.'))" for kind in kinds)])
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    return contents, wheel, *folder.glob("*.tar.gz")


def test_the_sdist_builds_the_same_wheel_with_the_jobs(tmp_path):
    for path in tracked():
        target = tmp_path / "clone" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    contents, wheel, sdist = build(tmp_path / "clone", "wheel", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    assert contents == build(tmp_path / sdist.name.removesuffix(".tar.gz"), "wheel")[0]
    modules = {f"sru_nb/{path.relative_to(ROOT / 'sru_nb').as_posix()}" for path in (ROOT / "sru_nb").rglob("*.py")}
    jobs = {f"sru_nb/nbs/{path.name}" for path in JOB_NOTEBOOKS}
    assert modules | jobs | {"sru_nb/py.typed"} <= contents.keys() and wheel.stat().st_size < 2e6
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in contents if name.endswith("METADATA")]
        metadata = archive.read(name).decode()
    assert "Project-URL: Paper, https://" in metadata and "Classifier: Typing :: Typed" in metadata
    assert "Classifier: Programming Language :: Python :: 3.10" in metadata
