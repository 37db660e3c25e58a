"""From what a user names to files: a path, a URL or a pattern over them, on any fsspec file system."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, cast
from urllib.parse import unquote, urlsplit

import fsspec

from memory_core.errors import Conflict, Forbidden, InvalidInput, NeuralMemoryError, NotFound, Unavailable
from memory_core.jobs.plan import FORMS, Form, JobPlan, Reading, SourceFile
from memory_core.jobs.rows import Row, read_rows

FILES_MAX: Final = 100_000
_LOOKED_INTO_MAX: Final = 64
_FORM_OF: Final[dict[str, Form]] = {
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKED: Final = frozenset({".gz", ".bz2", ".xz", ".zst"})
_PATTERN: Final = frozenset("*?[")


def find_files(
    source: str, reading: Reading, *, form: str | None = None, allowed: Sequence[str] | None = None
) -> tuple[SourceFile, ...]:
    """The files in name order, each looked into (64 at most) so that what cannot be read is refused before a start.

    ``form``: of all of them, else told by their names. ``allowed``: see ``require_allowed``. NotFound, InvalidInput,
    Forbidden or Unavailable.
    """
    url = as_url(source)
    require_allowed(url, allowed)
    if form is not None and form not in FORMS:
        raise InvalidInput(f"There is no format {ascii(form)}.", hint=f"Use one of {', '.join(FORMS)}.")
    found = _list(url, cast("Form | None", form), allowed)
    for file in found[:_LOOKED_INTO_MAX]:
        require_allowed(file.url, allowed)
        _look_into(file, reading, allowed)
    return found


def require_unchanged(plan: JobPlan) -> None:
    """Conflict (SOURCE_CHANGED) when a file of the plan is another one now: what was learned of it is unknown."""
    now = {file.url: file for file in _list(as_url(plan.source), None, plan.allowed, plan.files)}
    for file in plan.files:
        if file.url not in now or now[file.url].stamp != file.stamp:
            raise Conflict(
                f"{file.url} changed since the job began.",
                code="SOURCE_CHANGED",
                hint="Start a new job with --min-surprise, which skips what was learned.",
            )


def as_url(source: str) -> str:
    """An absolute URL. InvalidInput for chained ones, which reach other places than they begin with."""
    if "::" in source:
        raise InvalidInput("Chained URLs are not read.", code="SOURCE_INVALID", hint="Name the files themselves.")
    scheme = urlsplit(source).scheme if "://" in source else ""
    if scheme in {"", "file"}:
        path = unquote(urlsplit(source).path) if scheme else source
        return "file://" + str(Path(path).expanduser().absolute())
    return source


def require_allowed(url: str, allowed: Sequence[str] | None) -> None:
    """Forbidden (SOURCE_NOT_ALLOWED) unless the URL lies under one of the prefixes, wherever links lead; None: any."""
    if allowed is None:
        return
    real = "file://" + str(Path(url.removeprefix("file://")).resolve()) if url.startswith("file://") else url
    # "..", as such or in disguise, would leave the prefix behind it.
    is_plain = ".." not in unquote(unquote(real)).split("/") and "@" not in urlsplit(real).netloc
    if not is_plain or not any(real.startswith(prefix.rstrip("/") + "/") for prefix in allowed):
        raise Forbidden(
            "This service may not read there.",
            code="SOURCE_NOT_ALLOWED",
            hint="The operator allows places with JOB_SOURCES, for example file:///data/ or s3://bucket/corpus/. "
            "With --local the files are read by this process.",
        )


def open_rows(
    file: SourceFile, reading: Reading, allowed: Sequence[str] | None = None, *, skip: int = 0
) -> Iterator[Row]:
    """The rows of one file from number ``skip`` on. What makes it unreadable as a whole is its only row."""
    try:
        with _opened(file, allowed) as stream:
            yield from itertools.islice(read_rows(stream, file, reading), skip, None)
    except NeuralMemoryError as error:
        if error.retryable:
            raise
        yield Row(line=0, end=file.size_bytes, problem=error.message)


def _look_into(file: SourceFile, reading: Reading, allowed: Sequence[str] | None) -> None:
    with _opened(file, allowed) as stream:
        first = next(read_rows(stream, file, reading), None)
    if first is not None and first.problem is not None and file.form == "jsonl":
        raise InvalidInput(
            f"{file.url}, line {first.line}: {first.problem}.",
            code="FIELD_MISSING" if "no field" in first.problem else "SOURCE_NOT_READABLE",
            hint="Name its field with --text-field, or remove the line.",
        )


@contextlib.contextmanager
def _opened(file: SourceFile, allowed: Sequence[str] | None) -> Iterator[IO[bytes]]:
    with _source_errors(file.url):
        opened = fsspec.open(file.url, "rb", compression="infer", **_options(file.url, allowed))
        with opened as stream:
            yield stream


def _options(url: str, allowed: Sequence[str] | None) -> dict[str, Any]:
    # A redirection could lead from an allowed host to any other.
    return {"allow_redirects": False} if allowed is not None and urlsplit(url).scheme in {"http", "https"} else {}


def _list(
    url: str, form: Form | None, allowed: Sequence[str] | None, known: Sequence[SourceFile] = ()
) -> tuple[SourceFile, ...]:
    """``known``: files whose form was decided already."""
    forms = {file.url: file.form for file in known}
    with _source_errors(url):
        fs, path = fsspec.core.url_to_fs(url, **_options(url, allowed))
        fs.invalidate_cache()
        is_pattern = not _PATTERN.isdisjoint(path)
        is_folder = not is_pattern and fs.isdir(path)
        entries = _entries(fs, path, is_pattern=is_pattern, is_folder=is_folder)
    files = []
    for name in sorted(entries):
        full = str(fs.unstrip_protocol(name))
        if known and full not in forms:
            continue
        decided = forms.get(full) or form or _form_of(name)
        if decided is None and not is_folder:
            raise InvalidInput(
                f"{full} has no known format.",
                code="SOURCE_FORMAT",
                hint=f"Say which with --format: {', '.join(FORMS)}.",
            )
        if decided is not None:
            files.append(_file(full, entries[name], decided))
    if not files:
        raise NotFound(f"{url} matches no file.", code="SOURCE_NOT_FOUND", hint="Check the path or the pattern.")
    if len(files) > FILES_MAX:
        raise InvalidInput(
            f"{url} matches {len(files)} files; {FILES_MAX} are allowed.", hint="Make several jobs of it."
        )
    return tuple(files)


def _entries(fs: Any, path: str, *, is_pattern: bool, is_folder: bool) -> dict[str, dict[str, Any]]:
    if is_pattern:
        found = fs.glob(path, detail=True)
    elif is_folder:
        found = fs.find(path, detail=True)
    else:
        found = {path: fs.info(path)}
    return {name: info for name, info in found.items() if info.get("type") != "directory"}


def _file(url: str, info: dict[str, Any], form: Form) -> SourceFile:
    parts = [info.get(key) for key in ("ETag", "mtime", "LastModified", "last_modified", "size")]
    stamp = "-".join(str(part) for part in parts if part is not None)
    return SourceFile(url=url, size_bytes=int(info.get("size") or 0), stamp=stamp, form=form)


def _form_of(name: str) -> Form | None:
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _FORM_OF.get(suffixes[-1]) if suffixes else None


@contextlib.contextmanager
def _source_errors(url: str) -> Iterator[None]:
    try:
        yield
    except NeuralMemoryError:
        raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise NotFound(f"{url} does not exist.", code="SOURCE_NOT_FOUND", hint="Check the path or the URL.") from error
    except PermissionError as error:
        raise InvalidInput(f"{url} may not be read.", code="SOURCE_NOT_READABLE", hint="Check its rights.") from error
    except (ValueError, ImportError) as error:
        raise InvalidInput(
            f"{url} cannot be opened ({type(error).__name__}).",
            code="SOURCE_INVALID",
            hint="Use a path, file://, s3:// or another URL whose fsspec package is installed.",
        ) from error
    except EOFError as error:
        raise InvalidInput(f"{url} ends early.", code="SOURCE_NOT_READABLE", hint="Copy it again.") from error
    except Exception as error:  # whatever a cloud's library raises
        raise Unavailable(
            f"{url} cannot be read ({type(error).__name__}).",
            code="SOURCE_UNREACHABLE",
            hint="Check it, then try again.",
        ) from error
