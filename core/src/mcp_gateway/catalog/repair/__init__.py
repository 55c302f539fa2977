"""Repair of definitions that would make clients refuse a whole list."""
