"""Keyrings for tests: in memory, and in each state that a real one may be in."""

import threading

from keyring import errors
from keyring.backend import KeyringBackend

SECRET = "s3cr3t-words-of-the-keyring"


class MemoryKeyring(KeyringBackend):
    """A keyring that answers, after `failure` and once `silence` is over."""

    # Never found by itself: a test that is done would leave it to the next one, in a chain with others.
    priority = -1

    def __init__(self, key=None, failure=None, keeps=True):
        self.key, self.failure, self.keeps = key, failure, keeps
        self.silence = threading.Event()
        self.silence.set()
        self.asked, self.written = 0, 0

    def get_password(self, service, username):
        self.asked += 1
        self.silence.wait()
        if self.failure is not None:
            raise self.failure(SECRET)
        return self.key

    def set_password(self, service, username, password):
        self.written += 1
        self.key = password if self.keeps else None

    def delete_password(self, service, username):
        self.key = None


class TimelyKeyring(MemoryKeyring):
    """A keyring in which two look for the key before either has made one."""

    def __init__(self):
        super().__init__()
        self.both = threading.Barrier(2)

    def get_password(self, service, username):
        found = super().get_password(service, username)
        if self.asked <= 2:
            self.both.wait(30)
        return found


KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
LOCKED, CLOSED, ABSENT = errors.KeyringLocked, errors.InitError, errors.NoKeyringError
