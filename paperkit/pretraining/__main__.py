"""Pretrain ``mini`` (`make pretrain`): text, tokeniser, training, and the folder that the package ships.

Every part is kept in the run store: a killed pretraining goes on from its last checkpoint, another recipe reuses the text.
"""

import argparse
import hashlib
import json
import shlex
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from transformers import RobertaConfig

from paperkit import code, paths
from paperkit.corpora.plain import PRETRAINING
from paperkit.pretraining import text, tokenizer, train
from paperkit.pretraining.export import export, write_card
from paperkit.pretraining.stream import Stream, encode
from paperkit.pretraining.vectors import token_vectors
from paperkit.runs import cores
from paperkit.store import Store, key
from paperkit.training import checkpoint
from paperkit.training.numerics import numerics

TOKENIZER, STREAMS, FACTS = "tokenizer.json", "streams.safetensors", "text.json"


def prepare(folder: Path, documents: list[text.Text], vocabulary: int) -> None:
    """Tokeniser, token streams (training text, and held-out text of each language) and their sizes, into ``folder``."""
    print(f"{len(documents):,} documents; cutting Chinese into words", flush=True)
    lines = [text.parted(document) for document in documents]
    held = [text.held_out(document) for document in documents]
    learned = tokenizer.train((line for line, out in zip(lines, held, strict=True) if not out), vocabulary)
    groups: dict[str, list[str]] = {"train": [], **{language: [] for language in PRETRAINING}}
    for document, line, out in zip(documents, lines, held, strict=True):
        groups[document.language if out else "train"].append(line)
    arrays, facts = {}, {"documents": len(documents), "characters": {}}
    for name, group in groups.items():
        stream = encode(group, learned)
        print(f"{name}: {len(stream.tokens):,} tokens of {len(group):,} documents", flush=True)
        arrays |= {f"{name}.tokens": stream.tokens, f"{name}.words": stream.words}
        facts[f"{name}_tokens"] = len(stream.tokens)
    for document in documents:
        sizes = facts["characters"]
        sizes[document.source] = sizes.get(document.source, 0) + len(document.text)
    learned.save(str(folder / TOKENIZER))
    save_file(arrays, folder / STREAMS)
    (folder / FACTS).write_text(json.dumps(facts, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m paperkit.pretraining", description=__doc__.splitlines()[0])
    for cls in (train.Shape, train.Recipe):
        for field in fields(cls):
            if field.type in (int, float, str):
                kind = _whole if field.type is int else field.type
                parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default,
                                    help=f"default {field.default}")  # fmt: skip
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--into", type=Path, default=paths.ROOT / "paperkit" / "models" / "mini",
                        help="the folder of the finished model")  # fmt: skip
    given = vars(parser.parse_args())
    torch.set_num_threads(given["threads"])
    shape = train.Shape(**{f.name: given[f.name] for f in fields(train.Shape)})
    recipe = replace(train.Recipe(), **{f.name: given[f.name] for f in fields(train.Recipe) if f.name in given})

    store = Store.default()
    documents = text.documents()
    digest = hashlib.sha256("\x1e".join(document.text for document in documents).encode()).hexdigest()
    read = {"documents": digest, "vocabulary": shape.vocabulary,
            "code": [code.digest(f"paperkit.pretraining.{part}") for part in ("text", "tokenizer", "stream")],
            "numerics": code.versions("jieba", "tokenizers")}  # fmt: skip
    prepared = store.get("pretraining-text", read, lambda folder: prepare(folder, documents, shape.vocabulary))
    arrays = load_file(prepared / STREAMS)
    streams = {name: Stream(arrays[f"{name}.tokens"], arrays[f"{name}.words"]) for name in ("train", *PRETRAINING)}
    learned = Tokenizer.from_file(str(prepared / TOKENIZER))
    shape = replace(shape, vocabulary=learned.get_vocab_size())

    vectors = None
    known = {"text": key(read), "width": shape.width, "epochs": recipe.vector_epochs, "seed": recipe.seed,
             "code": code.digest("paperkit.pretraining.vectors"), "numerics": code.versions("gensim", "numpy")}  # fmt: skip
    if recipe.vector_epochs:

        def embed(folder: Path) -> None:
            print("CBOW vectors of the tokens", flush=True)
            found = token_vectors(streams["train"].tokens, shape.vocabulary, shape.width, recipe.vector_epochs, recipe.seed,
                                  std=RobertaConfig().initializer_range)  # fmt: skip
            save_file({"vectors": found}, folder / "vectors.safetensors")

        vectors = load_file(store.get("pretraining-vectors", known, embed) / "vectors.safetensors")["vectors"]

    def build(folder: Path) -> None:
        held_out = {name: streams[name] for name in PRETRAINING}
        model = train.pretrain(
            streams["train"], shape, recipe, folder, held_out, vectors, lambda line: print(line, flush=True)
        )
        facts = json.loads((prepared / FACTS).read_text())
        libraries = computed_with | read["numerics"]
        facts |= {"held_out_one_in": text.HELD_OUT, "threads": given["threads"], "numerics": libraries,
                  "commit": code.commit()}  # fmt: skip
        export(model, learned, folder, shape, recipe, facts)
        (folder / checkpoint.FILE).unlink()

    computed_with = numerics(recipe.device) | code.versions("transformers")
    identity = {"vectors": key(known), "shape": asdict(shape), "recipe": asdict(recipe), "threads": given["threads"],
                "code": [code.digest(f"paperkit.pretraining.{part}") for part in ("train", "export")],
                "numerics": computed_with}  # fmt: skip
    finished = store.get("pretraining", identity, build)
    given["into"].mkdir(parents=True, exist_ok=True)
    for file in sorted(finished.iterdir()):
        if file.name != "manifest.json":
            (given["into"] / file.name).write_bytes(file.read_bytes())
    options = " ".join(shlex.quote(word) for word in sys.argv[1:])
    write_card(given["into"], "make pretrain" + (f' PRETRAIN="{options}"' if options else ""))
    print(f"{given['into']}: {np.sum([f.stat().st_size for f in given['into'].iterdir()]) / 1e6:.1f} MB")


def _whole(value: str) -> int:
    return int(float(value))


if __name__ == "__main__":
    main()
