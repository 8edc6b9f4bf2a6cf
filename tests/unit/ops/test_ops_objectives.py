"""Contrastive objectives against closed forms and against a slow loop written from the formula."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annatto.core.errors import UsageError
from annatto.core.types import Targets
from annatto.ops.compose import weighted
from annatto.ops.objectives import TERMS, info_nce, set_likelihood

NAN = float("nan")
TAU, TEACHER_TAU = 0.3, 0.7


def dot(left, right):
    return sum(float(x) * float(y) for x, y in zip(left, right, strict=True))


class Slow:
    """The batch read number by number."""

    def __init__(self, q, d, targets):
        self.q, self.d = q.tolist(), d.tolist()
        self.positive = targets.positive.tolist()
        self.mask = targets.mask.tolist()
        self.group = targets.group.tolist()
        self.teacher = targets.teacher.tolist()
        self.query_mask = targets.query_mask.tolist()
        self.document_mask = targets.document_mask.tolist()
        self.relevant = [
            {p} | {j for j, is_relevant in enumerate(row) if is_relevant}
            for p, row in zip(self.positive, targets.positives.tolist(), strict=True)
        ]

    def strange(self, i, j):
        """Whether document j is a negative of query i."""
        return self.mask[i][j] and j not in self.relevant[i]

    def strangers(self, i, j):
        """Whether queries i and j are negatives of each other."""
        both = self.strange(i, self.positive[j]) and self.strange(j, self.positive[i])
        return both and self.query_mask[i][j]

    def partition(self, i, terms, counted):
        """All that stands in the denominator of query i, as a list of exp(cosine / tau)."""
        own = self.d[self.positive[i]]
        cosines = [dot(self.q[i], self.d[j]) for j in counted]
        for j, document in enumerate(self.d):
            if "document" in terms and self.strange(i, j) and j not in counted:
                cosines.append(dot(self.q[i], document))
            if "documents" in terms and self.strange(i, j) and self.document_mask[i][j]:
                cosines.append(dot(own, document))
        for j, query in enumerate(self.q):
            if "query" in terms and self.strangers(i, j):
                cosines.append(dot(own, query))
            if "queries" in terms and self.strangers(i, j):
                cosines.append(dot(self.q[i], query))
        return [math.exp(c / TAU) for c in cosines]

    def shares(self, i, soft):
        """Document to its part of the target of query i."""
        scored = {
            j: score
            for j, score in zip(self.group[i], self.teacher[i], strict=True)
            if j >= 0 and not math.isnan(score) and (self.mask[i][j] or j == self.positive[i])
        }
        if not soft or self.positive[i] not in scored:
            return {self.positive[i]: 1.0}
        total = sum(math.exp(score / TEACHER_TAU) for score in scored.values())
        return {j: math.exp(score / TEACHER_TAU) / total for j, score in scored.items()}

    def info_nce(self, terms, soft):
        losses = []
        for i, query in enumerate(self.q):
            shares = self.shares(i, soft)
            total = sum(self.partition(i, terms, list(shares)))
            losses += [
                -share * math.log(math.exp(dot(query, self.d[j]) / TAU) / total)
                for j, share in shares.items()
            ]
        return sum(losses) / len(self.q)

    def set_likelihood(self, terms):
        losses = []
        for i, query in enumerate(self.q):
            hit = sum(math.exp(dot(query, self.d[j]) / TAU) for j in self.relevant[i])
            losses.append(-math.log(hit / sum(self.partition(i, terms, list(self.relevant[i])))))
        return sum(losses) / len(self.q)


SUBSETS = [[t for i, t in enumerate(TERMS) if bits >> i & 1] for bits in range(1, 16)]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("terms", SUBSETS, ids="-".join)
def test_info_nce_is_its_formula(vectors, targets, terms, soft):
    for seed in range(3):
        q, d = vectors(seed)
        found = info_nce(
            q,
            d,
            targets,
            temperature=TAU,
            terms=terms,
            soft=soft,
            teacher_temperature=TEACHER_TAU,
        )
        expected = Slow(q, d, targets).info_nce(terms, soft)
        assert float(found) == pytest.approx(expected, rel=1e-6)  # teacher scores are float32


@pytest.mark.parametrize("terms", SUBSETS, ids="-".join)
def test_set_likelihood_is_its_formula(vectors, targets, terms):
    q, d = vectors(5)
    found = set_likelihood(q, d, targets, temperature=TAU, terms=terms)
    assert float(found) == pytest.approx(Slow(q, d, targets).set_likelihood(terms), rel=1e-9)


def pairs(b, **more):
    """b queries, b documents, each other's positives."""
    return Targets(
        positive=torch.arange(b),
        mask=torch.ones(b, b, dtype=torch.bool),
        group=torch.arange(b)[:, None],
        **more,
    )


def test_info_nce_of_two_orthogonal_pairs_is_its_closed_form():
    eye = torch.eye(2)
    loss = info_nce(eye, eye, pairs(2), temperature=0.5)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)))


def test_all_terms_of_two_orthogonal_pairs_are_one_partition():
    eye = torch.eye(2)
    loss = info_nce(eye, eye, pairs(2), temperature=0.5, terms=TERMS)
    assert float(loss) == pytest.approx(math.log(1 + 4 * math.exp(-2)))


def test_a_sum_of_two_directions_is_the_symmetric_loss(vectors):
    q, d = vectors(0)
    d = d[:4]
    both = weighted(
        *[(0.5, lambda *a, t=t: info_nce(*a, temperature=TAU, terms=(t,))) for t in TERMS[:2]]
    )
    logits = q @ d.T / TAU
    expected = sum(
        torch.nn.functional.cross_entropy(z, torch.arange(4)) for z in (logits, logits.T)
    )
    assert float(both(q, d, pairs(4))) == pytest.approx(float(expected) / 2)


def test_a_masked_document_is_no_negative():
    eye = torch.eye(2)
    said = replace(pairs(2), mask=torch.eye(2).bool())
    for terms in SUBSETS:
        assert float(info_nce(eye, eye, said, temperature=0.5, terms=terms)) == 0


def test_known_positives_are_negatives_of_neither_the_query_nor_its_positive():
    eye = torch.eye(2)
    said = pairs(2, positives=torch.ones(2, 2, dtype=torch.bool))
    for terms in SUBSETS:
        assert float(info_nce(eye, eye, said, temperature=0.5, terms=terms)) == 0


def test_queries_that_share_their_positive_are_not_compared():
    q, d = torch.eye(2), torch.tensor([[1.0, 0.0]])
    said = Targets(
        positive=torch.tensor([0, 0]),
        mask=torch.ones(2, 1, dtype=torch.bool),
        group=torch.tensor([[0], [0]]),
    )
    assert float(info_nce(q, d, said, temperature=0.1, terms=("query", "queries"))) == 0


def test_soft_labels_of_a_teacher_in_doubt_are_the_entropy_at_best():
    """One query between two documents that the teacher finds equally good."""
    q, d = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8], [0.6, -0.8]])
    said = Targets(
        positive=torch.tensor([0]),
        mask=torch.ones(1, 2, dtype=torch.bool),
        group=torch.tensor([[0, 1]]),
        teacher=torch.tensor([[0.3, 0.3]]),
    )
    loss = info_nce(q, d, said, temperature=0.1, soft=True)
    assert float(loss) == pytest.approx(math.log(2))


def test_soft_labels_of_a_teacher_who_is_certain_are_hard_labels(vectors, targets):
    q, d = vectors(1)
    certain = torch.tensor([[900.0, 0, 0]] * 4)
    said = replace(targets, teacher=certain, positives=None)
    soft = info_nce(q, d, said, temperature=TAU, soft=True)
    assert float(soft) == pytest.approx(float(info_nce(q, d, said, temperature=TAU)))


def test_soft_labels_without_the_score_of_the_positive_are_hard_labels(vectors, targets):
    q, d = vectors(2)
    said = replace(targets, teacher=torch.tensor([[NAN, 3.0, 1.0]] * 4))
    soft = info_nce(q, d, said, temperature=TAU, soft=True)
    assert float(soft) == pytest.approx(float(info_nce(q, d, said, temperature=TAU)))


def test_a_set_of_one_positive_has_its_info_nce(vectors, targets):
    q, d = vectors(3)
    said = replace(targets, positives=None)
    one = set_likelihood(q, d, said, temperature=TAU)
    assert float(one) == pytest.approx(float(info_nce(q, d, said, temperature=TAU)))


def test_one_positive_far_ahead_is_enough_for_its_set():
    q, d = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    said = Targets(
        positive=torch.tensor([1]),
        mask=torch.ones(1, 3, dtype=torch.bool),
        group=torch.tensor([[1]]),
        positives=torch.tensor([[True, True, False]]),
    )
    assert float(set_likelihood(q, d, said, temperature=0.01)) == pytest.approx(0, abs=1e-6)
    assert float(info_nce(q, d, said, temperature=0.01)) > 50


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 3), st.integers(0, 6), st.sampled_from(SUBSETS))
def test_masking_one_more_document_never_raises_the_loss(vectors, targets, seed, i, j, terms):
    q, d = vectors(seed)
    less = targets.mask.clone()
    less[i, j] = False
    before = info_nce(q, d, targets, temperature=TAU, terms=terms)
    after = info_nce(q, d, replace(targets, mask=less), temperature=TAU, terms=terms)
    assert 0 <= float(after) <= float(before) + 1e-12


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (("documnet",), "found 'documnet'; did you mean document"),
        ((), r"found \(\)"),
        ("document", "found 'document'"),
    ],
)
def test_terms_that_do_not_exist_are_refused(vectors, targets, terms, message):
    q, d = vectors(0)
    for function in (info_nce, set_likelihood):
        with pytest.raises(UsageError, match=message):
            function(q, d, targets, temperature=1, terms=terms)
