"""A study: which data, which profile, and therefore which runs. What every notebook and every exhibit starts from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from paperkit import paths, profiles, runs
from paperkit.corpora.corpus import Corpus
from paperkit.corpora.pools import FEWEST
from paperkit.errors import InputError
from paperkit.evaluate import metrics
from paperkit.models import backbones
from paperkit.papers import (
    ALPHAS,
    BASELINE,
    EQUAL_BUDGET,
    MAJORITY,
    SVM,
    SVM_CUT,
    WHOLE,
    ablations,
    budget_of,
    paper_a,
    paper_b,
    relatives,
    sentence_encoders,
    variants,
)
from paperkit.profiles import Profile
from paperkit.runs import Run, RunSpec, Source
from paperkit.store import Store
from paperkit.text.prepare import Prepared, prepare
from paperkit.text.tokens import TokenOptions
from paperkit.training.methods import Method
from paperkit.training.numerics import resolve_device

Key = TypeVar("Key")


@dataclass(frozen=True)
class Study:
    """Data and profile of one reproduction.

    >>> study = Study("embedded", "smoke", overrides={"gamma": 3.0})
    >>> study.get(study.paper_b_specs())            # trains what is missing, reads the rest
    """

    data: str = "embedded"
    """``"embedded"``, ``"public"``, or the path of a table (with a file suffix)."""
    profile_name: str = "smoke"
    text: str | None = None
    """Column of a table that holds the texts; guessed when None. Likewise the next three."""
    label: str | None = None
    split: str | None = None
    platform: str | None = None
    quote_texts: bool = False
    """Whether exhibits may quote texts of a table; those of corpora always may."""
    overrides: dict[str, Any] = field(default_factory=dict, hash=False)
    """Settings that differ from the profile: ``{"gamma": 3.0, "epochs": 5}``."""
    workers: int | None = None
    """Runs trained at a time; see :attr:`at_once` when None. Changes the time, not the results."""

    @property
    def kind(self) -> str:
        """``"embedded"``, ``"public"`` or ``"table"``."""
        return self.data if self.data in ("embedded", "public") else "table"

    @property
    def may_quote(self) -> bool:
        """Whether exhibits may show texts: those of a user's table only when asked."""
        return self.kind != "table" or self.quote_texts

    @cached_property
    def profile(self) -> Profile:
        return profiles.load(self.profile_name, self.kind, self.overrides)

    @cached_property
    def at_once(self) -> int:
        """Runs trained at a time: one per core unless ``workers`` says; on a GPU one, which fills its memory."""
        devices = {self.profile.schedule.device, self.profile.finetune.device} - {"cpu"}
        on_gpu = any(resolve_device(device) == "cuda" for device in devices)
        return self.workers or (1 if on_gpu else runs.cores())

    @cached_property
    def store(self) -> Store:
        return Store.default()

    @cached_property
    def source(self) -> Source:
        """Where paper B's reviews come from."""
        columns = {"text": self.text, "label": self.label, "split": self.split, "platform": self.platform}
        if self.kind == "embedded":
            return Source("reviews", size=self.profile.reviews, **columns)
        if self.kind == "public":
            # which refuses columns: they are for a table, perhaps its name is missing
            return Source("travel", **columns)
        try:
            path = Path(self.data).expanduser().resolve()
        except (RuntimeError, ValueError) as error:  # a loop of links, an unknown ~user; a NUL
            raise InputError(f"data is {self.data!r}, a path that leads nowhere ({error}); accepted are embedded, public, or "
                             "the path of a table") from None  # fmt: skip
        return Source(str(path), **columns)

    @property
    def corpus(self) -> Corpus:
        """Paper B's reviews."""
        return self.source.load()

    @cached_property
    def large(self) -> tuple[Source, ...]:
        """Where paper A's corpora come from: news of many topics, and tickets under a tree of many similar labels."""
        if self.kind == "embedded":
            return Source("newswire", size=self.profile.newswire), Source("tickets", size=self.profile.tickets)
        if self.kind == "public":
            return Source("reuters21578"), Source("exam-tree")
        return (self.source,)

    @property
    def name(self) -> str:
        """The folder name of this data: ``"embedded"``, ``"public"``, or the table's name."""
        if self.kind != "table":
            return self.kind
        return self.corpus.name if self.corpus.name not in ("embedded", "public") else f"{self.corpus.name}-table"

    @property
    def folder(self) -> Path:
        """Where this study's exhibits are built."""
        return paths.build(self.name, self.profile.name)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every corpus that is read."""
        return tuple(dict.fromkeys((self.source, *self.large, *self.further, *self.encoder_sources)))

    @property
    def models(self) -> tuple[Method, ...]:
        """The three models of paper B."""
        return paper_b(self.profile.gamma, self.profile.alpha)

    @property
    def references(self) -> tuple[Method, ...]:
        """The rows beside paper B's models."""
        return SVM, MAJORITY

    def spec(self, method: Method, train_on: str, seed: int = 0, **text: Any) -> RunSpec:
        """One run; ``text`` overrides single :class:`~paperkit.text.prepare.TextOptions`."""
        profile = self.profile
        return RunSpec(self.source, train_on, method, replace(profile.text, **text), profile.schedule, seed)

    def token_options(self, source: Source, **tokens: Any) -> TokenOptions:
        """How the texts of one of paper A's corpora become tokens: with the encoder of its language."""
        language = source.load().language
        backbone = self.profile.backbone_zh if language == "zh" else self.profile.backbone_en
        return replace(self.profile.tokens, **({"backbone": backbone} | tokens))

    def large_specs(self, source: Source, method: Method, seeds: int | None = None, **tokens: Any) -> list[RunSpec]:
        """One run per seed of a method on one of paper A's corpora; ``tokens`` overrides single options of the tokens."""
        options = self.token_options(source, **tokens) if method.network else None
        count = (seeds or self.profile.large_seeds) if method.seeded else 1
        return [RunSpec(source, None, method, options, self.profile.finetune, seed) for seed in range(count)]

    def svm_specs(self, source: Source, share: float, seeds: int | None = None) -> dict[str, list[RunSpec]]:
        """The linear SVM on a share of the labels: one that reads no more of a text than the networks do, and one that reads
        it whole."""
        whole = self.large_specs(source, replace(SVM, labelled=share), seeds)
        options = self.token_options(source)
        cut = [replace(spec, method=replace(spec.method, name=SVM_CUT), text=options) for spec in whole]
        return {SVM_CUT: cut, SVM.name: whole}

    def specs(self, method: Method, train_on: str, seeds: int | None = None, **text: Any) -> list[RunSpec]:
        """One run per seed; a reference row has one."""
        count = (seeds or self.profile.seeds) if method.seeded else 1
        return [self.spec(method, train_on, seed, **text) for seed in range(count)]

    def paper_b_specs(self) -> list[RunSpec]:
        """Runs behind paper B's tables and figures: every model on every platform, every seed."""
        methods = self.models + self.references
        return [spec for platform in self.corpus.platforms for method in methods
                for spec in self.specs(method, platform)]  # fmt: skip

    def ablation_specs(self) -> dict[str, list[RunSpec]]:
        """Runs behind the ablation table, on the largest platform: name of the row to its runs."""
        focal, platform = self.models[-1], self.corpus.platforms[0]
        return {name: self.specs(method, platform, self.profile.ablation_seeds, **text)
                for name, (method, text) in ablations(focal).items()}  # fmt: skip

    def surface_specs(self) -> dict[tuple[float, str | float | None], list[RunSpec]]:
        """Runs behind the surface of the focal loss, on the largest platform: (γ, α) to its runs.

        γ = 0 without α is Bi-LSTM-Att. A number as α weighs class 1, so it needs two classes.
        """
        _, plain, focal = self.models
        known = [a for a in ALPHAS[: self.profile.n_alphas] if not isinstance(a, float) or self.corpus.n_classes == 2]
        return {(gamma, alpha): self.specs(replace(focal, gamma=gamma, alpha=alpha) if gamma or alpha is not None else plain,
                                           self.corpus.platforms[0], self.profile.ablation_seeds)
                for gamma, alpha in product(sorted(set(self.profile.gammas)), known)}  # fmt: skip

    def learning_specs(self) -> dict[tuple[str, float], list[RunSpec]]:
        """Runs behind paper B's learning curve, on the largest platform: (model, share of the labels) to its runs.

        A run with few labels takes at least as many steps as one with all of them, so that it lacks labels and not steps; its
        word vectors are those of all training texts, which need no labels.
        """
        platform, schedule = self.corpus.platforms[0], self.profile.schedule
        whole = schedule.epochs * -(-len(self.corpus.rows("train", platform)) // schedule.batch_size)
        equal = replace(schedule, min_steps=max(whole, schedule.min_steps))
        found = {}
        for share in sorted({*self.profile.b_label_shares, 1.0}):
            for method in self.models[1:]:
                specs = self.specs(replace(method, labelled=share), platform, self.profile.ablation_seeds)
                found[method.name, share] = specs if share == 1 else [replace(spec, schedule=equal) for spec in specs]
        return found

    # paper A

    @property
    def baseline(self) -> Method:
        """Paper A's Baseline on the profile's share of the labels."""
        return replace(BASELINE, labelled=self.profile.labelled)

    @property
    def ten(self) -> tuple[Method, ...]:
        """The ten models of paper A's Table 3."""
        profile = self.profile
        return paper_a(self.baseline, profile.uda, profile.esimcse, profile.fgm, profile.pgd)

    def model(self, name: str) -> Method:
        """One of the ten by its name in Table 3."""
        return {method.name: method for method in self.ten}[name]

    def ten_specs(self) -> dict[tuple[Source, str], list[RunSpec]]:
        """Runs behind paper A's tables and figures: (corpus, model) to one run per seed; SVMs of the same labels last."""
        return self._beside_svms(self.large, self.ten)

    def _beside_svms(
        self, sources: Iterable[Source], methods: Iterable[Method]
    ) -> dict[tuple[Source, str], list[RunSpec]]:
        """Methods on corpora, and last on each the SVMs of the same labels."""
        found = {}
        for source in sources:
            found |= {(source, method.name): self.large_specs(source, method) for method in methods}
            found |= {(source, name): specs for name, specs in self.svm_specs(source, self.profile.labelled).items()}
        return found

    @property
    def further(self) -> tuple[Source, ...]:
        """Corpora of the literature on which only Baseline and the whole method are trained."""
        return (Source("r8"), Source("r52"), Source("csldcp")) if self.kind == "public" else ()

    def further_specs(self) -> dict[tuple[Source, str], list[RunSpec]]:
        """Runs behind the table of further corpora: (corpus, model) to one run per seed, SVMs of the same labels last."""
        return self._beside_svms(self.further, (self.baseline, self.model(WHOLE)))

    @property
    def hard(self) -> Source:
        """The corpus on which variants and curves are drawn: the one with the label tree, which is the last."""
        return self.large[-1]

    def relative_specs(self) -> dict[str, list[RunSpec]]:
        """Runs behind the comparison of UDA with its semi-supervised relatives, on the hard corpus."""
        methods = (self.baseline, *relatives(self.baseline, self.profile.uda))
        return {method.name: self.large_specs(self.hard, method, self.profile.curve_seeds) for method in methods}

    def sentence_specs(self) -> dict[tuple[Source, str], list[RunSpec]]:
        """Runs behind the comparison of sentence embeddings, trained without any label."""
        methods = sentence_encoders(self.baseline, self.profile.esimcse)
        return {(source, method.name): self.large_specs(source, method, self.profile.curve_seeds)
                for source in self.large for method in methods}  # fmt: skip

    @property
    def terms(self) -> tuple[Method, ...]:
        """Baseline with each term of the loss alone: what every one of them does by itself."""
        return tuple(self.model(name) for name in ("Baseline", "UDA", "Baseline+ESimCSE", "Baseline+FGM"))

    def share_specs(self) -> dict[tuple[str, float], list[RunSpec]]:
        """Runs behind the curves over the share of the labels, on the hard corpus: (model, share) to its runs."""
        shares = sorted({*self.profile.curve_shares, self.profile.labelled})
        return {(method.name, share): self.large_specs(self.hard, replace(method, labelled=share), self.profile.curve_seeds)
                for share in shares for method in self.terms}  # fmt: skip

    def length_specs(self) -> dict[tuple[float, str], list[RunSpec]]:
        """Runs behind the question whether the terms had time to act, on the hard corpus: (how many times the epochs, model) to
        its runs."""

        def longer(spec: RunSpec, times: float) -> RunSpec:
            return replace(spec, schedule=replace(spec.schedule, epochs=max(1, round(spec.schedule.epochs * times))))

        usual = {method.name: self.large_specs(self.hard, method, self.profile.curve_seeds) for method in self.terms}
        return {(times, name): [longer(spec, times) for spec in specs]
                for times in sorted({1.0, *self.profile.lengths}) for name, specs in usual.items()}  # fmt: skip

    def noise_specs(self) -> dict[tuple[str, float], list[RunSpec]]:
        """Runs behind the curves over the share of wrong labels; none where the truth is not known."""
        table = self.hard.load().table
        if (table.truth[(table.split == "train") & (table.label >= 0)] < 0).any():
            return {}
        return {(method.name, noise): self.large_specs(self.hard, replace(method, noise=noise), self.profile.curve_seeds)
                for noise in self.profile.noise_rates for method in self.terms}  # fmt: skip

    def pool_specs(self) -> dict[tuple[str, float, int], list[RunSpec]]:
        """Runs behind the question what UDA's pool does, on the hard corpus: (model, share of the pool, 1 if it is even over
        the classes) to its runs. Baseline has no pool. None is even where nobody knows a label of an unlabelled text."""
        plan = {("Baseline", 0.0, 0): self.baseline}
        below = sorted({share for share in self.profile.pool_shares if share < 1})
        known = self.profile.labelled < 1 or len(self.hard.load().rows("unlabelled")) < FEWEST
        for share, even in [*product(below, (0,)), *product(below[-1:] if known else (), (1,)), (1.0, 0)]:
            uda = replace(self.profile.uda, pool=share, even=bool(even))
            plan["UDA", share, even] = replace(self.baseline, name="UDA", consistency=uda)
        return {key: self.large_specs(self.hard, method, self.profile.curve_seeds) for key, method in plan.items()}

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches of the hard corpus' label tree: parents of two leaves or more."""
        return metrics.branches(self.hard.load().label_names)

    def branch_specs(self) -> dict[tuple[str, float], list[RunSpec]]:
        """Runs behind the question what adversarial training does where branches are mixed up: (model, share of them) to its
        runs. A share is that of one branch at least; there are no runs where the labels have no branches."""
        if not (count := len(self.branches)):
            return {}
        shares = sorted({0.0, *(share if round(share * count) else 1 / count for share in self.profile.branch_shares)})
        models = [self.model(name) for name in ("Baseline", "Baseline+FGM", "Baseline+PGD")]
        return {(method.name, share): self.large_specs(self.hard, replace(method, mixed_branches=share), self.profile.curve_seeds)
                for share in shares for method in models}  # fmt: skip

    def budget_specs(self) -> dict[tuple[Source, str], list[RunSpec]]:
        """Runs behind the comparison of PGD with FGM: (corpus, model) to one run per seed; PGD as the profile has it, and
        with FGM's budget."""
        fgm, usual = self.model("Baseline+FGM"), self.model("Baseline+PGD")
        equal = replace(usual.adversarial, **budget_of(fgm.adversarial))
        models = {"Baseline": self.baseline, "Baseline+FGM": fgm, "Baseline+PGD": usual,
                  EQUAL_BUDGET: replace(usual, adversarial=equal)}  # fmt: skip
        return {(source, name): self.large_specs(source, method)
                for source in self.large for name, method in models.items()}  # fmt: skip

    @property
    def variants(self) -> dict[str, tuple[Method, ...]]:
        """Paper A's hyper-parameters one at a time; see :func:`paperkit.papers.variants`."""
        profile = self.profile
        return variants(self.baseline, profile.uda, profile.esimcse, profile.fgm, profile.pgd)

    def variant_specs(self) -> dict[tuple[str, str], list[RunSpec]]:
        """Runs behind the ablations of paper A, on the hard corpus: (family, model) to its runs; Baseline, then each family
        with its plain member first."""
        methods = {("Baseline", "Baseline"): self.baseline}
        for family, changed in self.variants.items():
            methods |= {(family, method.name): method for method in (self.model(family), *changed)}
        return {key: self.large_specs(self.hard, each, self.profile.ablation_seeds) for key, each in methods.items()}

    @cached_property
    def encoder_sources(self) -> tuple[Source, ...]:
        """Corpora on which encoders are compared."""
        if self.kind == "public":
            return (*self.large, Source("csldcp"), Source("ctrip-hotels"))
        return self.large

    def encoders(self, source: Source) -> tuple[str, ...]:
        """Encoders to compare on a corpus: that of the profile, ``mini`` without pretraining, and, on public English texts
        where its package is installed, ``minilm``. What is embedded must not depend on an optional package."""
        english = self.kind == "public" and source.load().language == "en" and backbones.has_minilm()
        return tuple(dict.fromkeys([self.token_options(source).backbone, "mini-random", *["minilm"] * english]))

    def encoder_specs(self) -> dict[tuple[Source, str, float], list[RunSpec]]:
        """Runs behind the comparison of encoders: (corpus, encoder or SVM, share of labels) to one run per seed."""
        found = {}
        for source, share in product(self.encoder_sources, self.profile.label_shares):
            seeds = self.profile.encoder_seeds
            for name in self.encoders(source):
                method = replace(BASELINE, labelled=share)
                found[source, name, share] = self.large_specs(source, method, seeds, backbone=name)
            found |= {(source, name, share): specs for name, specs in self.svm_specs(source, share, seeds).items()}
        return found

    def plan(self) -> list[RunSpec]:
        """Every run that the notebooks will ask for; refuses settings that one of them could not be trained with."""
        tables = (self.ablation_specs(), self.surface_specs(), self.learning_specs(), self.encoder_specs(), self.ten_specs(),
                  self.relative_specs(), self.sentence_specs(), self.share_specs(), self.length_specs(),
                  self.noise_specs(), self.pool_specs(), self.branch_specs(), self.budget_specs(), self.variant_specs(),
                  self.further_specs())  # fmt: skip
        every = self.paper_b_specs() + [spec for table in tables for specs in table.values() for spec in specs]
        once: dict[RunSpec, RunSpec] = {}
        for spec in every:  # one run may have a name in each of two tables
            once.setdefault(replace(spec, method=replace(spec.method, name="")), spec)
        runs.check(once.values())
        return [*once.values()]

    def get(self, specs: Iterable[RunSpec]) -> list[Run]:
        """The runs, trained where missing."""
        return runs.get(list(specs), self.store, self.at_once)

    def get_each(self, groups: Mapping[Key, Sequence[RunSpec]]) -> dict[Key, list[Run]]:
        """The runs of each group; what is missing in any of them is trained together."""
        self.get(spec for specs in groups.values() for spec in specs)
        return {key: self.get(specs) for key, specs in groups.items()}

    def runs(self, method: Method, train_on: str, seeds: int | None = None, **text: Any) -> list[Run]:
        """The runs of one method on one platform, in the order of seeds."""
        return self.get(self.specs(method, train_on, seeds, **text))

    def prepared(self, train_on: str, **text: Any) -> Prepared:
        """The corpus as numbers, for training on one platform."""
        return prepare(self.corpus, train_on, replace(self.profile.text, **text), self.store)

    def summary(self) -> str:
        """What will be computed, in a few lines of plain text; of a table also which columns were taken."""
        corpus, profile = self.corpus, self.profile
        sizes = corpus.table.split.value_counts()
        parts = ", ".join(f"{sizes[s]:,} {s}" for s in ("train", "dev", "test", "unlabelled") if s in sizes)
        used = [(note.reason.split()[-1], note.detail) for note in corpus.notes
                if note.reason.startswith("column used as ")]  # fmt: skip
        taken = "; ".join(f"{role}: {column}" for role, column in used)
        lines = [
            f"corpus   {corpus.name}: {len(corpus):,} texts ({parts}), {corpus.n_classes} classes, {corpus.language}",
            *([f"columns  {taken}"] if taken else []),
            f"profile  {profile.name}: {profile.seeds} seeds, {profile.schedule.epochs} epochs, "
            f"γ = {profile.gamma:g}, α = {profile.alpha}, vectors {profile.text.vector_size} wide",
            f"sha256   {corpus.checksum[:16]}",
        ]
        return "\n".join(lines)
