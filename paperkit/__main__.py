"""The command line that the Makefile calls; ``python -m paperkit --help``."""

import argparse
import ast
import hashlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from paperkit import paths
from paperkit.errors import InputError

SEED_COUNTS = ("seeds", "large_seeds", "ablation_seeds", "curve_seeds")
"""What ``--seeds`` sets: everything that a claim may be judged by."""
AT_ONCE = 4
"""Notebooks that run at a time, at most: each has a process of its own, with torch and the corpora in it."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if all went well, 2 for a user's mistake, 1 for anything else that was foreseen."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.name is not None and options.command not in NAMED:
            raise InputError(
                f"{options.command} takes no name, and {options.name!r} was given; those that do: {', '.join(NAMED)}"
            )
        return COMMANDS[options.command](options) or 0
    except InputError as error:
        print(f"paperkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("paperkit: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="paperkit", description="Two papers on hard text classification, reproduced.")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("name", nargs="?", help="of the notebook or exhibit")
    parser.add_argument("--data", default="embedded", help="embedded, public, or the path of a table")
    for column in ("text", "label", "split", "platform"):
        parser.add_argument(f"--{column}", help=f"the table's {column} column")
    parser.add_argument("--profile", default="cpu", help="smoke, cpu or gpu")
    parser.add_argument("--seeds", help="runs per model")
    parser.add_argument("--workers", help="runs trained at a time; by default one per core, on a GPU one")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings other than the profile's")
    return parser


def overrides(pairs: list[str], seeds: str | None) -> dict[str, Any]:
    """``["gamma=3", "alpha=inverse"]`` as a dictionary; numbers, lists and None are read as such, all else is text."""
    values: dict[str, Any] = {}
    of_models = [f"{name}={seeds}" for name in SEED_COUNTS] if seeds else []
    for pair in [*pairs, *of_models]:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise InputError(f'SET holds {pair!r}; accepted is NAME=VALUE, e.g. SET="gamma=3 epochs=5"')
        try:
            values[name] = ast.literal_eval({"true": "True", "false": "False"}.get(value.lower(), value))
        except (ValueError, SyntaxError):
            values[name] = value
    return values


def _study(options: argparse.Namespace):
    from paperkit.study import Study

    workers = options.workers
    if workers is not None and not (workers.isdecimal() and int(workers) > 0):
        raise InputError(f"WORKERS is {workers!r}; accepted is a whole number from 1 up")
    study = Study(options.data, options.profile, options.text, options.label, options.split, options.platform,
                  overrides=overrides(options.set, options.seeds), workers=workers and int(workers))  # fmt: skip
    study.profile  # noqa: B018 (a wrong setting must speak before a corpus is read)
    return study


def _train(options) -> None:
    study = _study(options)
    specs = study.plan()
    missing = sum(spec.find(study.store) is None for spec in specs)
    print(study.summary())
    print(f"runs     {len(specs)}, of which {missing} are still to be trained", flush=True)
    study.get(specs)


def _plan(options) -> None:
    from paperkit.plan import describe

    print(describe(_study(options)))


def _paper(options) -> int:
    """Everything: runs, notebooks, the report."""
    _train(options)
    if not _execute(options, _notebooks()):
        return 1
    _report(options)
    _where(options)
    return 0


def _notebook(options) -> int:
    return 0 if _execute(options, _notebooks(options.name or "")) else 1


def _notebooks(name: str | None = None) -> dict[str, Path]:
    """All notebooks in their order, or the one of that name."""
    there = {file.stem: file for file in sorted(paths.NOTEBOOKS.glob("0*.ipynb"))}
    if name is None:
        return there
    if name not in there:
        raise InputError(f"no notebook is called {name!r}; there are {', '.join(there)}")
    return {name: there[name]}


def _execute(options, wanted: dict[str, Path]) -> bool:
    """Execute those notebooks that are not up to date, several at a time, and say whether all of them came to their end."""
    from paperkit import code, notebooks, runs, store
    from paperkit.exhibits.exhibit import LIBRARIES, REGISTRY, made_otherwise
    from paperkit.exhibits.fonts import cjk_font

    study = _study(options)
    given = {"data": study.source.name if study.kind == "table" else study.data, "profile": study.profile_name}
    given |= {name: getattr(study, name) for name in ("text", "label", "split", "platform", "overrides", "workers")}
    inputs = {"corpora": sorted({source.load().checksum for source in study.sources}), "code": _code(), "files": _files(),
              "libraries": code.versions(*LIBRARIES), "font": cjk_font(),
              "profile": json.dumps(asdict(study.profile), sort_keys=True), "folder": str(study.folder),
              "runs": sorted(store.key(spec.identity) for spec in study.plan())}  # fmt: skip
    workers = study.at_once
    at_once = min(workers, AT_ONCE)
    # of what a notebook computes itself; two at least, so that the last one does not leave a core idle
    given["workers"] = max(min(2, workers), workers // at_once)
    # an exhibit made by itself, with other settings, lies where the notebook's would
    replaced = {REGISTRY[name].notebook for name in made_otherwise(study, seeds=True)}
    ledger = {name for name in wanted if name.endswith("_claims")}  # which reads what the others write
    for names in (wanted.keys() - ledger, ledger):
        stale = []
        for name in sorted(names):
            parameters = notebooks.check_parameters(wanted[name], given)
            read = inputs | ({"aims": _aims(study.name)} if name in ledger else {})
            key = notebooks.key(wanted[name], {**parameters, "workers": None}, read)
            output = study.folder / wanted[name].name
            if name in replaced:
                output.unlink(missing_ok=True)
            if notebooks.made_under(output, key):
                print(f"{name}: up to date, {os.path.relpath(output)}", flush=True)
            else:
                stale.append((wanted[name], output, parameters, key))
        runs.in_parallel(_execute_one, stale, at_once, "running", "notebook")
        if not all(notebooks.made_under(output, key) for _, output, _, key in stale):
            return False
    return True


def _execute_one(path: Path, output: Path, parameters: dict[str, Any], key: str) -> None:
    """Say how it went, rather than raise: one that fails does not stop the others."""
    from paperkit import notebooks

    try:
        notebooks.execute(path, output, parameters, key)
        print(f"{path.stem}: wrote {os.path.relpath(output)}", flush=True)
    except notebooks.NotebookError as error:
        print(f"paperkit: {error}", file=sys.stderr, flush=True)


def _code() -> str:
    from paperkit import code

    return code.digest("paperkit.exhibits.catalogue") + code.digest("paperkit.exhibits.explore")


def _files() -> str:
    """What notebooks rest on beside the code and the corpora: word lists, lexicons, manifest, the shipped encoder."""
    from paperkit.models.backbones import MINI

    found = [sorted(paths.DATA.glob(pattern)) for pattern in ("*/*.txt", "*/*.yaml", "manifest.toml")]
    found.append(sorted(MINI.glob("*")))
    return hashlib.sha256(b"".join(file.read_bytes() for files in found for file in files)).hexdigest()


def _aims(data: str) -> str:
    """What the ledger rests on beside the build: claims, goals, what stands in docs/ and in the committed reference."""
    found = [paths.ROOT / "paperkit" / name for name in ("claims.yml", "limits.toml")]
    found += [*sorted((paths.ROOT / "docs").glob("*.csv")), *sorted((paths.figures() / data).glob("*.csv"))]
    return hashlib.sha256(b"".join(file.read_bytes() for file in found)).hexdigest()


def _exhibit(options) -> None:
    from paperkit.exhibits.exhibit import find, show

    find(options.name or "")
    for file in show(_study(options), options.name).files:
        print(os.path.relpath(file))


def _publish(options) -> None:
    from paperkit.exhibits.reference import publish

    study = _study(options)
    for file in publish(study):
        print(os.path.relpath(file))


def _verify(options) -> int:
    from paperkit.exhibits.reference import verify

    lines, good = verify(_study(options))
    print("\n".join(lines))
    return 0 if good else 1


def _claims(options) -> int:
    """The ledger of the build, or else of the committed reference; 1 if the latter does not follow from its own numbers.

    A build of a few exhibits, whose ledger was not drawn up, is read only where there is no reference.
    """
    from paperkit.claims import Evidence, check, ledger, words
    from paperkit.exhibits.exhibit import REGISTRY, check_same_table, find

    study = _study(options)
    find("claims")
    reference = paths.figures() / study.name
    read = {f"{name}{suffix}.csv" for name in REGISTRY for suffix in ("_runs", "")}
    committed = (reference / "claims.csv").exists()
    built = any(file.name in read for file in study.folder.glob("*.csv"))
    built = built and (not committed or (study.folder / "claims.csv").exists())
    if not built and not committed:
        raise InputError(f"nothing is built in {study.folder}, and {reference} holds no claims; run make paper first")
    if built:
        check_same_table(study)
        _warn_of_others(study)
    folder = study.folder if built else reference
    print(f"Numbers of {os.path.relpath(folder)}/\n")
    findings = ledger(Evidence(folder, tuple(REGISTRY)))
    print(words.plain(findings))
    wrong = check(reference, None if built else findings) if committed else []
    for sentence in wrong:
        print(f"paperkit: {os.path.relpath(reference)}: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


def _report(options) -> None:
    from paperkit.report import write

    study = _study(options)
    print(os.path.relpath(write(study)))
    _warn_of_others(study)


def _warn_of_others(study) -> None:
    from paperkit.exhibits.exhibit import said_of_others

    if others := said_of_others(study):
        print(f"paperkit: {others}", file=sys.stderr)


def _where(options) -> None:
    print(f"Results: {os.path.relpath(_study(options).folder)}/")


def _data(options) -> None:
    """The public corpora, and the encoders that the profile reads."""
    from paperkit import corpora, profiles
    from paperkit.models import backbones

    profile = profiles.load(options.profile, "public", overrides(options.set, None))
    corpora.fetch()
    for name in dict.fromkeys((profile.backbone_en, profile.backbone_zh)):
        backbones.find(name)


def _refresh(options) -> int:
    from paperkit import notebooks

    for name, path in _notebooks(options.name).items():
        try:
            notebooks.refresh(path)
        except notebooks.NotebookError as error:
            print(f"paperkit: {error}", file=sys.stderr)
            return 1
        print(f"{name}: executed in place")
    return 0


COMMANDS = {"paper": _paper, "train": _train, "plan": _plan, "notebook": _notebook, "exhibit": _exhibit, "publish": _publish,
            "verify": _verify, "claims": _claims, "report": _report, "data": _data, "refresh": _refresh,
            "where": _where}  # fmt: skip
NAMED = ("notebook", "exhibit", "refresh")
"""Commands that are told which one."""


if __name__ == "__main__":
    sys.exit(main())
