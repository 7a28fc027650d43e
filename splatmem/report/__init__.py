"""What a run leaves for people to look at: contact sheet, report.json, report.html."""
