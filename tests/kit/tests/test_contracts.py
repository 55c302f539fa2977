"""The contracts must catch what they promise to catch."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import Field

from mcp_gateway.plugin import Document, Hit, Hits, Options, Provider, Query, VariableSource
from mcp_gateway_testkit import RankerContract, StorageContract, VariableSourceContract


class OptionsWithPlainSecret(Options):
    """Options as they should not be."""

    api_key: str = Field("", alias="API_KEY")


@asynccontextmanager
async def nothing(_: Options) -> AsyncIterator[Any]:
    yield None


PROVIDER: Provider[Any, Any] = Provider(
    name="careless", summary="careless", options=OptionsWithPlainSecret, build=nothing
)


class PluginContract(RankerContract):
    provider = PROVIDER
    source = {"API_KEY": "s3cr3t"}  # noqa: RUF012  # as people write it


def test_a_promise_that_is_rewritten_is_noticed():
    class WithOverride(PluginContract):
        async def test_ties_are_broken_by_id(self) -> None:  # type: ignore[override]
            pass

    with pytest.raises(AssertionError, match="test_ties_are_broken_by_id is overridden"):
        WithOverride().test_no_promise_is_overridden()


def test_a_promise_may_be_failed_openly():
    class WithXfail(PluginContract):
        @pytest.mark.xfail(reason="it ranks by vectors")
        async def test_ties_are_broken_by_id(self) -> None:  # type: ignore[override]
            pass

    WithXfail().test_no_promise_is_overridden()
    PluginContract().test_no_promise_is_overridden()


def test_xfail_without_a_reason_is_no_excuse():
    class WithUnexplainedXfail(PluginContract):
        @pytest.mark.xfail
        async def test_ties_are_broken_by_id(self) -> None:  # type: ignore[override]
            pass

    with pytest.raises(AssertionError):
        WithUnexplainedXfail().test_no_promise_is_overridden()


def test_a_plugin_that_is_not_installed_is_noticed():
    with pytest.raises(AssertionError, match="entry point"):
        PluginContract().test_an_installed_entry_point_offers_it()


def test_a_secret_in_plain_text_is_noticed():
    with pytest.raises(AssertionError, match="SecretStr"):
        PluginContract().test_options_that_sound_secret_are_secret()


def test_an_option_without_description_is_noticed():
    with pytest.raises(AssertionError, match="API_KEY"):
        PluginContract().test_every_option_is_described_in_a_json_schema()


async def test_options_that_print_a_secret_are_noticed():
    with pytest.raises(AssertionError):
        await PluginContract().test_what_is_secret_in_the_configuration_is_never_printed(PluginContract.source)


@pytest.mark.parametrize("name", ["Two Words", "", "ä", "-x"])
def test_a_name_that_is_hard_to_write_is_noticed(name):
    class Odd(PluginContract):
        provider = replace(PROVIDER, name=name)

    with pytest.raises(AssertionError):
        Odd().test_the_provider_has_a_plain_name_and_a_summary_of_one_line()


class HitsAsTotal:
    """A ranker that counts its hits instead of the matches, and never says no."""

    async def build(self, documents: Any) -> Any:
        self.documents: list[Document] = list(documents)
        return self

    async def search(self, query: Query) -> Hits:
        hits = tuple(Hit(id=document.id, score=1.0) for document in self.documents[: query.limit])
        return Hits(hits=hits, total=len(hits))


async def test_a_ranker_that_breaks_promises_is_noticed():
    with pytest.raises(AssertionError):
        await PluginContract().test_limit_is_kept_and_total_counts_all_matches(HitsAsTotal(), 1)
    with pytest.raises(AssertionError):
        await PluginContract().test_ties_are_broken_by_id(HitsAsTotal())
    with pytest.raises(AssertionError):
        await PluginContract().test_what_does_not_match_is_left_out(HitsAsTotal())
    with pytest.raises(AssertionError):
        await PluginContract().test_an_older_index_outlives_a_newer_one(HitsAsTotal())


class Forgetful:
    """A storage that never expires, and takes an empty value for none."""

    def __init__(self) -> None:
        self.items: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.items.get(key) or None

    async def set(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        self.items[key] = value

    async def delete(self, key: str) -> bool:
        return bool(self.items.pop(key, None))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        for key in self.items:
            yield key


async def test_a_storage_that_breaks_promises_is_noticed():
    contract = StorageContract()
    for promise in (
        contract.test_a_key_expires,
        contract.test_an_empty_value_is_not_a_missing_one,
        contract.test_setting_again_replaces_value_and_expiry,
        contract.test_keys_takes_its_prefix_literally,
    ):
        with pytest.raises(AssertionError):
            await promise(Forgetful(), "at:")
    with pytest.raises(RuntimeError):
        await contract.test_writing_while_listing_is_allowed(Forgetful(), "at:")


class Generous(Forgetful):
    """A storage that lends a key to everybody, for good, and takes it back from everybody."""

    async def lease(self, key: str, holder: bytes, *, ttl: float) -> bytes:
        self.items.setdefault(key, holder)
        return holder

    async def release(self, key: str, holder: bytes) -> bool:
        return self.items.pop(key, None) is not None


class Confused(Forgetful):
    """A storage on which one hears what is said on any channel, and what was said before."""

    async def publish(self, channel: str, message: bytes) -> None:
        self.items[str(len(self.items))] = message

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._all()

    async def _all(self) -> AsyncIterator[bytes]:
        for message in self.items.values():
            yield message


async def test_a_storage_that_leases_carelessly_is_noticed():
    contract = StorageContract()
    for promise in (
        contract.test_a_lease_is_for_one_holder,
        contract.test_only_its_holder_gives_a_lease_back,
        contract.test_a_lease_ends_by_itself,
        contract.test_of_many_who_want_a_lease_one_gets_it,
    ):
        with pytest.raises(AssertionError):
            await promise(Generous(), "at:")


async def test_a_storage_that_mixes_announcements_up_is_noticed():
    contract = StorageContract()
    for promise in (
        contract.test_all_who_listen_hear_every_message_in_order,
        contract.test_a_channel_carries_its_own_messages_only,
    ):
        with pytest.raises(AssertionError):
            await promise(Confused(), "at:")


def careless_source(**more: Any) -> Any:
    """Return a contract of a source that has a value for every key, forgets what it keeps, and breaks lines."""
    parts = {"name": "vault", "summary": "careless", "read": str.upper, "explain_missing": "write\n{}".format, **more}

    class CarelessContract(VariableSourceContract):
        source = VariableSource(**parts)

    return CarelessContract()


@pytest.mark.parametrize("name", ["env", "file", "Vault", "a b", ""])
def test_a_source_whose_name_has_a_meaning_or_cannot_be_written_is_noticed(name):
    with pytest.raises(AssertionError):
        careless_source(name=name).test_the_name_can_stand_before_a_colon_and_the_summary_is_one_line()


def test_a_source_that_breaks_promises_is_noticed():
    with pytest.raises(AssertionError):
        careless_source().test_a_missing_key_has_no_value_and_it_is_said_what_to_do({})
    with pytest.raises(AssertionError):
        careless_source(read={}.get).test_a_missing_key_has_no_value_and_it_is_said_what_to_do({})
    with pytest.raises(AssertionError):
        careless_source().test_known_values_are_read_and_shown_by_nothing({"key": "value"})
    with pytest.raises(AssertionError):
        careless_source().test_an_odd_key_gets_no_value_or_the_error_of_a_source({}, "../secret")


def test_a_source_that_does_not_keep_what_it_is_given_is_noticed():
    kept: dict[str, str] = {}

    def remove(key: str) -> bool:
        return kept.pop(key, None) is not None

    trimming = careless_source(read=kept.get, remove=remove, write=lambda key, value: kept.update({key: value.strip()}))
    with pytest.raises(AssertionError):
        trimming.test_a_value_is_kept_as_it_is({}, " spaced ")
    with pytest.raises(AssertionError, match="the other way round"):
        careless_source(write=kept.__setitem__).test_a_value_is_kept_as_it_is({}, "plain")
