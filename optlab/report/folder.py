"""The folder of a report's files: every figure as SVG and PNG, every table as CSV and parquet."""

from collections.abc import Sequence
from pathlib import Path

from optlab.report.evidence import Evidence
from optlab.report.measures.curve_table import write_curve_table
from optlab.report.page import Section
from optlab.report.tables import write_tables
from optlab.results import write_atomic

#: Names the files that a report made there, so that the next one removes these and no others.
LIST_FILE = ".files"


def write_folder(folder: Path, sections: Sequence[Section], evidence: Evidence) -> None:
    """Write tables, curves and figures, in place of those of an earlier report.

    Raises:
        OSError: When one cannot be written.
    """
    from optlab.report.pictures import write_pictures  # here: matplotlib takes a second to import

    clear_folder(folder)
    written = write_tables(folder, [table for section in sections for table in section.tables])
    written.append(write_curve_table(folder, evidence))
    written += write_pictures(folder, [f for section in sections for f in section.figures])
    names = "".join(f"{path.name}\n" for path in written)
    write_atomic(folder / LIST_FILE, names.encode())


def clear_folder(folder: Path) -> None:
    """Remove the files of an earlier report; it may have had figures that the next one has not."""
    listed = folder / LIST_FILE
    if not listed.is_file():
        return
    for name in listed.read_text().splitlines():
        if Path(name).name == name:
            (folder / name).unlink(missing_ok=True)
    listed.unlink()
