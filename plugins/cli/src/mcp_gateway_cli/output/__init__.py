"""What commands print: tables, progress, tools."""
