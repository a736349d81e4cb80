"""Tables: Arrow's columns, DuckDB's queries, Markdown, and cells that people open in spreadsheets."""
