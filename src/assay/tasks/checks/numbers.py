"""Numbers that are wanted: far from all others, or beyond what training has."""

from __future__ import annotations

import numpy as np

from assay.tasks.checks.finding import Finding, Parts, found, place

FAR = 3.0  # ranges between the quartiles beyond them: "far out" (Tukey 1977)


def numbers(parts: Parts) -> list[Finding]:
    """Outliers of all parts by the quartiles of train, and numbers of dev and test beyond those of train."""
    train = np.array([e.wanted for e in parts.get("train", ()) if e.wanted is not None], dtype=np.float64)
    if len(train) < 2:
        return []
    low, middle, high = np.quantile(train, [0.25, 0.5, 0.75])
    spread = (high - low) or float(train.std()) or 1.0
    known = [(name, e) for name, own in parts.items() for e in own if e.wanted is not None]
    far = [e for _, e in known if not low - FAR * spread <= e.wanted <= high + FAR * spread]
    findings = []
    if far:
        far.sort(key=lambda e: -abs(e.wanted - middle))
        told = [place(e, f"{e.wanted:g}") for e in far]
        findings.append(found("numbers_far", "look", told, len(known), low=float(low), high=float(high)))
    beyond = [e for name, e in known if name != "train" and not train.min() <= e.wanted <= train.max()]
    if beyond:
        n = sum(1 for name, _ in known if name != "train")
        told = [place(e, f"{e.wanted:g}") for e in beyond]
        findings.append(found("numbers_beyond", "look", told, n, low=float(train.min()), high=float(train.max())))
    return findings
