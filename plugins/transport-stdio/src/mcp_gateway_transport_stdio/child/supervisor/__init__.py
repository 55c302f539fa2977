"""The program that starts the gateway's servers and ends them.

It runs beside the gateway, on the standard library alone: its modules import nothing but each other.
"""
