"""The forms in which a report is written."""

from slastream.report.as_csv import report_csv
from slastream.report.as_html import Names, report_html
from slastream.report.as_json import report_json
from slastream.report.as_pdf import report_pdf
from slastream.report.figures import ServiceLevelReport

__all__ = ["Names", "report_bytes"]


def report_bytes(report: ServiceLevelReport, format: str, language: str, names: Names) -> bytes:
    """Raises DeliveryError for a PDF where there is no browser or no font to print it."""
    match format:
        case "json":
            return report_json(report)
        case "csv":
            return report_csv(report)
        case "pdf":
            return report_pdf(report_html(report, language, names), language)
        case _:
            return report_html(report, language, names)
