"""diagnose(): why a model does not learn, found by a few passes on a copy, in words."""

from .findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]


def diagnose(model, x, y=None, loss=None, optimizer=None) -> Diagnosis:
    """A few forward and backward passes on a copy of `model`, and what they say about its training.

    `x` is a batch of inputs (a tuple for several arguments), `y` its targets, `loss` a function of output and target
    (of the output alone without `y`; chosen by the dtype of `y` if left out), `optimizer` the one that is to train the
    model. The model, its gradients, the optimiser and the random state stay as they are; at most the first 1024 samples
    are looked at. Errors that the passes raise are part of the answer, not raised.

    >>> import hadamard as H
    >>> _ = H.manual_seed(0)
    >>> x = H.rand(256, 30) * 5
    >>> y = (x.sum(1) > 75).float()
    >>> model = nn.Sequential(nn.Linear(30, 1), nn.Sigmoid(), nn.Flatten(0))
    >>> _ = nn.init.uniform_(model[0].weight)
    >>> verdict = H.diagnose(model, x, y, F.binary_cross_entropy)
    >>> verdict.healthy, verdict[0].kind
    (False, 'saturated')
    >>> _ = nn.init.xavier_uniform_(model[0].weight)
    >>> "saturated" in H.diagnose(model, (x - x.mean(0)) / x.std(0), y, F.binary_cross_entropy)
    False
    """
    from .record import Record

    return _verdict(Record(model, x, y, loss, optimizer))


def _verdict(record) -> Diagnosis:
    from .checks import CHECKS

    findings: list = []
    for check in CHECKS:
        findings += check(record)
    if {"saturated", "dead units", "detached parameters", "all frozen"} & {f.kind for f in findings}:
        findings = [f for f in findings if f.kind != "no gradient arrives"]  # that is what it means
    return Diagnosis(type(record.given).__name__, findings, record)
