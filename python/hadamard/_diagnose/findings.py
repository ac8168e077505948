"""What a diagnosis says: findings, most serious first, each with its evidence and mends."""

# How serious a finding is: nothing can be trained; it will not learn; it will learn badly; worth knowing.
LEVELS = ("error", "fault", "warning", "note")


class Finding:
    """`kind` ("saturated"), `level`, `where`, `says`, `evidence` (lines) and `mends` (lines)."""

    def __init__(self, kind, level, where, says, evidence=(), mends=()):
        self.kind, self.level, self.where, self.says = kind, level, where, says
        self.evidence = [line for line in evidence if line]
        self.mends = list(mends)

    def __repr__(self):
        return f"<{self.level}: {self.kind}{' in ' + self.where if self.where else ''}>"

    def lines(self):
        head = f"{self.where}: {self.says}" if self.where else self.says
        mends = [("try " if i == 0 else "or  ") + mend for i, mend in enumerate(self.mends)]
        return [head, *("  " + line for line in (*self.evidence, *mends))]


class Diagnosis:
    """The verdict on a model. `findings` is empty for a healthy one; `str` tells them, `plot()` draws the layers.

    Iterating gives the findings; `"saturated" in diagnosis` asks for a kind.
    """

    def __init__(self, name, findings, record):
        self.name = name
        self.findings = sorted(findings, key=lambda f: LEVELS.index(f.level))
        self.record = record

    @property
    def healthy(self):
        """Whether there is nothing to mend (notes aside)."""
        return all(f.level == "note" for f in self.findings)

    def __iter__(self):
        return iter(self.findings)

    def __len__(self):
        return len(self.findings)

    def __contains__(self, kind):
        return any(f.kind == kind for f in self.findings)

    def __getitem__(self, kind):
        """The first finding of a kind (or the finding of a number)."""
        if isinstance(kind, int):
            return self.findings[kind]
        return next(f for f in self.findings if f.kind == kind)

    def __str__(self):
        lines = []
        serious = [f for f in self.findings if f.level != "note"]
        if self.healthy:
            lines.append(f"{self.name} is healthy: {self._well()}")
        else:
            lines.append(f"{self.name}: {len(serious)} finding{'s' if len(serious) > 1 else ''}, most serious first")
        for n, finding in enumerate(self.findings, 1):
            head, *rest = finding.lines()
            mark = f"{n}. {finding.level}" if finding.level != "note" else "note"
            lines += [f"{mark}: {head}", *("   " + line for line in rest)]
        return "\n".join(lines)

    def __repr__(self):
        return str(self)

    def _well(self):
        """What a healthy model has been found to be."""
        record = self.record
        said = []
        if record.value is not None and not record.stands_in:
            said.append(f"loss {record.value:.4g}")
        grads = [p for p in record.model.parameters() if p.grad is not None]
        if grads:
            said.append(f"gradients reach {len(grads)} parameters")
        if len(record.steps) > 1:
            said.append(
                f"{len(record.steps) - 1} steps take the loss from {record.steps[0]:.4g} to {record.steps[-1]:.4g}"
            )
        return ", ".join(said)

    def plot(self, path=None):
        """Gradient flow and activation histograms of the layers, as a matplotlib figure; written to `path` if given.

        ImportError where matplotlib is not installed (extra: plot).
        """
        from .plot import figure

        return figure(self, path)
