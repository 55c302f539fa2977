"""Keyrings for tests: one in memory, and some that fail."""

import threading

from keyring import errors
from keyring.backend import KeyringBackend

SECRET = "v4lue-of-a-secret"


class MemoryKeyring(KeyringBackend):
    # Never found by itself, which would put it into a chain with others for the rest of the process.
    priority = -1

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        if (service, username) not in self.kept:
            raise errors.PasswordDeleteError("there is none")
        del self.kept[service, username]


class LockedKeyring(MemoryKeyring):
    def get_password(self, service, username, *_):
        raise errors.KeyringLocked(f"locked, with {SECRET}")

    set_password = delete_password = get_password


class ClosedKeyring(MemoryKeyring):
    def get_password(self, service, username, *_):
        raise errors.InitError(f"Failed to create the collection: Prompt dismissed, with {SECRET}.")

    set_password = delete_password = get_password


class BrokenKeyring(MemoryKeyring):
    def get_password(self, service, username, *_):
        raise OSError(f"no bus for {SECRET}")

    set_password = delete_password = get_password


class FullKeyring(MemoryKeyring):
    def set_password(self, service, username, password):
        raise errors.PasswordSetError(password)


class SilentKeyring(MemoryKeyring):
    def __init__(self):
        super().__init__()
        self.released = threading.Event()

    def get_password(self, service, username):
        self.released.wait(60)
