"""Results as JUnit's XML, which CI systems show: a test a run, a suite a split."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from evals.results import CaseResult, Results, RunResult

_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML can't hold."""


def junit(results: Results, note: str = "") -> str:
    """The document. A run that broke is an error, one that did not pass a failure."""
    root = ElementTree.Element("testsuites", name=f"evals {results.reasoner}")
    for split in sorted({case.split for case in results.cases}):
        cases = [case for case in results.cases if case.split == split]
        runs = [(case, run) for case in cases for run in case.runs]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"{results.reasoner} {split}",
            tests=str(len(runs)),
            failures=str(sum(not run.passed and not run.error for _, run in runs)),
            errors=str(sum(bool(run.error) for _, run in runs)),
        )
        for case, run in runs:
            _add(suite, case, run)
        if note:
            ElementTree.SubElement(suite, "system-out").text = note
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: ElementTree.Element, case: CaseResult, run: RunResult) -> None:
    name = case.id if len(case.runs) == 1 else f"{case.id} run {run.number}"
    classname = f"{case.kind}.{case.issue_type}"
    test = ElementTree.SubElement(suite, "testcase", name=name, classname=classname, time=f"{run.seconds:.3f}")
    if not run.passed:
        told = ElementTree.SubElement(test, "error" if run.error else "failure")
        told.set("message", _clean(run.error or run.why_failed[0]))
        told.text = _clean("\n".join(run.why_failed))


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)
