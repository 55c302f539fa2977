"""Requests of logins: bounded, and only to where they may go."""
