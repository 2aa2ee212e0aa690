"""Paper A's loss, one optimizer step of it::

    L = w · ( L_sup + λ_u · L_cons + α_adv · L_adv ) + (1 − w) · L_sim

A :class:`~paperkit.training.methods.Method` says which terms are on. With none but L_sup this is plain fine-tuning, and
paper B's training with its focal loss. Every term back-propagates by itself, so that no two graphs are in memory at once.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperkit import losses
from paperkit.attacks import evaluating, norms, perturb, virtual
from paperkit.models.encoder import Projection
from paperkit.models.momentum import MomentumCopy, Queue
from paperkit.seeds import derive, numpy_generator
from paperkit.text.batches import Batch
from paperkit.training.methods import Method
from paperkit.training.numerics import precision

LabelledLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits ``(N, K)`` and labels ``(N,)`` to the loss of each example ``(N,)``."""


@dataclass(frozen=True)
class Step:
    """What one optimizer step reads."""

    number: int
    """Counted from 0 over the whole training."""
    progress: float
    """Share of the training that is done, in [0, 1)."""
    labelled: Batch
    labels: Tensor
    """int64 ``(N,)``."""
    unlabelled: Batch | None = None
    """Texts of the consistency term."""
    augmented: Batch | None = None
    """The same, augmented."""
    similar: Batch | None = None
    """Texts of the contrastive term."""
    positives: Batch | None = None
    """The same, with words repeated."""
    negatives: Batch | None = None
    """Texts that are held to differ from all of them; perhaps none."""


class Objective(nn.Module):
    """The terms of one method, and the state they keep: momentum encoder, queue, teacher, earlier predictions."""

    def __init__(
        self,
        method: Method,
        model: nn.Module,
        loss: LabelledLoss,
        *,
        batch_size: int,
        pool: Tensor | None = None,
        seed: int = 0,
        dtype: str = "float32",
    ):
        """
        Args:
            loss: of the labelled texts: cross-entropy, or paper B's focal loss.
            batch_size: labelled texts per step, which the queue is measured in.
            pool: rows of the unlabelled texts, rising, ``(U,)``; for targets that remember each text.
        """
        super().__init__()
        self.method, self.loss, self.seed, self.dtype = method, loss, seed, dtype
        weight, width = model.output.weight, model.output.in_features
        memory = at_least_float32(weight)  # queue and ensemble hold values of its type
        contrast, consistency = method.contrast, method.consistency
        self.projection = self.momentum_encoder = self.momentum_projection = self.queue = self.teacher = None
        if contrast:
            self.projection = Projection(width).to(weight)
            if size := round(contrast.queue * contrast.ratio * batch_size):
                self.momentum_encoder = MomentumCopy(model, contrast.momentum, contrast.start)
                self.momentum_projection = MomentumCopy(self.projection, contrast.momentum, contrast.start)
                self.queue = Queue(size, width).to(memory)
        if consistency and consistency.target == "teacher":
            self.teacher = MomentumCopy(model, consistency.average)
        if consistency and consistency.target == "ensemble":
            self.register_buffer("pool", pool.to(weight.device))
            self.register_buffer("ensemble", memory.new_zeros(len(pool), model.output.out_features))
            self.register_buffer("visits", memory.new_zeros(len(pool)))

    def backward(self, model: nn.Module, step: Step) -> dict[str, Tensor]:
        """Add the gradients of L to those of ``model``, and return every term and what is worth watching.

        Returns:
            0-dimensional tensors: ``loss``; the terms that are on, unweighted: ``sup``, ``cons``, ``adv``, ``sim``; ``ce``,
            the cross-entropy of the labelled texts; ``kept_sup`` and ``kept_cons``, shares that TSA and the confidence mask
            let train; ``entropy``; ``delta``, the mean norm of the perturbations of the labelled texts that train; ``queue``,
            how full it is. With mixup ``ce`` is that of the mixtures, against the label of the first text of each.
        """
        method, w = self.method, self.method.supervised
        logs: dict[str, Tensor] = {}
        total = step.labels.new_zeros((), dtype=torch.float32)
        if w > 0:
            total = total + w * self._supervised(model, step, w, logs)
            if method.consistency:
                total = total + w * self._consistency(model, step, w, logs)
        if method.contrast:
            total = total + (1 - w) * self._similarity(model, step, 1 - w, logs)
        return {"loss": total} | logs

    def after_step(self, model: nn.Module) -> None:
        """Moving averages follow, once the optimizer has stepped."""
        if self.momentum_encoder:
            self.momentum_encoder.update(model)
            self.momentum_projection.update(self.projection)
        if self.teacher:
            self.teacher.update(model)

    # L_sup + α_adv · L_adv

    def _supervised(self, model: nn.Module, step: Step, w: float, logs: dict[str, Tensor]) -> Tensor:
        method, batch, y = self.method, step.labelled, step.labels
        embedded = model.embed(batch.ids)
        classify = self._mixing(model, batch, y, step.number)

        if method.adversarial:
            embedded.retain_grad()
        logits, each = classify(embedded)
        kept = None
        if method.consistency:
            threshold = losses.tsa_threshold(step.progress, logits.shape[-1], method.consistency.tsa)
            kept = losses.tsa_mask(logits, y, threshold)
            logs["kept_sup"] = kept.float().mean()
        sup = losses.average(each, kept)
        (w * sup).backward()
        logs |= {"sup": sup.detach(), "ce": F.cross_entropy(logits.detach(), y)}
        if not method.adversarial:
            return logs["sup"]

        def trained(x: Tensor) -> Tensor:
            each = classify(x)[1]
            return each if kept is None else torch.where(kept, each, 0.0)

        # the clean pass has given the first gradient. An example that TSA holds back has none, then or later: it is not
        # attacked, and is left out of L_adv too, which would train what TSA withholds
        delta = perturb(model, trained, embedded, batch.inside, method.adversarial,
                        gradient=embedded.grad, ids=batch.ids, generator=self._generator("noise", step.number))  # fmt: skip
        adv = losses.average(classify(model.embed(batch.ids) + delta)[1], kept)
        (w * method.adversarial_weight * adv).backward()
        logs |= {"adv": adv.detach(), "delta": losses.average(norms(delta), kept)}
        return logs["sup"] + method.adversarial_weight * logs["adv"]

    def _mixing(
        self, model: nn.Module, batch: Batch, y: Tensor, number: int
    ) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Embeddings to logits and loss of each labelled example, mixed with another one where mixup is on."""
        level = self.method.mixup
        if level == "none":

            def plain(embedded: Tensor) -> tuple[Tensor, Tensor]:
                logits = self.classify(model, embedded, batch.lengths)
                return logits, self.loss(logits, y)

            return plain
        generator, a = numpy_generator(self.seed, "mixup", number), self.method.mixup_alpha
        share = torch.from_numpy(generator.beta(a, a, len(batch))).to(at_least_float32(model.output.weight))
        partner = torch.from_numpy(generator.permutation(len(batch))).to(y.device)

        def mixed(embedded: Tensor) -> tuple[Tensor, Tensor]:
            if level == "embedding":
                # as long as the text of the larger share: what is all of one text is that text
                lengths = torch.where(share >= 0.5, batch.lengths, batch.lengths[partner])
                logits = self.classify(model, losses.mix(embedded, partner, share), lengths)
            else:
                with precision(embedded.device, self.dtype):
                    logits = model.output(
                        model.output_dropout(losses.mix(model.represent(embedded, batch.lengths), partner, share))
                    )
                logits = at_least_float32(logits)
            return logits, share * self.loss(logits, y) + (1 - share) * self.loss(logits, y[partner])

        return mixed

    # λ_u · L_cons

    def _consistency(self, model: nn.Module, step: Step, w: float, logs: dict[str, Tensor]) -> Tensor:
        c = self.method.consistency
        target, kept = self._target(model, step)
        if c.view == "augmentation":
            view, embedded = step.augmented, model.embed(step.augmented.ids)
        else:
            view, embedded = step.unlabelled, model.embed(step.unlabelled.ids)
        if c.view == "virtual":
            embedded = embedded + virtual(model, lambda x: self.classify(model, x, view.lengths), embedded, view.inside, target,
                                          c.virtual, generator=self._generator("virtual", step.number))  # fmt: skip
        logits = self.classify(model, embedded, view.lengths)
        if c.target == "label":
            kept = losses.confident(logits, c.confidence)
            target = F.one_hot(logits.detach().argmax(dim=-1), logits.shape[-1]).to(logits)
        if c.target == "ensemble":
            self._remember(step.unlabelled, F.softmax(logits.detach(), dim=-1))
        cons = losses.average(losses.divergence(logits, target, c.divergence), kept, c.divisor)
        weight = c.weight * losses.ramp(step.progress, c.ramp, c.ramp_length)
        value = weight * cons
        if c.entropy:
            entropy = losses.entropy(logits).mean()
            value = value + c.entropy * entropy
            logs["entropy"] = entropy.detach()
        (w * value).backward()
        logs |= {"cons": cons.detach(), "kept_cons": kept.float().mean()}
        return value.detach()

    def _target(self, model: nn.Module, step: Step) -> tuple[Tensor | None, Tensor | None]:
        """Probabilities ``(U, K)`` that the view must follow, and which texts train ``(U,)``."""
        c, batch = self.method.consistency, step.unlabelled
        if c.target == "label":  # known when the view is predicted
            return None, None
        if c.target == "ensemble":
            place = torch.searchsorted(self.pool, batch.rows)
            # the average starts at 0: without the division early targets would be too small
            z = self.ensemble[place] / (1 - c.average ** self.visits[place].clamp(min=1))[:, None]
            kept = (self.visits[place] > 0) & (z.amax(dim=-1) >= c.confidence)
            return losses.sharpen(z.clamp(min=torch.finfo(z.dtype).tiny).log(), c.temperature), kept
        if c.target == "live":
            with evaluating(model) if c.view == "virtual" else nullcontext():
                logits = self.classify(model, model.embed(batch.ids), batch.lengths)
        else:
            with torch.no_grad():
                teacher = self.teacher.module.eval() if self.teacher else model
                with evaluating(teacher) if c.view == "virtual" else nullcontext():
                    logits = self.classify(teacher, teacher.embed(batch.ids), batch.lengths)
        return losses.sharpen(logits, c.temperature), losses.confident(logits, c.confidence)

    @torch.no_grad()
    def _remember(self, batch: Batch, probabilities: Tensor) -> None:
        place = torch.searchsorted(self.pool, batch.rows)
        c = self.method.consistency
        self.ensemble[place] = c.average * self.ensemble[place] + (1 - c.average) * probabilities
        self.visits[place] += 1

    # (1 − w) · L_sim

    def _similarity(self, model: nn.Module, step: Step, share: float, logs: dict[str, Tensor]) -> Tensor:
        c = self.method.contrast
        batch, other = step.similar, step.similar if step.positives is None else step.positives
        one, two = model.embed(batch.ids), model.embed(other.ids)
        if c.positive == "consert":
            one = shuffled(one, batch.inside, self._generator("shuffle", step.number))
            two = features_cut(two, self._generator("cutoff", step.number))
        h, positives = self._project(model, one, batch.lengths), self._project(model, two, other.lengths)
        negatives = None
        if step.negatives is not None:
            negatives = self._project(model, model.embed(step.negatives.ids), step.negatives.lengths)
        queue, own = (self.queue.contents(), self.queue.holds(batch.rows)) if self.queue else (None, None)
        sim = losses.info_nce(h, positives, c.temperature, queue, negatives, own).mean()
        (share * sim).backward()
        logs["sim"] = sim.detach()
        if self.queue:
            with torch.no_grad():
                encoder, projection = self.momentum_encoder.module.eval(), self.momentum_projection.module.eval()
                keys = self._project(encoder, encoder.embed(batch.ids), batch.lengths, projection)
                self.queue.push(keys, batch.rows)
            logs["queue"] = self.queue.fill.float()
        return logs["sim"]

    def _project(
        self, model: nn.Module, embedded: Tensor, lengths: Tensor, projection: nn.Module | None = None
    ) -> Tensor:
        """Sentence embeddings ``(N, d)`` as they are trained: through the MLP that evaluation leaves out."""
        with precision(embedded.device, self.dtype):
            return at_least_float32((projection or self.projection)(model.represent(embedded, lengths)))

    # what they share

    def classify(self, model: nn.Module, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Logits ``(N, K)`` in float32 at least, computed in mixed precision if asked for."""
        with precision(embedded.device, self.dtype):
            return at_least_float32(model.classify(embedded, lengths))

    def _generator(self, purpose: str, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(derive(self.seed, purpose, number))


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` with half precision raised to float32, which losses are computed in; doubles stay doubles."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def shuffled(embedded: Tensor, inside: Tensor, generator: torch.Generator) -> Tensor:
    """ConSERT's token shuffling: the words of each text in another order, special tokens and padding where they were."""
    noise = torch.rand(inside.shape, generator=generator).to(inside.device)
    places = torch.arange(inside.shape[1], device=inside.device).expand_as(inside)
    # words get the places of words, in the order of the noise; both sorts put the words first
    order = torch.where(inside, noise, 2.0).argsort(dim=1, stable=True)
    slots = torch.where(inside, 0, 1).argsort(dim=1, stable=True)
    source = places.clone().scatter(1, slots, order)
    source = torch.where(inside, source, places)
    return embedded.gather(1, source[..., None].expand_as(embedded))


def features_cut(embedded: Tensor, generator: torch.Generator, rate: float = 0.15) -> Tensor:
    """ConSERT's feature cutoff: a share of the embedding's dimensions is 0 in all words of a text."""
    kept = torch.rand(len(embedded), 1, embedded.shape[-1], generator=generator) >= rate
    return embedded * kept.to(embedded.device)
