"""Questions about contexts: contexts that several parts share, questions that are asked again."""

from __future__ import annotations

from collections import Counter, defaultdict

from assay.tasks.checks.finding import Finding, Parts, Place, folded, found, short
from assay.tasks.checks.leaks import PAIRS
from assay.tasks.extraction import Extraction

ALIKE = 0.2  # of the questions, from which on it is told that they are asked of other contexts, too


def answers(parts: Parts, task: Extraction) -> list[Finding]:
    """All findings about questions; equal questions of equal contexts in several parts are leaks."""
    findings = []
    contexts = {name: [folded(e.given[task.context]) for e in own] for name, own in parts.items()}
    for a, b in PAIRS:
        if a in parts and b in parts:
            theirs = set(contexts[a])
            shared = [e for e, own in zip(parts[b], contexts[b], strict=True) if own in theirs]
            if shared:
                told = [Place(e.where, short(e.given[task.context])) for e in shared]
                findings.append(found("contexts_shared", "look", told, len(parts[b]), a=a, b=b))
    again, asked = list[Place](), Counter[str]()
    first = defaultdict[tuple[str, str], str](str)
    for name, own in parts.items():
        for e, context in zip(own, contexts[name], strict=True):
            question = folded(e.given[task.question])
            asked[question] += 1
            if first[question, context]:
                again.append(Place(f"{e.where} = {first[question, context]}", short(e.given[task.question])))
            first[question, context] = first[question, context] or e.where
    n = sum(map(len, parts.values()))
    if again:
        findings.append(found("questions_again", "look", again, n))
    alike = {question: count for question, count in asked.items() if count > 1}
    if sum(alike.values()) - len(again) > ALIKE * n:
        told = [Place(f"{short(question)}: {count}") for question, count in Counter(alike).most_common(5)]
        findings.append(found("questions_alike", "note", told, n, sum(alike.values())))
    return findings
