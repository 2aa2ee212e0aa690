"""Runs: asked for by what they are, read if finished, resumed if interrupted, trained if missing."""

import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from paperkit import code, corpora
from paperkit.corpora.corpus import Corpus
from paperkit.errors import InputError
from paperkit.models import backbones
from paperkit.progress import progress_bar
from paperkit.store import Store, key
from paperkit.terms import NEGATIVES
from paperkit.text.augment import rests_on
from paperkit.text.prepare import TextOptions, words_identity
from paperkit.text.tokens import TokenOptions, check_length
from paperkit.training.methods import Method, Schedule
from paperkit.training.numerics import numerics, resolve_device, resolve_dtype

KIND = "runs"


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from: the arguments of :func:`paperkit.corpora.load`."""

    name: str
    """A corpus name or the path of a table."""
    size: int | None = None
    """Number of texts of a generated corpus."""
    text: str | None = None
    label: str | None = None
    split: str | None = None
    platform: str | None = None

    def load(self) -> Corpus:
        """The corpus; kept in memory, a run after the other asks for the same one."""
        return _load(self)


@lru_cache(maxsize=8)
def _load(source: Source) -> Corpus:
    arguments = asdict(source)
    return corpora.load(arguments.pop("name"), **arguments)


@dataclass(frozen=True)
class RunSpec:
    """Everything that determines a run."""

    source: Source
    train_on: str | None
    """The platform whose training texts are used; None for all."""
    method: Method
    text: TextOptions | TokenOptions | None
    """How the texts become numbers; None for a reference row that reads them as they are, and tokens for one that reads no more
    of them than an encoder does."""
    schedule: Schedule
    seed: int

    @cached_property
    def identity(self) -> dict:
        """What the store knows the run by: content, code and numerics, but neither file names nor the method's name."""
        method = asdict(self.method)
        del method["name"]
        for term in (self.method.consistency, self.method.contrast):
            if term:  # what an augmentation reads is content, not the name of a file
                method[type(term).__name__.lower()]["augmentation"] = rests_on(
                    term.augmentation, self.source.load().language
                )
        if self.method.contrast and self.method.contrast.eda_negatives:  # which read a lexicon
            method["negatives"] = rests_on(NEGATIVES, self.source.load().language)
        return {
            "corpus": self.source.load().checksum,
            "train_on": self.train_on,
            "method": method,
            "text": self._text_identity(),
            "schedule": self._schedule_identity() if self.method.network else None,
            "seed": self.seed if self.method.seeded else None,
            "code": code.digest("paperkit.training.execute"),
            "numerics": numerics(self.schedule.device),
        }

    def _schedule_identity(self) -> dict:
        device = resolve_device(self.schedule.device)
        return asdict(self.schedule) | {"device": device, "dtype": resolve_dtype(self.schedule.dtype, device)}

    def _text_identity(self) -> dict | None:
        """The options, what they stand for, and the libraries that texts of this kind pass through."""
        if self.text is None:
            return None
        options = asdict(self.text)
        if isinstance(self.text, TokenOptions):
            libraries = code.versions("tokenizers", "transformers")
            return options | libraries | {"backbone": backbones.find(self.text.backbone).identity}
        libraries = code.versions("gensim", "jieba")
        return options | libraries | {"words": key(words_identity(self.source.load(), self.text.stop_words))}

    def load(self, store: Store, folder: Path):
        """The trained network and the texts that it reads; see :func:`paperkit.training.execute.load`."""
        from paperkit.training.execute import load

        return load(self.source.load(), self.train_on, self.method, self.text, self.schedule, self.seed, store, folder)

    def find(self, store: Store) -> "Run | None":
        """The finished run, or None."""
        folder = store.find(KIND, self.identity)
        return Run(self, folder) if folder else None


@dataclass(frozen=True)
class Run:
    """A finished run in the store."""

    spec: RunSpec
    folder: Path = field(repr=False)

    @cached_property
    def result(self) -> dict:
        """``history``, ``n_train``, ``n_words``, ``train_words``, ``seconds``."""
        return json.loads((self.folder / "run.json").read_text())

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch; see :func:`paperkit.training.loop.fit`."""
        return pd.DataFrame(self.result["history"])

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row per optimizer step: the terms of the loss, see :meth:`paperkit.training.objective.Objective.backward`."""
        return pd.DataFrame(load_file(self.folder / "steps.safetensors"))

    def model(self, store: Store | None = None):
        """The trained network in ``eval()`` mode, and the texts that it reads."""
        return self.spec.load(store or Store.default(), self.folder)

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """``rows`` of the corpus that were predicted, and their ``logits`` ``(rows, K)``."""
        return load_file(self.folder / "outputs.safetensors")

    def on(self, platform: str | None, split: str = "test") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, labels and logits of the texts of ``platform`` (None: of all) that this run was tested on.

        Of the platform trained on these are its test texts (or its dev texts), of another one all labelled texts, which have
        no dev texts among them.
        """
        table, home = self.spec.source.load().table, self.spec.train_on
        rows = self.outputs["rows"]
        platforms = table.platform.to_numpy()[rows]
        chosen = (platforms == platform) | (platform is None)
        chosen &= np.where((platforms == home) | (home is None), table.split.to_numpy()[rows] == split, split == "test")
        return rows[chosen], table.label.to_numpy()[rows[chosen]], self.outputs["logits"][chosen]


def check(specs: Iterable[RunSpec]) -> None:
    """Refuse settings that one of these runs could not be trained with, which would otherwise be found out after others were.

    Raises:
        InputError: a text longer than its encoder can read, or one number as α where there are more than two classes.
    """
    specs = list(specs)
    for options in dict.fromkeys(spec.text for spec in specs if isinstance(spec.text, TokenOptions)):
        check_length(options)
    for source in dict.fromkeys(spec.source for spec in specs if isinstance(spec.method.alpha, int | float)):
        if (found := source.load().n_classes) != 2:
            raise InputError(f"alpha is a number, which means two classes; {source.load().name} has {found}: "
                             "accepted are inverse and none")  # fmt: skip


def get(specs: Sequence[RunSpec], store: Store | None = None, workers: int | None = None) -> list[Run]:
    """The runs, in the order of ``specs``; missing ones are trained first, ``workers`` at a time (default: one per core).

    A run uses the threads of its schedule, one by default, so the number of workers changes the time and nothing else.
    """
    store = store or Store.default()
    check(specs)
    # one per folder: specs of one run may differ (in the method's name), equal ones may be two runs (gamma 2 and 2.0)
    missing = list({store.folder(KIND, spec.identity): spec for spec in specs if spec.find(store) is None}.values())
    in_parallel(train, [(spec, store) for spec in in_good_order(missing)], workers, "training", "run")
    return [Run(spec, store.folder(KIND, spec.identity)) for spec in specs]


def in_parallel(work: Callable, items: Sequence[tuple], workers: int | None, title: str, unit: str) -> None:
    """``work(*item)`` for every item, ``workers`` at a time (default: one per core), with a progress bar."""
    workers = min(workers or cores(), len(items))
    if workers > 1:
        from joblib import Parallel, delayed

        with warnings.catch_warnings():
            # loky replaces a worker whose memory has grown and says so; nothing is lost
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            done = Parallel(n_jobs=workers, backend="loky", return_as="generator_unordered")(
                delayed(_watched)(os.getpid(), work, *item) for item in items
            )
            for _ in progress_bar(done, total=len(items), unit=unit, title=title):
                pass
    else:
        for item in progress_bar(items, total=len(items), unit=unit, title=title):
            work(*item)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train(spec: RunSpec, store: Store) -> None:
    """Train one run here and now, unless it is finished; an interrupted one goes on from its checkpoint."""

    def build(folder: Path) -> None:
        from paperkit.training.execute import execute

        execute(spec.source.load(), spec.train_on, spec.method, spec.text, spec.schedule, spec.seed, store, folder)

    store.get(KIND, spec.identity, build)


def in_good_order(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """Long runs first, so that no worker is left alone with one at the end."""

    def cost(spec: RunSpec) -> int:
        table = spec.source.load().table
        mine = (table.platform == spec.train_on) | (spec.train_on is None)
        texts = table[mine & (table.split == "train")].text
        epochs = spec.schedule.epochs if spec.method.network else 1
        return -int(texts.str.len().sum() * spec.method.labelled * epochs * spec.method.cost)

    return sorted(specs, key=cost)


def _watched(parent: int, work: Callable, *item) -> None:
    _exit_with(parent)
    work(*item)


@lru_cache(maxsize=1)
def _exit_with(parent: int) -> None:
    """End this worker when the process that started it is gone: a killed ``make paper`` must not go on computing."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
