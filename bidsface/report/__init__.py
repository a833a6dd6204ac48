"""Reports: `content` turns receipts into what the templates show, `pages` writes them."""

from bidsface.report.pages import ReportContext, write_group_report, write_participant_report

__all__ = ["ReportContext", "write_group_report", "write_participant_report"]
