"""Self-contained HTML reports and PNG figures."""

from __future__ import annotations

from vlcore.report.data import ReportData
from vlcore.report.write import write_report

__all__ = ["ReportData", "write_report"]
