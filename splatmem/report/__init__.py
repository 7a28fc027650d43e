"""The reports of a run: contact sheet, report.json and report.html."""
